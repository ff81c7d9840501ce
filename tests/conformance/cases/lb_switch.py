# SPDX-License-Identifier: Apache-2.0
"""A load balancer on a switch: one backend per virtual address, TCP, UDP and SCTP, replies
translated back, other ports left alone, packets without a port, established connections
after the load balancer went."""
from topologies import answer, at, change, switched
from traffic import SCTPChunkInit

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
vip = at('30.0.0.1', b)
vip2 = at('30.0.0.2', c)

SPEC = net.spec([
    a.tcp(vip), answer(), a.segment(vip, 'A', 2, 5001), a.segment(vip, 'PA', 2, 5001, b'GET'),
    answer(tcp='PA'),
    a.tcp(vip, dport=81), a.udp(vip, dport=53), answer(), a.udp(vip, dport=53), answer(size=100),
    a.udp(vip, dport=54),
    a.sctp(vip, SCTPChunkInit(init_tag=8), dport=90), answer(), a.ping(vip), a.ping(vip2), answer(),
    a.udp(vip2), answer(),
    a.tcp(b, dport=8080), answer(), b.tcp(a, sport=8080, dport=4000), c.tcp(vip, sport=1000),
    answer(),
    a.tcp(vip, sport=1001), answer(error='port'), a.arp('30.0.0.1'),
    change('ls-lb-del s1 lb0'), a.segment(vip, 'A', 5, 5007), a.tcp(vip, sport=1002),
    b.segment(a, 'PA', 5007, 5, b'x', sport=8080, dport=1000),
], nb=['lb-add lb0 30.0.0.1:80 10.0.1.2:8080 tcp', 'lb-add lb1 30.0.0.1:53 10.0.1.2:5353 udp',
       'lb-add lb2 30.0.0.1:90 10.0.1.2:9090 sctp', 'lb-add lb3 30.0.0.2 10.0.1.3',
       'ls-lb-add s1 lb0', 'ls-lb-add s1 lb1', 'ls-lb-add s1 lb2', 'ls-lb-add s1 lb3'])
