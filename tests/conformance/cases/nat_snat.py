# SPDX-License-Identifier: Apache-2.0
"""SNAT on a gateway router: sources, ports kept when free and changed on a clash, replies, ICMP
and errors about translated packets, exempted and allowed destinations."""
from topologies import PHYSICAL, answer, at, public, routed
from traffic import ICMP, IP, payload

net = routed([1, 2], [3])
outside = public(net, kind='gateway')
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
ext = at('172.16.0.91', outside)

SPEC = net.spec([
    a.udp(outside), outside.udp(at('172.16.0.60', outside), sport=2000, dport=1000),
    outside.udp(at('172.16.0.60', outside), sport=2000, dport=1001),
    a.tcp(outside), outside.segment(at('172.16.0.60', outside), 'SA', 9, 2, sport=80, dport=1000),
    a.segment(outside, 'A', 2, 10),
    a.ping(outside), outside.send(outside.ether('00:00:00:00:ff:99') / IP(src=outside.ip,
    dst='172.16.0.60')
                                  / ICMP(type=0, id=7, seq=1) / payload(32)),
    c.udp(outside), c.udp(a), a.udp(c), outside.udp(a), outside.ping(at('172.16.0.60', outside)),
    outside.arp('172.16.0.60'),
    a.udp(outside, ttl=1), a.udp(outside, ttl=2), a.udp(outside, src='10.0.1.77'), b.udp(outside),
    a.udp(ext, sport=5), c.udp(ext, sport=5),
], nb=['lr-nat-add r snat 172.16.0.60 10.0.1.0/24', 'lr-nat-add r snat 172.16.0.61 10.0.2.3'],
**PHYSICAL)
