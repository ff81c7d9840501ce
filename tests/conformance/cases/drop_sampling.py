# SPDX-License-Identifier: Apache-2.0
"""debug_drop_collector_set: dropped packets are sampled, forwarding is the same as without."""
from topologies import at, routed

net = routed([1], [2])
a, b = net.hosts[1], net.hosts[2]
SPEC = net.spec([a.udp(b), a.udp(at('77.0.0.1', a)), a.udp(b, dport=9), a.ping('10.0.1.254')],
    nb=['set nb_global . options:debug_drop_collector_set=123 options:debug_drop_domain_id=45',
    "acl-add s1 from-lport 1000 'udp.dst == 9' drop"])
