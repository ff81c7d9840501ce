#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Frames made by scapy and what a parser must see in them, as C++ initialisers.

Usage: make_parse_vectors.py > parse_vectors.inc
Expected values are those the frame was made of, never what a parser said.
"""
from scapy.all import (ARP, AH, Dot1Q, Dot3, Ether, ICMP, ICMPv6EchoRequest, ICMPv6ND_NA,
                       ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr,
                       ICMPv6NDOptMTU, IP, IPOption_Router_Alert, IPv6, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, LLC, Raw,
                       SCTP, SNAP, TCP, UDP)
import ipaddress

IP4, IP6, ARPK, ND, L4, VLAN = 1, 2, 4, 8, 16, 32
E = dict(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
S4, D4 = "10.1.2.3", "192.0.2.200"
S6, D6 = "fd00::1", "2001:db8::ff"


def case(name, pkt, etype, kinds, proto=0, ttl=0, tos=0, frag=0, sport=0, dport=0, flags=0,
         src="", dst="", label=0, tci=0, target="", sll="", tll="", sha="", tha=""):
    raw = bytes(pkt)

    def addr(a):
        return ipaddress.ip_address(a).packed.hex() if a else ""

    def mac(m):
        return m.replace(":", "")
    print('{"%s", "%s", 0x%04x, %d, %d, %d, %d, %d, %d, %d, 0x%x, "%s", "%s", 0x%x, 0x%04x, '
          '"%s", "%s", "%s", "%s", "%s"},' %
          (name, raw.hex(), etype, kinds, proto, ttl, tos, frag, sport, dport, flags,
           addr(src), addr(dst), label, tci, addr(target), mac(sll), mac(tll), mac(sha), mac(tha)))


def main():
    e = Ether(**E)
    v4 = dict(src=S4, dst=D4)
    v6 = dict(src=S6, dst=D6)
    case("tcp", e / IP(ttl=63, tos=0xb9, **v4) / TCP(sport=1, dport=65535, flags="SA") / "xyz",
         0x800, IP4 | L4, 6, 63, 0xb9, 0, 1, 65535, 0x12, S4, D4)
    case("tcp ns flag", e / IP(**v4) / TCP(sport=7, dport=8, flags="NSF"), 0x800, IP4 | L4, 6, 64,
         0, 0, 7, 8, 0x103, S4, D4)
    case("tcp options", e / IP(**v4) / TCP(sport=7, dport=8, flags="S", options=[("MSS", 9)]),
         0x800, IP4 | L4, 6, 64, 0, 0, 7, 8, 2, S4, D4)
    case("udp padded", bytes(e / IP(**v4) / UDP(sport=53, dport=54) / "a") + bytes(17), 0x800,
         IP4 | L4, 17, 64, 0, 0, 53, 54, 0, S4, D4)
    case("udp with ip options",
         e / IP(options=[IPOption_Router_Alert()], **v4) / UDP(sport=53, dport=54), 0x800,
         IP4 | L4, 17, 64, 0, 0, 53, 54, 0, S4, D4)
    case("sctp", e / IP(**v4) / SCTP(sport=3, dport=4), 0x800, IP4 | L4, 132, 64, 0, 0, 3, 4, 0,
         S4, D4)
    case("icmp", e / IP(**v4) / ICMP(type=3, code=4), 0x800, IP4 | L4, 1, 64, 0, 0, 3, 4, 0, S4,
         D4)
    case("gre has no ports", e / IP(proto=47, **v4) / Raw(b"\0" * 20), 0x800, IP4, 47, 64, 0, 0,
         0, 0, 0, S4, D4)
    case("icmp6 over ip4 has no ports", e / IP(proto=58, **v4) / Raw(b"\x87" * 40), 0x800, IP4,
         58, 64, 0, 0, 0, 0, 0, S4, D4)
    case("first fragment", e / IP(flags="MF", proto=17, **v4) / UDP(sport=5, dport=6) / Raw(b"z" * 16),
         0x800, IP4 | L4, 17, 64, 0, 1, 5, 6, 0, S4, D4)
    case("later fragment", e / IP(frag=2, proto=17, **v4) / Raw(b"z" * 16), 0x800, IP4, 17, 64, 0,
         3, 0, 0, 0, S4, D4)
    case("df is no fragment", e / IP(flags="DF", **v4) / UDP(sport=5, dport=6), 0x800, IP4 | L4,
         17, 64, 0, 0, 5, 6, 0, S4, D4)
    case("ihl below 5", e / IP(ihl=4, len=28, **v4) / UDP(), 0x800, 0)
    case("ip total longer than frame", e / IP(len=200, **v4) / UDP(), 0x800, 0)
    case("ip total shorter than header", e / IP(len=19, **v4) / UDP(), 0x800, 0)
    case("ip total cuts udp", e / IP(len=27, **v4) / UDP(sport=1, dport=2), 0x800, IP4, 17, 64, 0,
         0, 0, 0, 0, S4, D4)
    case("tagged", e / Dot1Q(vlan=5, prio=3) / IP(**v4) / UDP(sport=1, dport=2), 0x800,
         IP4 | L4 | VLAN, 17, 64, 0, 0, 1, 2, 0, S4, D4, tci=0x7005)
    case("vid 0", e / Dot1Q(vlan=0, prio=1) / IP(**v4) / UDP(sport=1, dport=2), 0x800,
         IP4 | L4 | VLAN, 17, 64, 0, 0, 1, 2, 0, S4, D4, tci=0x3000)
    case("two tags: the outer one counts",
         e / Dot1Q(vlan=5) / Dot1Q(vlan=6) / IP(**v4) / UDP(sport=1, dport=2), 0x800,
         IP4 | L4 | VLAN, 17, 64, 0, 0, 1, 2, 0, S4, D4, tci=0x1005)
    case("three tags: the third is payload",
         e / Dot1Q(vlan=5) / Dot1Q(vlan=6) / Dot1Q(vlan=7) / IP(**v4) / UDP(), 0x8100, VLAN,
         tci=0x1005)
    case("802.1ad tag", Ether(type=0x88a8, **E) / Dot1Q(vlan=9) / IP(**v4) / UDP(sport=1, dport=2),
         0x800, IP4 | L4 | VLAN, 17, 64, 0, 0, 1, 2, 0, S4, D4, tci=0x1009)
    case("802.3 with llc", Dot3(**E) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / Raw(b"q" * 30), 0x5ff, 0)
    case("802.3 with snap", Dot3(**E) / LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(OUI=0, code=0x800) /
         IP(**v4) / UDP(sport=1, dport=2), 0x800, IP4 | L4, 17, 64, 0, 0, 1, 2, 0, S4, D4)
    case("arp", e / ARP(op=1, hwsrc="02:00:00:00:00:0a", psrc=S4, hwdst="02:00:00:00:00:0b", pdst=D4),
         0x806, ARPK, sport=1, src=S4, dst=D4, sha="02:00:00:00:00:0a", tha="02:00:00:00:00:0b")
    case("rarp", Ether(type=0x8035, **E) /
         ARP(op=3, hwsrc="02:00:00:00:00:0a", psrc=S4, hwdst="02:00:00:00:00:0b", pdst=D4),
         0x8035, ARPK, sport=3, src=S4, dst=D4, sha="02:00:00:00:00:0a", tha="02:00:00:00:00:0b")
    case("arp with a large op", e / ARP(op=0x101, hwsrc="02:00:00:00:00:0a", psrc=S4,
         hwdst="02:00:00:00:00:0b", pdst=D4),
         0x806, ARPK, sport=0, src=S4, dst=D4, sha="02:00:00:00:00:0a", tha="02:00:00:00:00:0b")
    case("arp of other hardware", e / ARP(hwtype=6), 0x806, 0)
    case("lldp", Ether(type=0x88cc, **E) / Raw(b"l" * 46), 0x88cc, 0)
    i6 = e / IPv6(tc=0x2e, fl=0xabcde, hlim=9, **v6)
    k6 = dict(ttl=9, tos=0x2e, src=S6, dst=D6, label=0xabcde)
    case("udp6", i6 / UDP(sport=1, dport=2) / "q", 0x86dd, IP6 | L4, 17, sport=1, dport=2, **k6)
    case("tcp6", i6 / TCP(sport=1, dport=2, flags="R"), 0x86dd, IP6 | L4, 6, sport=1, dport=2,
         flags=4, **k6)
    case("icmp6 echo", i6 / ICMPv6EchoRequest(), 0x86dd, IP6 | L4, 58, sport=128, dport=0, **k6)
    case("icmp4 over ip6 has no ports", e / IPv6(tc=0x2e, fl=0xabcde, hlim=9, nh=1, **v6) /
         Raw(b"\x08" * 16), 0x86dd, IP6, 1, **k6)
    case("hop by hop, routing, destination options", i6 / IPv6ExtHdrHopByHop() /
         IPv6ExtHdrRouting(addresses=["fd00::9"]) / IPv6ExtHdrDestOpt() / UDP(sport=3, dport=4),
         0x86dd, IP6 | L4, 17, sport=3, dport=4, **k6)
    case("authentication header", e / IPv6(tc=0x2e, fl=0xabcde, hlim=9, nh=51, **v6) /
         AH(nh=17, payloadlen=4, icv=b"\0" * 12) / UDP(sport=3, dport=4), 0x86dd, IP6 | L4, 17,
         sport=3, dport=4, **k6)
    case("atomic fragment", i6 / IPv6ExtHdrFragment(offset=0, m=0) / UDP(sport=3, dport=4), 0x86dd,
         IP6 | L4, 17, frag=0, sport=3, dport=4, **k6)
    case("first fragment6", i6 / IPv6ExtHdrFragment(offset=0, m=1) / UDP(sport=3, dport=4) / "12345678",
         0x86dd, IP6 | L4, 17, frag=1, sport=3, dport=4, **k6)
    case("later fragment6", i6 / IPv6ExtHdrFragment(offset=5, m=1, nh=17) / Raw(b"p" * 24), 0x86dd,
         IP6, 44, frag=3, **k6)
    case("extension header cut off", i6 / IPv6ExtHdrDestOpt(len=9) / Raw(b"p" * 8), 0x86dd, IP6,
         src=S6, dst=D6)
    case("payload longer than frame", e / IPv6(plen=100, **v6) / UDP(), 0x86dd, 0)
    n6 = e / IPv6(hlim=255, **v6)
    kn = dict(ttl=255, src=S6, dst=D6)
    case("ns", n6 / ICMPv6ND_NS(tgt="fd00::7") / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:0c"),
         0x86dd, IP6 | L4 | ND, 58, sport=135, target="fd00::7", sll="02:00:00:00:00:0c", **kn)
    case("ns without option", n6 / ICMPv6ND_NS(tgt="fd00::7"), 0x86dd, IP6 | L4 | ND, 58, sport=135,
         target="fd00::7", **kn)
    case("na behind another option", n6 / ICMPv6ND_NA(tgt="fd00::7") / ICMPv6NDOptMTU() /
         ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:0d"),
         0x86dd, IP6 | L4 | ND, 58, sport=136, target="fd00::7", tll="02:00:00:00:00:0d", **kn)
    case("ns with an option of length 0", n6 / ICMPv6ND_NS(tgt="fd00::7") / Raw(b"\x01\0" + b"\x02" * 6),
         0x86dd, IP6 | L4, 58, sport=135, **kn)
    case("ns with an option past the end", n6 / ICMPv6ND_NS(tgt="fd00::7") /
         Raw(b"\x01\x02" + b"\x02" * 6), 0x86dd, IP6 | L4, 58, sport=135, **kn)
    case("ns with the option twice", n6 / ICMPv6ND_NS(tgt="fd00::7") /
         ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:0c") /
         ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:0d"), 0x86dd, IP6 | L4, 58, sport=135, **kn)


if __name__ == "__main__":
    main()
