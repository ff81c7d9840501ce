# SPDX-License-Identifier: Apache-2.0
"""Two hosts behind one router reach each other, and themselves, by floating addresses; gateway
router."""
from topologies import PHYSICAL, answer, at, public, routed

net = routed([1, 2], [3])
outside = public(net, kind='gateway')
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
fip_a, fip_b, fip_c = [at('172.16.0.%d' % n, outside) for n in (81, 82, 83)]

SPEC = net.spec([
    a.udp(fip_b), answer(), a.udp(fip_c, sport=1001), answer(), c.tcp(fip_a), answer(),
    a.udp(fip_a, sport=1002), answer(), a.ping(fip_b), answer(),
    a.tcp(fip_b, sport=5), answer(error='port'), outside.udp(fip_a), answer(), b.udp(outside),
    answer(),
], nb=['lr-nat-add r dnat_and_snat 172.16.0.%d 10.0.%d.%d' % (80 + n, s, n) for n,
s in ((1, 1), (2, 1), (3, 2))], **PHYSICAL)
