# SPDX-License-Identifier: Apache-2.0
"""Load balancers of a gateway router with lb_force_snat_ip, with skip_snat, and next to SNAT."""
from topologies import PHYSICAL, answer, at, public, routed

net = routed([1, 2], [3])
outside = public(net, kind='gateway')
a, c = net.hosts[1], net.hosts[3]
forced, skipped = at('172.16.0.100', outside), at('172.16.0.101', outside)

SPEC = net.spec([
    outside.tcp(forced, sport=4000), answer(), outside.segment(forced, 'A', 2, 5001, sport=4000),
    outside.udp(forced, sport=4000, dport=53), answer(),
    outside.tcp(skipped, sport=4000), answer(), outside.segment(skipped, 'A', 2, 5001, sport=4000),
    c.tcp(forced), answer(), c.tcp(skipped, sport=1001), answer(), a.tcp(forced, sport=1002),
    answer(), a.udp(outside), answer(), a.tcp(outside, sport=6), answer(),
], nb=['lb-add lb0 172.16.0.100:80 10.0.1.1:80 tcp', 'lb-add lb1 172.16.0.100:53 10.0.2.3:53 udp',
'lb-add lb2 172.16.0.101:80 10.0.1.2:80 tcp',
       'set load_balancer lb2 options:skip_snat=true', 'lr-lb-add r lb0', 'lr-lb-add r lb1',
       'lr-lb-add r lb2',
       'set logical_router r options:lb_force_snat_ip="172.16.0.50"',
       'lr-nat-add r snat 172.16.0.60 10.0.0.0/16'], **PHYSICAL)
