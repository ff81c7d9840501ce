# SPDX-License-Identifier: Apache-2.0
"""gateway_mtu: what is too big to leave is answered with need-fragmentation or too-big, the
rest passes."""
from topologies import PHYSICAL, answer, at, public, routed
from traffic import IP, payload

net = routed([1, 2])
outside = public(net)
a = net.hosts[1]

SPEC = net.spec([
    a.udp(outside, size=700), a.udp(outside, size=772), a.udp(outside, size=773),
    a.udp(outside, size=900), a.udp(outside, size=1400, flags='DF'),
    a.udp(outside, size=900, flags='DF'),
    a.udp6(outside, size=700), a.udp6(outside, size=752), a.udp6(outside, size=753),
    a.udp6(outside, size=1300), a.tcp(outside), outside.udp(a, size=1300),
    outside.udp(a, size=1300, flags='DF'),
    a.send(a.ether(a.gateway_mac) / IP(src=a.ip, dst=outside.ip, proto=47) / payload(900)),
    a.udp(at('172.16.0.254', outside), size=900), net.hosts[2].udp(outside, size=900),
    outside.udp6(a, size=1300),
    outside.ping('172.16.0.254'),
], nb=['set logical_router_port r-pub options:gateway_mtu=800',
'lr-nat-add r snat 172.16.0.60 10.0.1.1'], **PHYSICAL)
