# SPDX-License-Identifier: Apache-2.0
"""Policies with several next hops, with pkt_mark, with address sets and with matches on what a
router knows."""
from topologies import at, choice, routed

net = routed([1, 4], [2], [3])
a, d, b, c = [net.hosts[n] for n in (1, 4, 2, 3)]
members = choice(b, c)
for member, switch in zip(members['words'], (2, 3)):
    member.append('00000000ff%02x' % switch)
far = at('20.0.0.1', a)

SPEC = net.spec(sum([[a.udp(far, sport=p), a.udp(far, sport=p), a.tcp(far, sport=p)]
    for p in range(1000, 1005)], [])
                + [d.udp(b), d.udp(b, dport=53), d.tcp(b), d.udp6(b), a.udp(b, tos=0xb8),
                a.udp(c, dport=9), a.udp(far, dport=5353), d.ping(b), a.udp(b, ttl=1)],
                nb=['lr-route-add r 20.0.0.0/8 10.0.2.2',
                "lr-policy-add r 1000 'ip4.src == 10.0.1.1 && ip4.dst == 20.0.0.0/8' reroute "
                "10.0.2.2,10.0.3.3", 'create address_set name=special addresses=10.0.1.4',
                    "lr-policy-add r 900 'ip4.src == $special && udp.dst == 53' reroute 10.0.3.3 "
                    "pkt_mark=100", "lr-policy-add r 800 'ip4.src == $special && tcp' drop",
                    "lr-policy-add r 700 'inport == \"r-s1\" && udp.dst == 9' allow pkt_mark=7",
                    "lr-policy-add r 2000 'pkt.mark == 5' drop", "lr-policy-add r 650 'ip6.src "
                        "== fd01::4' drop"],
                alternatives=[members])
