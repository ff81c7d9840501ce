# SPDX-License-Identifier: Apache-2.0
"""Control-plane meters: what exceeds its meter is not answered, the rest is."""
from topologies import routed

net = routed([1], [2])
a, b = net.hosts[1], net.hosts[2]

SPEC = net.spec([a.udp(b, ttl=1), a.udp(b, ttl=1), a.udp(b, ttl=1), a.udp(b), a.ping('10.0.1.254'),
    a.udp6(b, hlim=1)],
                nb=['meter-add slow drop 100000 pktps', 'copp-add copp0 icmp4-error slow',
                'copp-add copp0 tcp-reset slow', 'copp-add copp0 arp slow', 'lr-copp-add copp0 r'])
