# SPDX-License-Identifier: Apache-2.0
"""Matches on TCP, UDP, SCTP, ICMP and neighbour discovery, with ranges, sets and flags."""
from topologies import switched
from traffic import (ICMP, IP, Ether, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr, IPv6, SCTPChunkInit)

net = switched(*range(1, 10))
h = net.hosts
a = h[1]


def nd(to, kind, option=None, hlim=255, **fields):
    body = (ICMPv6ND_NS if kind == 135 else ICMPv6ND_NA)(tgt=to.ip6, **fields)
    packet = Ether(src=a.mac, dst=to.mac) / IPv6(src=a.ip6, dst=to.ip6, hlim=hlim) / body
    return a.send(packet / option if option else packet)


def icmp(to, kind, code=0):
    return a.send(a.ether(to) / IP(src=a.ip, dst=to.ip) / ICMP(type=kind, code=code))


RULES = {2: 'tcp.dst == {80, 443, 8000..8010}'.replace('8000..8010', '8000, 8005'),
    3: '1000 <= udp.src <= 1010 || tcp.src > 60000',
    4: 'tcp.flags == 0x2/0x17 || tcp.flags[0] == 1', 5: 'sctp.dst == 80 || sctp.src == 7',
         6: '(icmp4.type == 8 && icmp4.code == 0) || icmp6.type == 128',
         7: 'icmp && icmp4.code == {1, 3}', 8: 'nd_ns && nd.target == fd01::8 && nd.sll == '
                        '50:54:00:00:00:01',
                        9: '(nd_na && nd.tll == 50:54:00:00:00:77) || nd.target == fd01::9'}

SPEC = net.spec(
    [a.tcp(h[2], dport=p) for p in (79, 80, 443, 8000, 8001, 8005)]
    + [a.tcp6(h[2], dport=p) for p in (443, 444)] + [a.udp(h[2], dport=80)]
    + [a.udp(h[3], sport=p) for p in (999, 1000, 1010, 1011)]
    + [a.tcp(h[3], sport=p) for p in (1000, 60000, 60001)] + [a.udp6(h[3], sport=1005)]
    + [a.tcp(h[4], flags=f) for f in ('S', 'SA', 'SF', 'A', 'FA', 'R', 'SEC', '')]
    + [a.sctp(h[5], SCTPChunkInit(), dport=d, sport=s) for d, s in ((80, 1), (81, 7), (81, 8))]
    + [a.udp(h[5], dport=80, sport=7)]
    + [icmp(h[n], k, c) for n in (6, 7) for k, c in ((8, 0), (8, 1), (0, 0), (3, 3), (13, 0))]
    + [a.ping6(h[6]), a.ping6(h[7])]
    + [nd(h[n], 135, o) for n in (8, 9) for o in (None, ICMPv6NDOptSrcLLAddr(lladdr=a.mac),
    ICMPv6NDOptSrcLLAddr(lladdr=h[5].mac))]
    + [nd(h[n], 136, o, S=1) for n in (8, 9) for o in (None,
    ICMPv6NDOptDstLLAddr(lladdr='50:54:00:00:00:77'), ICMPv6NDOptDstLLAddr(lladdr=a.mac))]
    + [nd(h[8], 135, ICMPv6NDOptSrcLLAddr(lladdr=a.mac), hlim=64)]
    + [a.solicit('fd01::99'), a.solicit('fd01::8')],
    nb=["acl-add s1 to-lport 1000 'outport == \"lp%d\" && (%s)' drop" % (n, rule) for n,
    rule in RULES.items()]
    + ["acl-add s1 from-lport 1000 'ip6.mcast && nd_ns && nd.target == fd01::99' drop",
    "acl-add s1 from-lport 999 'nd && nd.target == fd01::77' drop",
       "acl-add s1 from-lport 998 'nd_rs || nd_ra || mldv1 || mldv2 || igmp' drop"])
