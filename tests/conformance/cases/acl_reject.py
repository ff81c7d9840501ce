# SPDX-License-Identifier: Apache-2.0
"""ACLs that reject: a reset, an abort or an ICMP error comes back, in both directions and
families, and never in answer to what must not be answered."""
from topologies import switched
from traffic import (BROADCAST, ICMP, IP, TCP, UDP, ICMPv6EchoRequest, IPv6, Raw, SCTPChunkData,
                     SCTPChunkInit, payload)

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]

SPEC = net.spec([
    a.udp(b), a.udp6(b), a.tcp(b), a.tcp6(b), a.tcp(b, flags='A'), a.tcp(b, flags='R'),
    a.tcp(b, flags='FA'),
    a.tcp(b, flags='SA'), a.segment(b, 'PA', 100, 200, b'x' * 50),
    a.sctp(b, SCTPChunkInit(init_tag=9)),
    a.sctp(b, SCTPChunkData(data=b'hello'), tag=77), a.ping(b), a.ping6(b), a.udp(b, size=600),
    a.udp6(b, size=1300),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, proto=47) / payload(30)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip) / ICMP(type=3, code=3) / IP(src=b.ip, dst=a.ip)
    / UDP(sport=1, dport=2)),
    a.send(a.ether(BROADCAST) / IP(src=a.ip, dst='255.255.255.255') / UDP(sport=9, dport=10)),
    a.udp(b, frag=20), a.udp(b, flags='MF'), a.udp(b, tos=0xb8, ttl=3),
    a.udp(c, dport=7), a.udp6(c, dport=7), a.tcp(c, dport=7), a.tcp6(c, dport=7), a.udp(c, dport=8),
    a.ping(c),
    a.send(a.ether(c) / IPv6(src=a.ip6, dst=c.ip6) / ICMPv6EchoRequest(id=1)),
    b.udp(a), b.tcp(a), c.sctp(b, SCTPChunkInit(init_tag=5)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, options=[b'\x01\x01\x01\x00'])
    / UDP(sport=3, dport=4) / Raw(b'opts')),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip) / TCP(sport=3, dport=4, flags='S', options=[('MSS',
    1400)])),
], nb=["acl-add s1 to-lport 1001 'outport == \"lp2\" && ip' reject",
       "acl-add s1 from-lport 1002 'inport == \"lp1\" && (udp.dst == 7 || tcp.dst == 7)' reject",
       "acl-add s1 to-lport 900 'outport == \"lp3\" && icmp' reject"], any_order=True)
