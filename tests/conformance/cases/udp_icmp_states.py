# SPDX-License-Identifier: Apache-2.0
"""Connections of UDP, ICMP, ICMPv6 and of protocols that the tracker only knows by addresses."""
from topologies import answer, switched
from traffic import ICMP, IP, UDP, ICMPv6EchoRequest, IPv6, payload

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]


def icmp(sender, to, kind, ident=7, code=0):
    return sender.send(sender.ether(to) / IP(src=sender.ip, dst=to.ip)
        / ICMP(type=kind, code=code, id=ident, seq=1) / payload(8))


def proto(sender, to, number):
    return sender.send(sender.ether(to) / IP(src=sender.ip, dst=to.ip, proto=number) / payload(24))


SPEC = net.spec([
    b.udp(a), a.udp(b), b.udp(a, sport=2000, dport=1000), b.udp(a, sport=2000, dport=1001),
    b.udp(a, sport=2001, dport=1000),
    a.udp6(b), answer(), icmp(b, a, 0), icmp(a, b, 8), icmp(b, a, 0), icmp(b, a, 0, ident=8),
    icmp(b, a, 8), icmp(a, b, 0, ident=9),
    icmp(a, b, 13, ident=3), icmp(b, a, 14, ident=3), icmp(a, b, 15, ident=4),
    icmp(b, a, 16, ident=4), icmp(a, b, 17, ident=5), icmp(b, a, 18, ident=5),
    icmp(a, b, 5), icmp(a, b, 8, code=3, ident=30), a.ping6(b), answer(), b.ping6(a),
    a.send(a.ether(b) / IPv6(src=a.ip6, dst=b.ip6) / ICMPv6EchoRequest(id=5, cksum=0x1111)),
    proto(b, a, 47), proto(a, b, 47), proto(b, a, 47), proto(a, b, 50), proto(b, a, 51),
    proto(b, a, 50),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip) / UDP(sport=9, dport=9, chksum=0x1234)
    / payload(10)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip) / UDP(sport=9, dport=9, chksum=0) / payload(10)),
    answer(),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip) / UDP(sport=9, dport=10, len=4)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip) / UDP(sport=9, dport=11, len=200) / payload(10)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, chksum=0x4444) / UDP(sport=9, dport=12)
    / payload(10)),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, proto=17) / payload(3)),
    a.udp(b, sport=0, dport=5), a.udp(b, sport=5, dport=0), answer(),
], nb=["acl-add s1 from-lport 1002 'inport == \"lp1\" && ip' allow-related",
"acl-add s1 from-lport 1001 'ip' drop",
       "acl-add s1 to-lport 1002 'ip' allow-related"])
