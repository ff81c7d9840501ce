# SPDX-License-Identifier: Apache-2.0
"""A load balancer that hashes only addresses: all connections of one client reach the same
backend."""
from topologies import answer, at, choice, switched

net = switched(1, 2, 3, 4)
a, b, backends = net.hosts[1], net.hosts[4], [net.hosts[n] for n in (2, 3)]
vip = at('30.0.0.1', backends[0])

SPEC = net.spec(sum([[h.tcp(vip, sport=p), answer(), h.segment(vip, 'A', 2, 5001, sport=p)]
                     for h in (a, b) for p in (1000, 1001, 1002)], [])
                + [a.udp(vip, sport=p, dport=53) for p in (1, 2, 3)],
                nb=['lb-add lb0 30.0.0.1:80 10.0.1.2:80,10.0.1.3:80 tcp',
                    'lb-add lb1 30.0.0.1:53 10.0.1.2:53,10.0.1.3:53 udp',
                    'set load_balancer lb0 selection_fields=ip_src,ip_dst',
                    'set load_balancer lb1 selection_fields=ip_src,ip_dst,tp_dst',
                    'ls-lb-add s1 lb0', 'ls-lb-add s1 lb1'], alternatives=[choice(*backends)])
