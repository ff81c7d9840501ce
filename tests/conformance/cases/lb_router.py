# SPDX-License-Identifier: Apache-2.0
"""A load balancer on a distributed router with a gateway port: from inside, from the physical
network, and back; the router answers ARP for the virtual address."""
from topologies import PHYSICAL, answer, at, public, routed

net = routed([1, 2], [3])
outside = public(net)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
vip = at('172.16.0.100', outside)
vip6 = at('fd99::100', outside)

SPEC = net.spec([
    outside.arp('172.16.0.100'), outside.solicit('fd99::100'),
    outside.tcp(vip, sport=4000), answer(), outside.segment(vip, 'A', 2, 5001, sport=4000),
    outside.udp(vip, sport=4000, dport=53), answer(),
    outside.tcp6(vip6, sport=4000), answer(), outside.tcp(vip, dport=81), outside.ping(vip),
    c.tcp(vip), answer(), a.tcp(vip), answer(), b.tcp(vip, sport=1001), answer(), c.tcp6(vip6),
    answer(),
    outside.tcp(vip, sport=4001), answer(error='port'), outside.udp6(vip6, dport=99),
], nb=['lb-add lb0 172.16.0.100:80 10.0.1.1:8080 tcp',
'lb-add lb1 172.16.0.100:53 10.0.2.3:5353 udp',
       "lb-add lb2 '[fd99::100]:80' '[fd01::1]:8080' tcp", 'lr-lb-add r lb0', 'lr-lb-add r lb1',
       'lr-lb-add r lb2'], **PHYSICAL)
