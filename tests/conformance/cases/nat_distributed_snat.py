# SPDX-License-Identifier: Apache-2.0
"""SNAT at a distributed gateway port, with a floating address next to it, and IPv6 rules."""
from topologies import PHYSICAL, answer, at, public, routed

net = routed([1, 2], [3])
outside = public(net)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
nat = at('172.16.0.60', outside)

SPEC = net.spec([
    a.udp(outside), outside.udp(nat, sport=2000, dport=1000),
    outside.udp(nat, sport=2000, dport=999), a.tcp(outside), outside.segment(
        nat, 'SA', 5, 2, sport=80, dport=1000), c.udp(outside, sport=1000), a.ping(outside),
        outside.ping(nat), a.udp6(outside),
    outside.udp6(at('fd99::60', outside), sport=2000, dport=1000), a.ping6(outside),
    c.udp6(outside), a.udp(c), c.udp(a),
    b.udp(outside), outside.udp(at('172.16.0.82', outside)), answer(),
    a.udp(at('172.16.0.254', outside)), a.ping('172.16.0.254'),
    outside.ping('172.16.0.254'), outside.ping6('fd99::fe'), outside.udp(a),
], nb=['lr-nat-add r snat 172.16.0.60 10.0.0.0/16',
'lr-nat-add r dnat_and_snat 172.16.0.82 10.0.1.2', 'lr-nat-add r snat fd99::60 fd01::/64'],
**PHYSICAL)
