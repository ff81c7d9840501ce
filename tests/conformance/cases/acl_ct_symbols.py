# SPDX-License-Identifier: Apache-2.0
"""Users' matches on connection state and marks: ct.new, ct.est, ct.rpl, ct.rel, ct.trk,
ct.snat, ct.dnat, ct_state, ct_mark and ct_label, and on an ACL's label.

ct.inv is matched by what northd writes itself: in an ACL it meets ct.est in one flow, which
Open vSwitch refuses, and with it everything else.
"""
from topologies import answer, switched

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]


def acl(priority, match, verdict='drop', direction='to-lport', words=''):
    return "%s acl-add s1 %s %d '%s' %s" % (words, direction, priority, match, verdict)


SPEC = net.spec([
    a.tcp(b), answer(), a.segment(b, 'A', 2, 5001), a.segment(b, 'PA', 2, 5001, b'data'),
    answer(tcp='PA'),
    a.tcp(b, dport=81), answer(), a.segment(b, 'A', 2, 5001, dport=81), answer(tcp='PA'),
    a.udp(b, dport=1), a.udp(b, dport=1), answer(), a.udp(b, dport=2), a.udp(b, dport=2), answer(),
    a.udp(b, dport=2), answer(),
    a.udp(b, dport=3), a.udp(b, dport=3), answer(), a.udp(b, dport=4), answer(error='port'),
    a.udp(b, dport=5), answer(),
    a.tcp(b, dport=82, flags='A'), a.tcp(b, dport=82, flags='SA'), a.udp(b, dport=6),
    a.udp(b, dport=6), a.udp(b, dport=7), answer(),
    a.udp(b, dport=8), answer(), a.udp(c, dport=8), answer(), a.udp6(b, dport=2), answer(),
    a.udp6(b, dport=2), answer(),
    a.udp(b, dport=9), answer(), a.udp(b, dport=9),
], nb=[acl(3000, 'tcp.dst == 81 && ct.est && !ct.rpl'), acl(3000, 'udp.dst == 1 && ct.new'),
       acl(3000, 'udp.dst == 2 && ct.est && ct.trk'), acl(3000, 'udp.src == 3 && ct.rpl'),
       acl(3000, 'ip && ct.rel'), acl(3000, 'udp.dst == 5 && (ct.dnat || ct.snat)'),
       acl(3000, 'udp.dst == 6 && ct_state == 0x21'),
       acl(3000, 'udp.src == 7 && ct_state == 0x2a/0x2a'),
       acl(3000, 'udp.src == 9 && ct_label.label == 1234'),
       acl(3000,
       'udp.dst == 8 && outport == "lp3" && ct_mark == 0 && ct_label == 0 && ct_mark.blocked == 0'
                 ' && ct_mark.natted == 0 && ct_label.natted == 0 && ct_label.blocked == 0'),
       acl(1002, 'outport == "lp2" && udp.dst == 9', 'allow-related', words='--label=1234'),
       acl(1001, 'ip', 'allow-related'), acl(1001, 'ip', 'allow-related', 'from-lport')])
