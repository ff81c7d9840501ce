# SPDX-License-Identifier: Apache-2.0
"""allow-related ACLs: who may open a connection, and what a connection lets through afterwards;
a connection whose ACL is gone is blocked; hosts answer what really reached them."""
from topologies import answer, change, switched

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
WEB = "'outport == \"lp2\" && ip && tcp.dst == 80'"

SPEC = net.spec([
    a.tcp(b, dport=81), b.tcp(a, sport=80, dport=1000, flags='SA'), a.tcp(b),
    answer(), a.segment(b, 'A', 2, 5001), a.segment(b, 'PA', 2, 5001, b'GET /'), answer(tcp='PA'),
    a.tcp6(b), answer(), b.tcp(a, sport=2000), a.udp(b), a.udp(b, dport=53), answer(),
    answer(size=40),
    a.udp(b, dport=53), b.udp(a, sport=53, dport=1001), a.ping(b), answer(), b.ping(a), a.ping6(b),
    answer(), a.udp6(b, dport=53), answer(), b.tcp(c), answer(), c.tcp(b),
    change('acl-del s1 to-lport 1002 ' + WEB),
    a.segment(b, 'A', 7, 5007), b.segment(a, 'PA', 5007, 7, b'late', sport=80, dport=1000),
    a.tcp(b, sport=1009),
    change('acl-add s1 to-lport 1002 ' + WEB + ' allow-related'),
    a.segment(b, 'A', 7, 5007), b.segment(a, 'PA', 5007, 7, b'late', sport=80, dport=1000),
    a.tcp(b, sport=1009), answer(),
], nb=['acl-add s1 to-lport 1002 ' + WEB + ' allow-related',
       "acl-add s1 to-lport 1003 'outport == \"lp2\" && udp.dst == 53' allow-related",
       "acl-add s1 to-lport 1003 'outport == \"lp2\" && icmp' allow",
       "acl-add s1 to-lport 1001 'outport == \"lp2\" && ip' drop",
       "acl-add s1 to-lport 1001 'outport == \"lp1\" && ip' drop",
       "acl-add s1 from-lport 1001 'inport == \"lp3\" && ip' drop"])
