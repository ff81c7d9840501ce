# SPDX-License-Identifier: Apache-2.0
"""Rejected packets of every kind: fragments, options, broken and padded ones, groups, errors about errors.
What is answered, with what, and how much of the packet is quoted."""
from topologies import switched
from traffic import (BROADCAST, ICMP, IP, SCTP, TCP, UDP, Ether, IPv6, IPv6ExtHdrHopByHop, Raw, SCTPChunkAbort,
                     SCTPChunkData, SCTPChunkInit, SCTPChunkInitAck, payload)
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6PacketTooBig, ICMPv6TimeExceeded,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
four, six = a.ether(b) / IP(src=a.ip, dst=b.ip), a.ether(b) / IPv6(src=a.ip6, dst=b.ip6)
quote = Raw(bytes(IP(src=b.ip, dst=a.ip) / UDP(sport=1, dport=2) / payload(8)))
quote6 = Raw(bytes(IPv6(src=b.ip6, dst=a.ip6) / UDP(sport=1, dport=2) / payload(8)))


def padded(packet, size=60):
    frame = bytes(packet)
    return frame + bytes(size - len(frame))


SPEC = net.spec([
    # The size of what is quoted: 534 bytes of IPv4, 1218 of IPv6.
    a.udp(b, size=505), a.udp(b, size=506), a.udp(b, size=507), a.udp(b, size=1472), a.udp6(b, size=1169),
    a.udp6(b, size=1170), a.udp6(b, size=1171), a.udp6(b, size=1452), a.udp(b, size=0), a.udp(b, size=1),
    a.send(padded(four / UDP(sport=1, dport=2))), a.send(padded(four / TCP(sport=1, dport=2, flags='S'))),
    a.send(padded(six / UDP(sport=1, dport=2), 70)),
    # Errors are not answered, but for those that OVN does not know as such.
    *[a.send(four / ICMP(type=t, code=c) / quote) for t, c in ((3, 0), (3, 4), (4, 0), (5, 1), (11, 0), (12, 0))],
    *[a.send(four / ICMP(type=t)) for t in (0, 9, 15, 17)],
    *[a.send(six / e / quote6) for e in (ICMPv6DestUnreach(code=4), ICMPv6PacketTooBig(), ICMPv6TimeExceeded(),
                                         ICMPv6EchoReply(id=1))],
    # Fragments.
    a.udp(b, flags='MF'), a.udp(b, frag=3), a.send(four.copy() / ICMP() / payload(20)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, frag=4, proto=6) / Raw(bytes(range(0x10, 0x10 + 24)))),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, frag=4, proto=1) / Raw(bytes(range(8, 40)))),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, frag=4, proto=132) / Raw(bytes(range(8, 40)))),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, flags='MF') / TCP(sport=9, dport=8, seq=5, flags='S') / payload(16)),
    a.send(six.copy() / IPv6ExtHdrFragment(offset=0, m=1, id=3) / UDP(sport=1, dport=2) / payload(16)),
    a.send(six.copy() / IPv6ExtHdrFragment(offset=2, m=1, id=3, nh=17) / payload(16)),
    # Headers in between.
    a.send(six.copy() / IPv6ExtHdrHopByHop() / UDP(sport=1, dport=2)),
    a.send(six.copy() / IPv6ExtHdrDestOpt() / TCP(sport=1, dport=2)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, options=[b'\x94\x04\x00\x00']) / TCP(sport=1, dport=2, flags='S')),
    # SCTP: whose tag, and which chunks.
    a.sctp(b, SCTPChunkInit(init_tag=7), tag=5), a.sctp(b, SCTPChunkInitAck(init_tag=7), tag=6),
    a.sctp(b, SCTPChunkAbort(), tag=6),
    a.sctp(b, SCTPChunkData(data=b'x'), tag=0), a.send(six.copy() / SCTP(sport=3, dport=4,
    tag=8) / SCTPChunkData(data=b'y')),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip,
    proto=132) / Raw(bytes.fromhex('00030004000000000000000001000014') + bytes(12))),
    # TCP: flags and numbers.
    *[a.tcp(b, flags=f) for f in ('', 'S', 'F', 'A', 'P', 'U', 'SEC', 'SAEC', 'R', 'RA')],
    a.segment(b, 'S', 0xffffffff), a.segment(b, 'PA', 0xfffffff0, 9, b'z' * 40),
    # Other protocols, groups and broadcasts.
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, proto=50) / payload(20)),
    a.send(a.ether(b) / IPv6(src=a.ip6, dst=b.ip6, nh=59)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, proto=58) / payload(20)),
    a.send(a.ether(b) / IPv6(src=a.ip6, dst=b.ip6, nh=1) / payload(20)),
    a.send(Ether(src=a.mac, dst=BROADCAST) / IP(src=a.ip, dst='255.255.255.255') / TCP(sport=1, dport=2, flags='S')),
    a.send(Ether(src=a.mac, dst='01:00:5e:00:00:05') / IP(src=a.ip, dst='224.0.0.5') / UDP(sport=1, dport=2)),
    a.send(Ether(src=a.mac, dst='33:33:00:00:00:09') / IPv6(src=a.ip6, dst='ff02::9') / UDP(sport=1, dport=2)),
    a.udp(b, src='0.0.0.0'), a.udp(b, src=b.ip), a.udp(b, tos=0xff, ttl=1, id=77, flags='DF'),
    a.udp6(b, tc=0xff, fl=0x12345, hlim=1),
    a.arp(b.ip), a.send(a.ether(b, type=0x88b5) / payload(46)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, proto=17) / Raw(b'\1\2\3\4')),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, proto=6) / Raw(b'\1\2\3\4' * 4)),
], nb=["acl-add s1 to-lport 1001 'outport == \"lp2\"' reject"], any_order=True)
