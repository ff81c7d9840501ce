# SPDX-License-Identifier: Apache-2.0
"""Session affinity: within the time-out a client's new connections go to the backend it had."""
from topologies import answer, at, choice, pause, switched

net = switched(1, 2, 3, 4)
a, b, backends = net.hosts[1], net.hosts[4], [net.hosts[n] for n in (2, 3)]
vip, vip6 = at('30.0.0.1', backends[0]), at('fd30::1', backends[0])

SPEC = net.spec(sum([[h.tcp(vip, sport=p), answer(), h.segment(vip, 'A', 2, 5001, sport=p),
    pause(100)]
                     for h in (a, b) for p in (1000, 1001, 1002)], [])
                + sum([[a.tcp6(vip6, sport=p), answer(), pause(100)] for p in (1000, 1001, 1002)],
                []),
                nb=['lb-add lb0 30.0.0.1:80 10.0.1.2:80,10.0.1.3:80 tcp',
                    "lb-add lb1 '[fd30::1]:80' '[fd01::2]:80,[fd01::3]:80' tcp",
                    'set load_balancer lb0 options:affinity_timeout=60',
                    'set load_balancer lb1 options:affinity_timeout=60',
                    'ls-lb-add s1 lb0', 'ls-lb-add s1 lb1'], alternatives=[choice(*backends)])
