# SPDX-License-Identifier: Apache-2.0
"""Equal-cost routes: each connection takes one of them and stays; drops and errors do not
depend on it."""
from topologies import at, choice, routed
from traffic import mac

net = routed([1], [2], [3])
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
far, far6 = at('20.0.0.1', a), at('fd20::1', a)
members = choice(b, c)
for member, switch in zip(members['words'], (2, 3)):
    member.append('00000000ff%02x' % switch)

SPEC = net.spec(sum([[a.udp(far, sport=p), a.udp(far, sport=p), a.tcp(far, sport=p),
    a.udp6(far6, sport=p), a.udp6(far6, sport=p)] for p in range(1000, 1006)], [])
                + [a.ping(far), a.udp(far, ttl=1), a.udp(b), a.udp(at('20.0.1.1', a)),
                a.udp(at('30.0.0.1', a)), a.udp(at('30.0.1.1', a))],
                nb=['--ecmp lr-route-add r 20.0.0.0/24 10.0.2.2',
                '--ecmp lr-route-add r 20.0.0.0/24 10.0.3.3', '--ecmp lr-route-add r fd20::/64 '
                        'fd02::2', '--ecmp lr-route-add r fd20::/64 fd03::3',
                    'lr-route-add r 20.0.1.0/24 discard', 'lr-route-add r 30.0.0.0/16 10.0.2.2',
                    'lr-route-add r 30.0.1.0/24 10.0.3.3'], alternatives=[members])
