#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Frames and the answers to them, both built by scapy, as macro calls for C++.

Usage: make_transform_vectors.py > transform_vectors.inc
An answer is spelled out field by field from what ovn-sb(5) and the RFCs say (792, 4443, 9293, 9260);
the choices that they leave (TTL, DF, how much is quoted) are ovn-controller's.
"""
from scapy.all import (ARP, Dot1Q, Ether, ICMP, ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6ND_NA,
                       ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr,
                       ICMPv6PacketTooBig, ICMPv6TimeExceeded, IP, IPv6, IPv6ExtHdrDestOpt, Raw,
                       SCTP, SCTPChunkAbort, SCTPChunkData, SCTPChunkInit, TCP, UDP)

A, B = '02:00:00:00:00:0a', '06:00:00:00:00:0b'
A4, B4 = '10.1.2.3', '192.0.2.200'
A6, B6 = 'fd00::1', '2001:db8::ff'
THERE, BACK = Ether(src=A, dst=B), Ether(src=B, dst=A)


def case(name, transform, packet, answer=None):
    print('ANSWER("%s", %s, "%s", "%s")' % (
        name, transform, bytes(packet).hex(), bytes(answer).hex() if answer else ''))


def field(name, target, value, before, after):
    print('FIELD("%s", %s, 0x%x, "%s", "%s")' % (name, target, value, bytes(before).hex(),
                                               bytes(after).hex()))


def four(src, dst, ttl):
    return IP(src=src, dst=dst, id=0, flags='DF', ttl=ttl, tos=0)


def quoted(packet, room):
    return Raw(bytes(packet.getlayer(1))[:room])


def icmp4(packet, code, swap=True, link=None):
    net = four(B4, A4, 255) if swap else four(A4, B4, 255)
    return (link or (BACK if swap else THERE)) / net / ICMP(type=3, code=code) / quoted(packet, 534)


def icmp6(packet, code, swap=True):
    net = IPv6(src=B6, dst=A6, hlim=255) if swap else IPv6(src=A6, dst=B6, hlim=255)
    return (BACK if swap else THERE) / net / ICMPv6DestUnreach(code=code) / quoted(packet, 1218)


def rst(net, sport, dport, ack, link):
    return link / net / TCP(sport=sport, dport=dport, seq=0, ack=ack, flags='RA', window=0)


def data(size):
    return Raw(bytes((7 * i + 1) & 0xff for i in range(size)))


def icmp():
    v4, v6 = THERE / IP(src=A4, dst=B4, ttl=9, tos=0xb9), THERE / IPv6(src=A6, dst=B6, tc=0x20, fl=7)
    for size in (0, 1, 507, 508, 1400):
        p = v4 / UDP(sport=5, dport=6) / data(size)
        case('reject udp %d' % size, 'kReject', p, icmp4(p, 3))
        case('icmp4 udp %d' % size, 'kIcmp4', p, icmp4(p, 1, swap=False))
    for size in (0, 1, 1170, 1171, 1440):
        p = v6 / UDP(sport=5, dport=6) / data(size)
        case('reject udp6 %d' % size, 'kReject', p, icmp6(p, 4))
        case('icmp6 udp6 %d' % size, 'kIcmp6', p, icmp6(p, 1, swap=False))
    p = v4 / ICMP(type=8, id=3, seq=4) / data(30)
    case('reject echo', 'kReject', p, icmp4(p, 1))
    case('icmp4_error echo', 'kIcmp4Error', p, icmp4(p, 1, swap=False))
    p = v6 / ICMPv6EchoRequest(id=3, seq=4, data=b'abc')
    case('reject echo6', 'kReject', p, icmp6(p, 1))
    case('icmp6_error echo6', 'kIcmp6Error', p, icmp6(p, 1, swap=False))
    p = v4 / IP(src=B4, dst=A4) / UDP()
    case('reject tunnel', 'kReject', p, icmp4(p, 1))
    p = v6 / IPv6ExtHdrDestOpt() / UDP(sport=5, dport=6)
    case('icmp6 behind an extension header', 'kIcmp6', p, icmp6(p, 1, swap=False))
    p = v4 / UDP(sport=5, dport=6) / data(3)
    padded = bytes(p) + bytes(60 - len(p))
    case('reject padded', 'kReject', padded, icmp4(p, 3))
    p = THERE / IP(src=A4, dst=B4, frag=3, proto=17) / data(24)
    case('reject later fragment', 'kReject', p, icmp4(p, 3))
    p = THERE / Dot1Q(vlan=5, prio=3) / IP(src=A4, dst=B4) / UDP(sport=5, dport=6) / data(9)
    answer = BACK / Dot1Q(vlan=5, prio=3) / four(B4, A4, 255) / ICMP(type=3, code=3) / Raw(
        bytes(p[IP]))
    case('reject tagged', 'kReject', p, answer)
    case('reject 802.1ad with dei', 'kReject',
         Ether(src=A, dst=B, type=0x88a8) / Dot1Q(vlan=5, prio=3, id=1) / p[IP], answer)
    quote = Raw(bytes(THERE / IP(src=A4, dst=B4) / UDP())[14:])
    for kind, code in ((3, 0), (3, 3), (3, 4)):
        case('reject unreachable %d' % code, 'kReject', v4 / ICMP(type=kind, code=code) / quote)
    p = v4 / ICMP(type=11) / quote
    case('reject time exceeded', 'kReject', p, icmp4(p, 1))
    case('icmp4 about an unreachable', 'kIcmp4', v4 / ICMP(type=3, code=1) / quote,
         icmp4(v4 / ICMP(type=3, code=1) / quote, 1, swap=False))
    case('reject unreachable6', 'kReject', v6 / ICMPv6DestUnreach() / data(48))
    for error in (ICMPv6TimeExceeded(), ICMPv6PacketTooBig(mtu=1400)):
        p = v6 / error / data(48)
        case('reject ' + type(error).__name__, 'kReject', p, icmp6(p, 1))
    case('reject arp', 'kReject', THERE / ARP(psrc=A4, pdst=B4))
    case('icmp4 arp', 'kIcmp4', THERE / ARP(psrc=A4, pdst=B4))


def resets():
    v4, v6 = THERE / IP(src=A4, dst=B4, tos=4), THERE / IPv6(src=A6, dst=B6)
    for flags in ('S', 'A', 'SA', 'PA', 'FA', ''):
        tcp = TCP(sport=50, dport=60, flags=flags, seq=1000, ack=77, window=9)
        case('reject tcp ' + flags, 'kReject', v4 / tcp / data(5),
             rst(four(B4, A4, 63), 60, 50, 1001, BACK))
        case('reject tcp6 ' + flags, 'kReject', v6 / tcp / data(5),
             rst(IPv6(src=B6, dst=A6, hlim=63), 60, 50, 1001, BACK))
    last = TCP(sport=50, dport=60, flags='S', seq=0xffffffff, options=[('MSS', 1400)])
    case('tcp_reset', 'kTcpReset', v4 / last, rst(four(A4, B4, 63), 60, 50, 0, THERE))
    case('tcp_reset 6', 'kTcpReset', v6 / last,
         rst(IPv6(src=A6, dst=B6, hlim=63), 60, 50, 0, THERE))
    case('reject reset', 'kReject', v4 / TCP(sport=50, dport=60, flags='RA'))
    case('reject reset6', 'kReject', v6 / TCP(sport=50, dport=60, flags='R'))
    case('tcp_reset reset', 'kTcpReset', v4 / TCP(sport=50, dport=60, flags='R', seq=5),
         rst(four(A4, B4, 63), 60, 50, 6, THERE))
    case('tcp_reset udp', 'kTcpReset', v4 / UDP(sport=5, dport=6))
    tcp = TCP(sport=50, dport=60, flags='S', seq=1000)
    case('reject tagged tcp', 'kReject', THERE / Dot1Q(vlan=5) / v4[IP] / tcp,
         rst(four(B4, A4, 63), 60, 50, 1001, BACK))
    # A later fragment has no header, but OVN answers what stands in its place.
    fake = THERE / IP(src=A4, dst=B4, frag=4, proto=6) / Raw(
        bytes.fromhex('111122220000100055555555' + '00' * 12))
    case('reject later fragment of tcp', 'kReject', fake, rst(four(B4, A4, 63), 0, 0, 0x1001, BACK))


def aborts():
    v4, v6 = THERE / IP(src=A4, dst=B4), THERE / IPv6(src=A6, dst=B6)

    def abort(net, tag, reflected, link=BACK):
        return link / net / SCTP(sport=60, dport=50, tag=tag) / SCTPChunkAbort(TCB=reflected)
    init = SCTPChunkInit(init_tag=0x1234, a_rwnd=5)
    case('reject init', 'kReject', v4 / SCTP(sport=50, dport=60, tag=0) / init,
         abort(four(B4, A4, 63), 0x1234, 0))
    case('reject init with a tag', 'kReject', v4 / SCTP(sport=50, dport=60, tag=9) / init,
         abort(four(B4, A4, 63), 9, 1))
    case('reject data6', 'kReject',
         v6 / SCTP(sport=50, dport=60, tag=0x77777777) / SCTPChunkData(data=b'hello'),
         abort(IPv6(src=B6, dst=A6, hlim=63), 0x77777777, 1))
    case('sctp_abort', 'kSctpAbort', v4 / SCTP(sport=50, dport=60, tag=0) / SCTPChunkData(data=b'x'),
         abort(four(A4, B4, 63), 0, 1, THERE))
    case('reject tagged init', 'kReject', THERE / Dot1Q(vlan=5) / v4[IP] / SCTP(
        sport=50, dport=60, tag=0) / init, abort(four(B4, A4, 63), 0x1234, 0))
    case('reject abort', 'kReject', v4 / SCTP(sport=50, dport=60, tag=1) / SCTPChunkAbort())
    case('reject sctp without chunks', 'kReject', v4 / SCTP(sport=50, dport=60, tag=1))
    case('reject init cut short', 'kReject',
         v4 / SCTP(sport=50, dport=60) / Raw(bytes.fromhex('01000014') + bytes(12)))
    case('sctp_abort udp', 'kSctpAbort', v4 / UDP(sport=5, dport=6))


def resolution():
    p = THERE / IP(src=A4, dst=B4) / UDP(sport=5, dport=6) / data(40)
    arp = ARP(op=1, hwsrc=A, psrc=A4, hwdst='00:00:00:00:00:00', pdst=B4)
    case('arp', 'kArp', p, THERE / arp)
    case('arp tagged', 'kArp', THERE / Dot1Q(vlan=7) / p[IP], THERE / Dot1Q(vlan=7) / arp)
    p = THERE / IPv6(src=A6, dst=B6) / UDP(sport=5, dport=6)
    solicitation = Ether(src=A, dst='33:33:ff:00:00:ff') / IPv6(
        src='fe80::ff:fe00:a', dst='ff02::1:ff00:ff', hlim=255) / ICMPv6ND_NS(
            tgt=B6) / ICMPv6NDOptSrcLLAddr(lladdr=A)
    case('nd_ns', 'kNdNs', p, solicitation)
    case('nd_ns tagged', 'kNdNs', THERE / Dot1Q(vlan=7) / p[IPv6], solicitation)
    case('arp of ip6', 'kArp', p)
    for transform, router in (('kNdNa', 0), ('kNdNaRouter', 1)):
        p = THERE / IPv6(src=A6, dst='ff02::1:ff00:7', hlim=255) / ICMPv6ND_NS(
            tgt='fd00::7') / ICMPv6NDOptSrcLLAddr(lladdr=A)
        answer = BACK / IPv6(src='fd00::7', dst=A6, hlim=255) / ICMPv6ND_NA(
            tgt='fd00::7', R=router, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=B)
        case(transform, transform, p, answer)
        case(transform + ' tagged', transform, THERE / Dot1Q(vlan=7) / p[IPv6], answer)
        case(transform + ' of udp', transform, THERE / IPv6(src=A6, dst=B6) / UDP())


def fields():
    quote = IP(src='10.0.0.9', dst=B4, ttl=3) / UDP(sport=5, dport=6) / data(21)
    link4, link6 = THERE / IP(src=A4, dst=B4), THERE / IPv6(src=A6, dst=B6)
    need = dict(type=3, code=4)
    field('mtu', 'kIcmpMtu', 1400, link4 / ICMP(**need) / quote,
          link4 / ICMP(nexthopmtu=1400, **need) / quote)
    field('mtu again', 'kIcmpMtu', 0x10203, link4 / ICMP(nexthopmtu=1400, **need) / quote,
          link4 / ICMP(nexthopmtu=0x203, **need) / quote)
    inner6 = IPv6(src=A6, dst=B6) / UDP(sport=5, dport=6) / data(21)
    field('mtu6', 'kIcmpMtu', 0x12345, link6 / ICMPv6PacketTooBig(mtu=0) / inner6,
          link6 / ICMPv6PacketTooBig(mtu=0x12345) / inner6)
    udp = link4 / UDP(sport=5, dport=6) / data(40)
    field('mtu of udp', 'kIcmpMtu', 1400, udp, udp)
    moved = IP(src='172.16.254.1', dst=B4, ttl=3) / UDP(sport=5, dport=6, chksum=1) / data(21)
    first = IP(src='10.0.0.9', dst=B4, ttl=3) / UDP(sport=5, dport=6, chksum=1) / data(21)
    field('inner source', 'kIcmpInnerIp4Src', 0xac10fe01, link4 / ICMP(**need) / first,
          link4 / ICMP(**need) / moved)
    field('inner source of a short quote', 'kIcmpInnerIp4Src', 0xac10fe01,
          link4 / ICMP(**need) / Raw(bytes(first)[:19]), link4 / ICMP(**need) / Raw(bytes(first)[:19]))
    field('inner source of ip6', 'kIcmpInnerIp4Src', 1, link6 / ICMPv6PacketTooBig() / inner6,
          link6 / ICMPv6PacketTooBig() / inner6)


if __name__ == '__main__':
    icmp()
    resets()
    aborts()
    resolution()
    fields()
