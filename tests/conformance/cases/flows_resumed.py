# SPDX-License-Identifier: Apache-2.0
"""A balanced packet goes to the controller and comes back: it is still the connection's.

After dns_lookup() flows see the connection's state as before, a commit finds the connection that is
there (and does not make a second one under another port), and a lookup sees it as established or new
just as without the detour, which port 54 takes.
"""
from topologies import at, switched

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
vip = at('10.0.1.99', b)
vip.mac = b.mac
TO_B = ' && eth.dst == ' + b.mac


def flow(pipeline, table, priority, match, actions):
    return ['s1', pipeline, table, priority, match, actions]


def deliver(mac):
    return 'eth.dst = %s; outport = "lp2"; output;' % mac


# The TTL shows what flows see after the detour, the MAC what they see after the next step.
FLOWS = [
    flow('ingress', 0, 100, 'ip && inport == "lp1"', 'ct_next;'),
    flow('ingress', 0, 0, '1', 'next;'),
    flow('ingress', 1, 100, 'ct.new && ip4.dst == 10.0.1.99', 'ct_lb(backends=10.0.1.2);'),
    flow('ingress', 1, 0, '1', 'next;'),
    flow('ingress', 2, 100, 'udp.dst == 53', 'reg0[4] = dns_lookup(); next;'),
    flow('ingress', 2, 0, '1', 'next;'),
    flow('ingress', 3, 103, 'ct.new && ct.dnat', 'ip.ttl = 200; next;'),
    flow('ingress', 3, 102, 'ct.new', 'ip.ttl = 201; next;'),
    flow('ingress', 3, 101, 'ct.trk', 'ip.ttl = 202; next;'),
    flow('ingress', 3, 0, '1', 'ip.ttl = 203; next;'),
    flow('ingress', 4, 100, 'ip && udp.src == 1000', 'ct_commit { ct_label.blocked = 0; }; next;'),
    flow('ingress', 4, 100, 'ip && udp.src == 1002', 'ct_next;'),
    flow('ingress', 4, 0, '1', 'next;'),
    flow('ingress', 5, 102, 'ct.new && ct.dnat' + TO_B, deliver('00:00:00:00:00:01')),
    flow('ingress', 5, 101, 'ct.new' + TO_B, deliver('00:00:00:00:00:02')),
    flow('ingress', 5, 100, 'ct.est' + TO_B, deliver('00:00:00:00:00:03')),
    flow('ingress', 5, 0, 'eth.dst == ' + b.mac, 'outport = "lp2"; output;'),
    flow('egress', 0, 0, '1', 'output;')]

SPEC = net.spec([a.udp(vip, sport=sport, dport=dport)
                 for sport in (1000, 1001, 1002) for dport in (53, 54)], flows=FLOWS)
