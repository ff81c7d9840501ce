# SPDX-License-Identifier: Apache-2.0
"""Neighbours that nobody knows yet: the router asks, keeps the packets, and sends them when the
answer comes."""
from topologies import at, gateway, pause, routed, rows
from traffic import Host, mac

net = routed([1])
net.nb += ['ls-add s2', 'lrp-add r r-s2 00:00:00:00:ff:02 10.0.2.254/24 fd02::ff/64',
           'lsp-add s2 s2-r -- lsp-set-type s2-r router -- lsp-set-addresses s2-r router -- '
           'lsp-set-options s2-r router-port=r-s2',
           'lsp-add s2 lp9 -- lsp-set-addresses lp9 unknown']
net.interfaces['v9'] = 'lp9'
a = net.hosts[1]
x, y, z = [Host('v9', n, '10.0.2.%d' % n, 'fd02::%x' % n, gateway(2)) for n in (0x31, 0x32, 0x33)]

SPEC = net.spec([
    a.udp(x), a.udp(x, sport=1001), a.tcp(x), x.arp_reply(gateway(2), '10.0.2.254'), pause(600),
    a.udp(x, sport=1002),
    a.udp6(y), a.udp6(y, sport=1001), y.advertise(gateway(2), 'fd02::ff'), pause(600),
    a.udp6(y, sport=1002), a.udp(z), a.ping(z),
    rows('MAC_Binding', 'logical_port', 'ip', 'mac', at_least=2, until_ms=2000),
    a.udp(at('10.0.1.99', a)), x.udp(a), y.udp6(a), a.udp(z, ttl=1),
])
