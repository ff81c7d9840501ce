# SPDX-License-Identifier: Apache-2.0
"""A gateway router behind a distributed router (join switch, l3gateway ports): routes, SNAT and
DNAT across both, ECMP-free defaults, traceroute-like errors, ARP on the physical side."""
from topologies import PHYSICAL, answer, at, public, routed
from traffic import router_port

net = routed([1, 2])
net.nb += ['lr-add gw', 'ls-add join'] + router_port('r', 'join', '00:00:00:00:ff:a1',
    '100.64.0.1/24 fd64::1/64') \
    + router_port('gw', 'join', '00:00:00:00:ff:a2', '100.64.0.2/24 fd64::2/64')
outside = public(net, router='gw', kind='gateway')
a, b = net.hosts[1], net.hosts[2]

SPEC = net.spec([
    a.udp(outside), answer(), a.tcp(outside), answer(), a.udp6(outside), answer(),
    a.udp(outside, ttl=1), a.udp(outside, ttl=2), a.udp(outside, ttl=3),
    a.udp6(outside, hlim=2), outside.udp(at('172.16.0.70', outside)), answer(),
    a.ping('100.64.0.1'), a.ping('100.64.0.2'), a.ping('172.16.0.254'), a.ping6('fd64::2'),
    outside.ping('172.16.0.254'), outside.arp('172.16.0.254'), outside.arp('172.16.0.70'),
    outside.arp('172.16.0.99'), outside.udp(a), b.udp(outside),
], nb=['lr-route-add r 0.0.0.0/0 100.64.0.2', 'lr-route-add r ::/0 fd64::2',
'lr-route-add gw 10.0.0.0/16 100.64.0.1', 'lr-route-add gw fd01::/64 fd64::1',
       'lr-nat-add gw snat 172.16.0.60 10.0.0.0/16', 'lr-nat-add gw dnat 172.16.0.70 10.0.1.1'],
       **PHYSICAL)
