# SPDX-License-Identifier: Apache-2.0
"""Tagged packets on a switch that lets tags through: which answers carry the tag."""
from topologies import switched
from traffic import (ARP, BROADCAST, ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6, SCTP,
                     SCTPChunkInit, group_tail, payload, solicited_node)

net = switched(1, 2, 3)
a, b, c = [net.hosts[n] for n in (1, 2, 3)]
low = solicited_node(c.ip6)


def tagged(to, packet, vlan=5, prio=3):
    link = a.ether(to)
    return a.send(link / Dot1Q(vlan=vlan, prio=prio) / packet)


four, six = IP(src=a.ip, dst=b.ip), IPv6(src=a.ip6, dst=b.ip6)
SPEC = net.spec([
    tagged(b, four / UDP(sport=1, dport=2)), tagged(b, four / TCP(sport=1, dport=2, flags='S')),
    tagged(b, six / UDP(sport=1, dport=2)),
    tagged(b, six / TCP(sport=1, dport=2, flags='S')), tagged(b, four / SCTP(sport=1,
    dport=2) / SCTPChunkInit(init_tag=4)),
    tagged(b, four / UDP(sport=1, dport=2) / payload(800)), tagged(b, four / ICMP(), vlan=0, prio=7),
    tagged(b, four / ICMP(), vlan=4095),
    tagged(BROADCAST, ARP(hwsrc=a.mac, psrc=a.ip, pdst=c.ip)),
    tagged('33:33:' + group_tail(low), IPv6(src=a.ip6, dst=low,
    hlim=255) / ICMPv6ND_NS(tgt=c.ip6) / ICMPv6NDOptSrcLLAddr(lladdr=a.mac)),
    a.send(Ether(src=a.mac, dst=b.mac) / Dot1Q(vlan=5) / Dot1Q(vlan=6) / four / UDP(sport=1, dport=2)),
    a.send(Ether(src=a.mac, dst=b.mac, type=0x88a8) / Dot1Q(vlan=5) / four / UDP(sport=1, dport=2)),
    tagged(c, IP(src=a.ip, dst=c.ip) / UDP(sport=1, dport=2)), a.udp(b),
], nb=["acl-add s1 to-lport 1001 'outport == \"lp2\" && ip' reject",
    'set logical_switch s1 other_config:vlan-passthru=true'])
