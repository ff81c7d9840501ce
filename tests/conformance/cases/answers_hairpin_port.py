# SPDX-License-Identifier: Apache-2.0
"""An ICMP error about a packet whose port the tracker has changed on the way, because a balanced
connection of the same host to itself had its tuple: the error quotes what was sent."""
from topologies import answer, at, routed

net = routed([1, 2], [3])
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
vip = at('30.0.0.1', a)
vip.ip6, vip.mac = 'fd30::1', '00:00:00:00:ff:01'
ROUTER = '00:00:00:00:ff:01'

SPEC = net.spec(
    [a.udp6(vip, dport=80, link=a.ether(ROUTER)), a.udp6(a, dport=8080, link=a.ether(ROUTER), hlim=1),
     a.udp(vip, dport=80, link=a.ether(ROUTER)), a.udp(a, dport=8080, link=a.ether(ROUTER), ttl=1),
     a.udp(c, dport=8080), c.udp(a, sport=8080, dport=1000), a.udp(c, dport=8080, ttl=1), answer()],
    nb=["lb-add lb6 '[fd30::1]:80' '[fd01::1]:8080' udp", "lb-add lb4 '30.0.0.1:80' '10.0.1.1:8080' udp",
        'ls-lb-add s1 lb6', 'ls-lb-add s1 lb4',
        "acl-add s1 to-lport 809 'outport == \"lp1\" && ip' allow-related"])
