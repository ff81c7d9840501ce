# SPDX-License-Identifier: Apache-2.0
"""A gateway router answers: TTL exceeded, no such port or protocol, too big; several networks on one port."""
from topologies import PHYSICAL, PUBLIC_IP, PUBLIC_IP6, PUBLIC_MAC, at, public, routed
from traffic import IP, Host, Raw, SCTPChunkInit, payload

net = routed([1, 2])
outside = public(net, kind='gateway')
a, b = net.hosts[1], net.hosts[2]
own, own6 = at(PUBLIC_IP, outside), at(PUBLIC_IP6, outside)

SPEC = net.spec([
    a.udp(outside, ttl=1), outside.udp(a, ttl=1), outside.udp6(a, hlim=1), outside.tcp(b, ttl=1),
    a.tcp6(outside, hlim=1), outside.udp(own),
    outside.tcp(own), outside.tcp(own, flags='A'), outside.udp6(own6), outside.tcp6(own6),
    outside.sctp(own, SCTPChunkInit(init_tag=2)),
    outside.send(outside.ether(PUBLIC_MAC) / IP(src=outside.ip, dst=PUBLIC_IP, proto=47) / payload(20)),
    outside.udp(at('172.16.5.1', a)),
    outside.ping(PUBLIC_IP, ttl=1), outside.ping6(at(PUBLIC_IP6, outside), hlim=1), a.ping(PUBLIC_IP),
    a.ping6(at(PUBLIC_IP6, a)),
    a.udp(outside, size=470), a.udp(outside, size=600, flags='DF'), a.udp(outside, size=600),
    a.udp6(outside, size=1300), a.udp6(outside, size=1200),
    a.tcp(own), a.udp(at('10.0.1.254', a)), a.udp(at('10.0.1.255', a)), a.udp(at('172.16.0.255', a)),
    outside.udp(own, src='172.16.0.255'), outside.udp(own, src='127.0.0.1'), a.udp(at('10.9.9.9', a), ttl=1),
], nb=['set logical_router_port r-pub options:gateway_mtu=500'], **PHYSICAL)
