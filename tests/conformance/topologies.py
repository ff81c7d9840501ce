# SPDX-License-Identifier: Apache-2.0
"""Networks that many cases share, and the words for steps of a conversation.

Host N of switch S has MAC 50:54:00:00:00:N and addresses 10.0.S.N, fd0S::N; router r is
10.0.S.254, fd0S::ff there with MAC 00:00:00:00:ff:0S.
"""
from traffic import Host, mac, router_port, switch_port

OUTSIDE = 0x90      # number of the host on the physical network
PUBLIC_MAC = '00:00:00:00:ff:99'
PUBLIC_IP, PUBLIC_IP6 = '172.16.0.254', 'fd99::fe'


def gateway(switch):
    return '00:00:00:00:ff:%02x' % switch


def link_local(router_mac):
    """The EUI-64 address of a MAC."""
    octets = [int(word, 16) for word in router_mac.split(':')]
    return 'fe80::%x:%xff:fe%02x:%x' % ((octets[0] ^ 2) << 8 | octets[1], octets[2] << 8, octets[3],
                                        octets[4] << 8 | octets[5])


class Net:
    """Lines of configuration, interfaces and hosts, growing together."""

    def __init__(self):
        self.nb, self.interfaces, self.hosts = [], {}, {}

    def host(self, number, switch, router=True):
        """Host `number` on switch s<switch>, as port lp<number> and interface v<number>."""
        ip, ip6 = '10.0.%d.%d' % (switch, number), 'fd%02d::%x' % (switch, number)
        self.nb += switch_port('s%d' % switch, 'lp%d' % number,
                               '%s %s %s' % (mac(number), ip, ip6))
        self.interfaces['v%d' % number] = 'lp%d' % number
        self.hosts[number] = Host('v%d' % number, number, ip, ip6,
                                  gateway(switch) if router else None)
        return self.hosts[number]

    def spec(self, packets, nb=(), **words):
        return {'nb': self.nb + list(nb), 'interfaces': dict(self.interfaces),
                'packets': packets, **words}


def switched(*numbers):
    """One switch s1 with these hosts and no router."""
    net = Net()
    net.nb.append('ls-add s1')
    for number in numbers:
        net.host(number, 1, router=False)
    return net


def routed(*groups, router='r'):
    """Switches s1, s2, ... with these groups of hosts, on one distributed router."""
    net = Net()
    net.nb.append('lr-add ' + router)
    for switch, numbers in enumerate(groups, 1):
        net.nb.append('ls-add s%d' % switch)
        net.nb += router_port(router, 's%d' % switch, gateway(switch),
                              '10.0.%d.254/24 fd%02d::ff/64' % (switch, switch))
        for number in numbers:
            net.host(number, switch)
    return net


def public(net, router='r', kind='distributed'):
    """Joins the router to a physical network: 172.16.0.0/24 and fd99::/64, router .254 and ::fe.

    "distributed": the port is a distributed gateway port with chassis hv1; "gateway": the whole
    router sits on hv1. Returns the host outside, whose packets enter at the wire.
    """
    net.nb += ['ls-add pub',
               'lsp-add pub ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown '
               '-- lsp-set-options ln network_name=phys']
    net.nb += router_port(router, 'pub', PUBLIC_MAC, PUBLIC_IP + '/24 ' + PUBLIC_IP6 + '/64')
    if kind == 'gateway':
        net.nb.append('set logical_router %s options:chassis=hv1' % router)
    else:
        net.nb.append('lrp-set-gateway-chassis %s-pub hv1 10' % router)
    net.nb += ['static-mac-binding-add %s-pub 172.16.0.90 %s' % (router, mac(OUTSIDE)),
               'static-mac-binding-add %s-pub fd99::90 %s' % (router, mac(OUTSIDE)),
               'lr-route-add %s 0.0.0.0/0 172.16.0.90' % router,
               'lr-route-add %s ::/0 fd99::90' % router]
    return Host('wire', OUTSIDE, '172.16.0.90', 'fd99::90', PUBLIC_MAC)


PHYSICAL = {'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1',
                         'bridge_mappings': 'phys:br-phys'}],
            'ignore_kinds': ['garp', 'rarp', 'na'], 'any_order': ['wire']}


def at(ip, host):
    """A host seen under another address, as through NAT or behind a virtual IP."""
    fields = {'ip6': ip} if ':' in ip else {'ip': ip}
    other = Host(host.interface, 0, host.ip, host.ip6, host.gateway_mac)
    other.mac = host.mac
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def answer(**words):
    """The receiver of the last frame answers it."""
    return {'answer': words}


def rows(table, *columns, **words):
    """A look at a table of the Southbound database."""
    return {'rows': [table, *columns], **words}


def quoted(text):
    """A DHCP option that is a string: its quotes are part of the value in the database."""
    return """'"\\"%s\\""'""" % text


def change(*lines):
    """Configuration in the middle of the packets."""
    return {'nb': list(lines)}


def pause(ms):
    return {'sleep_ms': ms}


def choice(*hosts, ports=True):
    """Members of a load balancer or of a multipath route, of which either side may pick any."""
    def packed(address):
        import ipaddress
        return ipaddress.ip_address(address).packed.hex()
    return {'ports': [h.interface for h in hosts] if ports else [],
            'words': [[h.mac.replace(':', ''), packed(h.ip), packed(h.ip6)] for h in hosts]}
