# SPDX-License-Identifier: Apache-2.0
"""ecmp-symmetric-reply on a gateway router: what comes from one next hop is answered through
it, even by its MAC."""
from topologies import PHYSICAL, answer, public, routed
from traffic import Host

net = routed([1])
outside = public(net, kind='gateway')
a = net.hosts[1]
hops = [Host('wire', n, '20.0.0.%d' % n, 'fd20::%x' % n, outside.gateway_mac) for n in (0x91, 0x92)]

SPEC = net.spec(sum([[h.udp(a, sport=p), answer(), h.udp(a, sport=p), a.udp(h, sport=2000, dport=p),
    h.tcp(a, sport=p), answer(), h.segment(a, 'A', 2, 5001, sport=p), h.udp6(a, sport=p), answer()]
                     for h in hops for p in (1000, 1001)], []),
                nb=['static-mac-binding-add r-pub 172.16.0.91 50:54:00:00:00:91',
                'static-mac-binding-add r-pub 172.16.0.92 50:54:00:00:00:92',
                    'static-mac-binding-add r-pub fd99::91 50:54:00:00:00:91',
                    'static-mac-binding-add r-pub fd99::92 50:54:00:00:00:92']
                + ['--ecmp-symmetric-reply lr-route-add r 20.0.0.0/16 172.16.0.%d r-pub'
                % (0x91 + n - 0x91 + 91) for n in (0, 1)]
                + ['--ecmp-symmetric-reply lr-route-add r fd20::/64 fd99::%d r-pub' % n
                for n in (91, 92)], **PHYSICAL)
