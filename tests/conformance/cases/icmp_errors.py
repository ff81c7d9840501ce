# SPDX-License-Identifier: Apache-2.0
"""ICMP errors of routers: TTL exceeded, no service on the router's own addresses, none about
errors, fragments, multicasts; IPv4 and IPv6."""
from topologies import at, gateway, routed
from traffic import BROADCAST, ICMP, IP, TCP, UDP, Ether, SCTPChunkInit, payload

net = routed([1], [2])
a, b = net.hosts[1], net.hosts[2]
own, far = at('10.0.1.254', a), at('10.0.2.254', b)
own6 = at('fd01::ff', a)

SPEC = net.spec([
    a.udp(b, ttl=1), a.udp(b, ttl=0), a.tcp(b, ttl=1), a.ping(b, ttl=1), a.udp6(b, hlim=1),
    a.tcp6(b, hlim=1), a.ping6(b, hlim=1), a.udp(b, ttl=1, size=1400), a.udp6(b, hlim=1, size=1400),
    a.udp(own), a.udp(far), a.tcp(own), a.tcp(own, flags='A'), a.tcp(own, flags='R'),
    a.tcp(own, flags='PA'), a.sctp(own, SCTPChunkInit(init_tag=1)),
    a.send(a.ether(gateway(1)) / IP(src=a.ip, dst='10.0.1.254', proto=47) / payload(30)),
    a.udp6(own6), a.tcp6(own6), a.tcp6(own6, flags='A'), a.ping('10.0.1.254', ttl=1),
    a.ping('10.0.2.254', ttl=1),
    a.udp(own, frag=5), a.udp(own, flags='MF'), a.udp(b, ttl=1, frag=5),
    a.udp(b, ttl=1, flags='MF'),
    a.send(a.ether(gateway(1)) / IP(src=a.ip, dst=b.ip, ttl=1) / ICMP(type=3, code=1)
    / IP(src=b.ip, dst=a.ip) / UDP()),
    a.send(a.ether(gateway(1)) / IP(src=a.ip, dst=b.ip, ttl=1) / ICMP(type=11)
    / IP(src=b.ip, dst=a.ip) / UDP()),
    a.send(Ether(src=a.mac, dst=BROADCAST) / IP(src=a.ip, dst='10.0.1.255', ttl=1)
    / UDP(sport=1, dport=2)), a.udp(b, src='224.0.0.5', ttl=1), a.udp(b, src='0.0.0.0', ttl=1),
    a.udp(at('10.0.1.255', a)), a.send(a.ether(gateway(1)) / IP(src=a.ip, dst='10.0.1.254')
    / TCP(sport=5, dport=6, flags='S', seq=0xfffffff0) / payload(40)),
])
