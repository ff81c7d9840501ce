# SPDX-License-Identifier: Apache-2.0
"""Matches on IP and IPv6: protocol, DSCP, ECN, TTL, flow label, kinds of multicast, ranges,
masks, negations."""
from topologies import switched
from traffic import IP, UDP, Ether, ICMPv6EchoRequest, IPv6, IPv6ExtHdrHopByHop, payload

net = switched(*range(1, 11))
h = net.hosts
a = h[1]


def group(dst, mac, proto=UDP(sport=9, dport=9)):
    return a.send(Ether(src=a.mac, dst=mac) / IPv6(src=a.ip6, dst=dst) / proto / payload(8))


RULES = {2: 'ip.dscp == 46', 3: 'ip.ecn == 3', 4: 'ip.ttl == {11, 20}', 5: 'ip6.label == 0x12345',
    6: 'ip.proto == {47, 50}', 7: 'ip4.src == 10.0.1.0/30 && ip4.dst != 10.0.1.8',
         8: 'ip4.dst[0..3] == 8 && ip.ttl == 63',
         9: 'ip6.src == fd01::/120 && ip6.dst != {fd01::8, fd01::a} && tcp',
         10: 'ip.dscp == {46, 40} && ip.ecn == 0'}
GROUPS = [('ff02::1', '33:33:00:00:00:01'), ('ff02::2', '33:33:00:00:00:02'),
    ('ff02::1:ff00:2', '33:33:ff:00:00:02'), ('ff02::', '33:33:00:00:00:00'),
    ('ff05::', '33:33:00:00:00:00'),
          ('ff0e::99', '33:33:00:00:00:99'), ('ff01::1', '33:33:00:00:00:01'),
          ('ff05::2', '33:33:00:00:00:02'), ('fd01::2', '33:33:00:00:00:01')]

SPEC = net.spec(
    sum([[a.udp(h[n]), a.udp(h[n], tos=0xb8), a.udp(h[n], tos=3), a.udp(h[n], tos=0xbb),
    a.udp(h[n], ttl=10), a.udp(h[n], ttl=11), a.udp(h[n], ttl=20), a.udp(h[n], ttl=21)]
    for n in (2, 3, 4, 10)], [])
    + sum([[a.udp6(h[n]), a.udp6(h[n], fl=0x12345), a.udp6(h[n], tc=0xb8), a.udp6(h[n], hlim=15),
    a.ping6(h[n])] for n in (2, 4, 5, 9)], [])
    + [a.send(a.ether(h[6]) / IP(src=a.ip, dst=h[6].ip, proto=p) / payload(20))
    for p in (46, 47, 50)]
    + [a.send(a.ether(h[6]) / IPv6(src=a.ip6, dst=h[6].ip6, nh=p) / payload(20)) for p in (46, 47)]
    + [a.send(a.ether(h[6]) / IPv6(src=a.ip6, dst=h[6].ip6) / IPv6ExtHdrHopByHop() / payload(20)),
    a.send(a.ether(h[9]) / IPv6(src=a.ip6, dst=h[9].ip6) / IPv6ExtHdrHopByHop()
    / ICMPv6EchoRequest(id=1))]
    + [a.udp(h[7]), a.udp(h[7], src='10.0.1.4'), a.udp(h[7], dst='10.0.1.8'), a.udp(h[8]),
    a.udp(h[8], ttl=63), a.udp(h[8], dst='10.0.1.24', ttl=63), a.tcp6(h[9], src='fd01::100'),
    a.tcp6(h[9])]
    + [group(*g) for g in GROUPS] + [a.send(Ether(src=a.mac, dst='01:00:5e:01:01:01') / IP(src=a.ip,
    dst='239.1.1.1') / UDP()), a.send(a.ether(h[2]) / IP(src='239.1.1.1', dst=h[2].ip) / UDP()),
                                     a.send(a.ether(h[2]) / IP(src=a.ip, dst='239.1.1.1') / UDP())],
    nb=["acl-add s1 to-lport 1000 'outport == \"lp%d\" && (%s)' drop" % (n, rule) for n,
    rule in RULES.items()]
    + ["acl-add s1 from-lport %d '%s && udp' %s" % (2000 - n, rule, verdict) for n,
    (rule, verdict) in enumerate([('ip6.mcast_all_nodes', 'drop'), ('ip6.mcast_all_rtrs', 'drop'),
    ('ip6.mcast_sol_node', 'drop'),
    ('ip6.mcast_rsvd', 'drop'), ('ip6.mcast_flood', 'drop'),
    ('ip6.mcast && ip6.dst == ff0e::99', 'drop')])]
    + ["acl-add s1 from-lport 1500 'ip4.mcast && ip4' drop",
    "acl-add s1 from-lport 1500 'ip4.src_mcast && ip4' drop"])
