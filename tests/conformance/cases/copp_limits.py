# SPDX-License-Identifier: Apache-2.0
"""What meters of the control plane keep back: a bucket that holds less than a long packet.

Short packets always find their tokens and long ones never, however fast the test runs.
"""
from topologies import gateway, pause, routed, rows
from traffic import ARP, Ether, Raw

net = routed([1, 3], [2])
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
LONG = 1200


def long_arp(host, target_ip):
    """A reply that a router learns from, with a long trailer."""
    return host.send(Ether(src=host.mac, dst=gateway(1)) / ARP(
        op=2, hwsrc=host.mac, psrc=host.ip, hwdst=gateway(1), pdst=target_ip) / Raw(bytes(LONG)))


class Stranger:
    """An address on s2 that nobody has told about."""
    def __init__(self, number):
        self.ip, self.ip6 = '10.0.2.%d' % number, 'fd02::%x' % number


far = [Stranger(n) for n in (201, 202)]
link = a.ether(gateway(1))
BINDINGS = rows('MAC_Binding', 'logical_port', 'ip', 'mac')
kinds = ['icmp4-error', 'icmp6-error', 'tcp-reset', 'arp', 'arp-resolve', 'nd-ns', 'nd-ns-resolve',
         'nd-na', 'reject']

SPEC = net.spec(
    [a.udp(b, ttl=1, size=18), a.udp(b, ttl=1, size=LONG), a.udp(b, ttl=1, size=18),
     a.udp6(b, hlim=1, size=18), a.udp6(b, hlim=1, size=LONG),
     a.udp(Stranger(254), size=18, link=link), a.udp(Stranger(254), size=LONG, link=link),
     a.udp(far[0], size=LONG, link=link), a.udp(far[0], size=18, link=link),
     a.udp6(far[1], size=LONG, link=link), a.udp6(far[1], size=18, link=link),
     c.udp(a, dport=7777, size=18, link=c.ether(a.mac)),
     c.udp(a, dport=7777, size=LONG, link=c.ether(a.mac)),
     c.udp6(a, dport=7777, size=18, link=c.ether(a.mac)),
     c.udp6(a, dport=7777, size=LONG, link=c.ether(a.mac)),
     c.solicit('fd01::1'),
     a.udp(b, size=LONG), a.udp6(b, size=LONG),
     long_arp(a, '10.0.1.254'),
     pause(300), BINDINGS,
     a.arp_reply(gateway(1), '10.0.1.254'),
     pause(300), BINDINGS],
    nb=['meter-add slow drop 8 kbps 8', 'acl-add s1 from-lport 1000 "udp.dst == 7777" reject']
    + ['copp-add copp0 %s slow' % kind for kind in kinds]
    + ['lr-copp-add copp0 r', 'ls-copp-add copp0 s1'])
