# SPDX-License-Identifier: Apache-2.0
"""Packets held while the next hop is asked for: how many, whose, and how they leave."""
from topologies import gateway, pause, routed
from traffic import BROADCAST, ARP, Ether, Host

net = routed([1])
for n in (2, 3):
    net.nb += ['ls-add s%d' % n, 'lrp-add r r-s%d 00:00:00:00:ff:0%d 10.0.%d.254/24 fd0%d::ff/64' % (n, n, n, n),
               'lsp-add s%d s%d-r -- lsp-set-type s%d-r router -- lsp-set-addresses s%d-r router '
               '-- lsp-set-options s%d-r router-port=r-s%d'
               % ((n,) * 6), 'lsp-add s%d lp9%d -- lsp-set-addresses lp9%d unknown' % (n, n, n)]
    net.interfaces['v9%d' % n] = 'lp9%d' % n
a = net.hosts[1]
x, y, z, u = [Host('v92', n, '10.0.2.%d' % n, 'fd02::%x' % n, gateway(2)) for n in range(0x31, 0x35)]
other = Host('v93', 0x41, '10.0.3.65', 'fd03::41', gateway(3))
hop = Host('v92', 0x51, '10.0.2.81', 'fe80::51', gateway(2))
behind = Host('v92', 0x61, '192.0.2.1', '2001:db8::1', gateway(2))

SPEC = net.spec([
    # The oldest gives way.
    *[a.udp(x, sport=2000 + i) for i in range(6)], x.arp_reply(gateway(2), '10.0.2.254'), pause(500),
    a.udp(x, sport=2010),
    *[a.udp6(x, sport=2000 + i) for i in range(5)], x.advertise(gateway(2), 'fd02::ff'), pause(500), a.tcp6(x),
    # A request by the neighbour itself tells as well, and so does a gratuitous one.
    a.tcp(y), a.ping(y), y.arp('10.0.2.254'), pause(500), a.udp(y),
    a.udp(z), z.send(Ether(src=z.mac, dst=BROADCAST) / ARP(op=1, hwsrc=z.mac, psrc=z.ip, pdst=z.ip)), pause(800),
    a.udp(z, sport=3),
    # Two next hops at once, answered the other way round.
    a.udp(u), a.udp(other), other.arp_reply(gateway(3), '10.0.3.254'), pause(500),
    u.arp_reply(gateway(2), '10.0.2.254'), pause(500),
    # A gateway on the way; its link-local address.
    a.udp(behind), a.udp6(behind), hop.arp_reply(gateway(2), '10.0.2.254'), pause(500),
    hop.advertise(gateway(2), 'fd02::ff'), pause(500), a.tcp(behind), a.tcp6(behind),
    # A stranger's answer is not one.
    a.udp(Host('v92', 0x71, '10.0.2.113')), u.arp_reply(gateway(2), '10.0.2.254', psrc='10.0.2.114'), pause(500),
], nb=['lr-route-add r 192.0.2.0/24 10.0.2.81', 'lr-route-add r 2001:db8::/64 fe80::51 r-s2'])
