# SPDX-License-Identifier: Apache-2.0
"""DNAT on a gateway router: to one host, through to it and back, from inside too, and packets
to the address that no rule has."""
from topologies import PHYSICAL, answer, at, public, routed

net = routed([1, 2], [3])
outside = public(net, kind='gateway')
a, c = net.hosts[1], net.hosts[3]
vip = at('172.16.0.70', outside)

SPEC = net.spec([
    outside.udp(vip), answer(), outside.tcp(vip, sport=9), answer(),
    outside.segment(vip, 'A', 2, 5001, sport=9), outside.ping(vip), answer(),
    outside.udp(vip, sport=9), answer(error='port'), c.udp(vip), answer(), a.udp(outside), answer(),
    outside.arp('172.16.0.70'),
    outside.udp(at('172.16.0.71', outside)), outside.udp(vip, ttl=1), outside.udp(vip, ttl=2),
    outside.udp6(at('fd99::70', outside)), answer(),
    outside.solicit('fd99::70'),
], nb=['lr-nat-add r dnat 172.16.0.70 10.0.1.1', 'lr-nat-add r dnat fd99::70 fd01::1'], **PHYSICAL)
