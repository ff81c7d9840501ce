# SPDX-License-Identifier: Apache-2.0
"""Stateless dnat_and_snat: addresses are rewritten without a connection, whatever comes."""
from topologies import PHYSICAL, answer, at, public, routed

net = routed([1], [3])
outside = public(net)
a, c = net.hosts[1], net.hosts[3]
fip, fip6 = at('172.16.0.81', outside), at('fd99::81', outside)

SPEC = net.spec([
    outside.udp(fip), answer(), outside.tcp(fip, flags='A'), outside.tcp(fip, flags='SA'),
    a.tcp(outside, flags='A'), a.udp(outside), answer(),
    a.ping(outside), answer(), outside.ping(fip), answer(), outside.udp6(fip6), answer(),
    a.udp6(outside), answer(), c.udp(fip), answer(), c.udp(outside),
    a.udp(fip), answer(), outside.udp(fip, ttl=1),
], nb=['--stateless lr-nat-add r dnat_and_snat 172.16.0.81 10.0.1.1',
'--stateless lr-nat-add r dnat_and_snat fd99::81 fd01::1'], **PHYSICAL)
