# SPDX-License-Identifier: Apache-2.0
"""Rejects next to connections: what belongs to an allowed connection passes, what does not is
answered."""
from topologies import answer, change, switched
from traffic import SCTPChunkInit

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]

SPEC = net.spec([
    a.tcp(b), answer(), a.segment(b, 'A', 2, 5001), a.tcp(b, dport=81), a.udp(b), a.udp6(b),
    a.tcp6(b, dport=443),
    a.sctp(b, SCTPChunkInit(init_tag=4)), a.udp(b, dport=53), answer(), b.udp(a), b.tcp(a),
    change("acl-del s1 to-lport 1002 'outport == \"lp2\" && tcp.dst == 80'"),
    a.segment(b, 'PA', 2, 5001, b'blocked'), a.tcp(b, sport=1001),
], nb=["acl-add s1 to-lport 1002 'outport == \"lp2\" && tcp.dst == 80' allow-related",
       "acl-add s1 to-lport 1002 'outport == \"lp2\" && udp.dst == 53' allow-related",
       "acl-add s1 to-lport 1001 'outport == \"lp2\" && ip' reject",
       "acl-add s1 from-lport 1001 'inport == \"lp2\" && ip' reject"])
