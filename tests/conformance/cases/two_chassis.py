# SPDX-License-Identifier: Apache-2.0
"""Two hypervisors of the same kind, Geneve between them: both ends of the tunnel are under
test."""
from traffic import BROADCAST, Ether, Host, mac, payload, router_port, switch_port

GW = '00:00:00:00:ff:01'
a, b, c = [Host('v%d' % n, n, '10.0.1.%d' % n, 'fd01::%d' % n) for n in (1, 2, 3)]
x, y = [Host('w%d' % n, n, '10.0.2.%d' % n, 'fd02::%d' % n) for n in (11, 12)]


def routed(host):
    return Host(host.interface, int(host.mac[-2:], 16), host.ip, host.ip6, GW)


SPEC = {
    'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1'},
                {'name': 'hv2', 'encap_ip': '192.168.0.2'}],
    'nb': ['lr-add r', 'ls-add s1', 'ls-add s2']
    + router_port('r', 's1', GW, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 's2', '00:00:00:00:ff:02', '10.0.2.254/24 fd02::ff/64')
    + sum([switch_port('s1', 'lp%d' % n, '%s 10.0.1.%d fd01::%d' % (mac(n), n, n))
           for n in (1, 2, 3)], [])
    + sum([switch_port('s2', 'lp%d' % n, '%s 10.0.2.%d fd02::%d' % (mac(n), n, n))
           for n in (11, 12)], []),
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'v2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'v3', 'iface_id': 'lp3', 'chassis': 'hv2'},
                   {'name': 'w11', 'iface_id': 'lp11', 'chassis': 'hv1'},
                   {'name': 'w12', 'iface_id': 'lp12', 'chassis': 'hv2'}],
    'packets': [
        a.udp(b), b.udp(a), a.udp(c), c.udp(a), b.udp(c), a.udp6(b), b.udp6(a), a.tcp(b), b.tcp(a),
        a.udp(b, size=1400), a.udp(b, tos=0xb8), a.udp(b, tos=1), a.udp(b, tos=2),
        a.udp(b, link=a.ether(BROADCAST)), b.udp(a, link=b.ether(BROADCAST)),
        a.arp('10.0.1.200'), c.arp('10.0.1.200'), a.arp(b.ip), b.solicit(a.ip6),
        a.send(Ether(src=a.mac, dst=b.mac, type=0x88b5) / payload(46)),
        routed(a).udp(x), routed(a).udp(y), routed(b).udp(x), routed(b).udp(y),
        routed(x).udp(a), routed(x).udp(b), routed(y).udp(a), routed(y).udp(b),
        routed(a).udp6(y), routed(y).udp6(a), routed(c).tcp(x), routed(x).tcp6(c),
        routed(a).ping('10.0.1.254'), routed(a).ping('10.0.2.254'), routed(b).ping6('fd02::ff'),
        routed(a).ping(y), routed(y).ping6(b),
    ],
}
