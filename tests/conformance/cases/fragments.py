# SPDX-License-Identifier: Apache-2.0
"""Fragments: as they are where nothing is tracked, put together for the tracker where it is;
ip.frag, ip.is_frag, ip.first_frag and ip.later_frag in matches."""
from scapy.layers.inet import fragment
from scapy.layers.inet6 import IPv6ExtHdrFragment, fragment6
from topologies import answer, switched
from traffic import IP, UDP, IPv6, payload

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]


def pieces(sender, to, size=100, fragsize=48, ident=5, dport=2000):
    packet = IP(src=sender.ip, dst=to.ip, id=ident) / UDP(sport=1000, dport=dport) / payload(size)
    packet = IP(bytes(packet))
    return [sender.send(sender.ether(to) / p) for p in fragment(packet, fragsize=fragsize)]


def pieces6(sender, to, dport=2000):
    packet = IPv6(src=sender.ip6, dst=to.ip6) / IPv6ExtHdrFragment(id=9) / UDP(sport=1000,
        dport=dport) / payload(3000)
    return [sender.send(sender.ether(to) / p) for p in fragment6(packet, 1280)]


x, y = pieces(a, b, ident=6, dport=53), pieces(a, b, ident=7)

SPEC = net.spec(
    pieces(a, c) + pieces(a, c, dport=7) + [a.udp(c, flags='MF'), a.udp(c, frag=3), a.udp(c,
    flags='DF')]
    + pieces(a, b, dport=53) + [answer()] + pieces(a, b, ident=8, dport=54) + [x[1], x[0], x[2]]
    + [y[0], y[2]]
    + pieces6(a, c) + pieces6(a, b, dport=53) + [answer()] + pieces6(a, b, dport=54)
    + [a.udp(b, dport=53), a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, id=77, flags='MF')
    / UDP(sport=1000, dport=53) / payload(11)),
       a.udp(b, dport=53, id=99, flags='MF', size=24),
       a.udp(b, dport=53, id=99, flags='MF', size=24)],
    nb=["acl-add s1 to-lport 1002 'outport == \"lp2\" && udp.dst == 53' allow-related",
        "acl-add s1 to-lport 1001 'outport == \"lp2\" && ip' drop",
        "acl-add s1 from-lport 1003 'inport == \"lp3\"' allow-stateless",
        "acl-add s1 from-lport 1003 'ip4.dst == 10.0.1.3 || ip6.dst == fd01::3' allow-stateless",
        "acl-add s1 to-lport 1500 'outport == \"lp3\" && ip4' allow-stateless",
        "acl-add s1 to-lport 1500 'outport == \"lp3\" && ip6' allow-stateless"])
