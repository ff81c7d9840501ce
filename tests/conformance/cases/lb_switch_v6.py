# SPDX-License-Identifier: Apache-2.0
"""Load balancers with IPv6 addresses on a switch, and a backend that gets its own traffic back."""
from topologies import answer, at, switched

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
vip, vip2 = at('fd30::1', b), at('fd30::2', b)

SPEC = net.spec([
    a.tcp6(vip), answer(), a.tcp6(vip, flags='A'), a.udp6(vip, dport=53), answer(),
    a.udp6(vip, dport=54), a.ping6(vip),
    a.ping6(vip2), answer(), b.tcp6(vip, sport=3000), answer(), b.udp6(vip, sport=3001, dport=53),
    answer(),
    a.solicit('fd30::1'), a.tcp6(vip, sport=1001), answer(error='port'),
], nb=["lb-add lb0 '[fd30::1]:80' '[fd01::2]:8080' tcp",
"lb-add lb1 '[fd30::1]:53' '[fd01::2]:5353' udp",
       'lb-add lb2 fd30::2 fd01::2', 'ls-lb-add s1 lb0', 'ls-lb-add s1 lb1', 'ls-lb-add s1 lb2'])
