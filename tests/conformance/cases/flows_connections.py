# SPDX-License-Identifier: Apache-2.0
"""Old forms of connection actions, which 23.03 understands and no northd of today writes: marks given
as arguments, ct_lb, bits of ct_label; and which translation a packet has had.

A commit is in the zone of a's port, so what answers find is looked at on their way to a, and shown
by the TTL that a gets.
"""
from topologies import at, switched

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
vip = at('10.0.1.99', b)
vip.mac = b.mac


def flow(pipeline, table, priority, match, actions):
    return ['s1', pipeline, table, priority, match, actions]


# What a commit of port N says, and what its answer has to be like; the TTL is N.
KINDS = [
    ('ct_commit(ct_mark=0x5/0xf, ct_label=0x70000000000000000000000000000001);',
     'ct_mark == 5 && ct_label[124..127] == 7 && ct_label.blocked'),
    ('ct_commit(ct_mark=6);', 'ct_mark == 6 && ct_label == 0'),
    ('ct_commit(ct_label=0x5);', 'ct_mark == 0 && ct_label == 5'),
    ('ct_commit;', 'ct_mark == 0 && ct_label == 0'),
    ('ct_commit { ct_label.natted = 1; };', 'ct_label.natted && !ct_label.blocked'),
    ('ct_commit { ct_label.skip_snat = 1; };', 'ct_label.skip_snat && !ct_label.natted'),
    ('ct_commit { ct_label.force_snat = 1; };', 'ct_label.force_snat && !ct_label.skip_snat'),
    ('ct_commit { ct_label.ecmp_reply_port = 0x1234; };', 'ct_label.ecmp_reply_port == 0x1234'),
]
FIRST = 10
FLOWS = [
    flow('ingress', 0, 100, 'ip && inport == "lp1"', 'ct_next;'),
    flow('ingress', 0, 0, '1', 'next;'),
    # The balancer: a connection to .99 goes to b, its answers come back as .99.
    flow('ingress', 1, 100, 'ct.new && ip4.dst == 10.0.1.99 && udp.dst == 50',
         'ct_lb(backends=10.0.1.2:2020);'),
    flow('ingress', 1, 90, 'ct.est && ip4.dst == 10.0.1.99', 'ct_lb;'),
    flow('ingress', 1, 0, '1', 'next;'),
    flow('ingress', 2, 100, 'inport == "lp1" && ct.dnat && !ct.snat', 'ip.ttl = 201; next;'),
    flow('ingress', 2, 0, '1', 'next;'),
    flow('ingress', 3, 100, 'eth.dst == ' + a.mac, 'outport = "lp1"; output;'),
    flow('ingress', 3, 100, 'eth.dst == ' + b.mac, 'outport = "lp2"; output;'),
    flow('egress', 0, 110, 'outport == "lp1" && udp.src == 2020', 'ct_lb;'),
    flow('egress', 0, 100, 'outport == "lp1" && ip', 'ct_next;'),
    flow('egress', 0, 0, '1', 'output;'),
    flow('egress', 1, 110, 'ct.dnat', 'ip.ttl = 202; output;'),
    flow('egress', 1, 110, 'ct.snat', 'ip.ttl = 203; output;'),
    flow('egress', 1, 0, '1', 'output;')]
for number, (commit, match) in enumerate(KINDS, FIRST):
    FLOWS += [flow('ingress', 1, 100, 'ct.new && udp.dst == %d' % number, commit + ' next;'),
              flow('egress', 1, 100, 'ct.rpl && ct.est && udp.src == %d && %s' % (number, match),
                   'ip.ttl = %d; output;' % number)]

CONVERSATION = [[a.udp(b, dport=n), b.udp(a, sport=n, dport=1000), a.udp(b, dport=n)]
                for n in range(FIRST, FIRST + len(KINDS))]
SPEC = net.spec(sum(CONVERSATION, [])
                + [a.udp(vip, dport=50), b.udp(a, sport=2020, dport=1000), a.udp(vip, dport=50),
                   b.udp(a, sport=2020, dport=1000), a.udp(vip, dport=51),
                   b.udp(a, sport=2020, dport=1001)], flows=FLOWS)
