# SPDX-License-Identifier: Apache-2.0
"""NAT with external port ranges, exempted_ext_ips and allowed_ext_ips."""
from topologies import PHYSICAL, answer, at, public, routed

net = routed([1, 2], [3, 4])
outside = public(net, kind='gateway')
a, b, c, d = [net.hosts[n] for n in (1, 2, 3, 4)]
exempt, other = at('172.16.0.91', outside), at('172.16.0.92', outside)

SPEC = net.spec([
    a.udp(outside, sport=5000), answer(), a.udp(outside, sport=5000), b.udp(outside), b.udp(exempt),
    b.udp(other), c.udp(outside), c.udp(exempt), c.udp(other),
    d.udp(outside), outside.udp(at('172.16.0.63', outside), dport=53), answer(),
    a.udp(outside, sport=5000, dport=77),
], nb=['create address_set name=ext addresses=172.16.0.91',
'--portrange lr-nat-add r snat 172.16.0.60 10.0.1.1 6000',
       'lr-nat-add r snat 172.16.0.61 10.0.1.2', 'lr-nat-add r snat 172.16.0.62 10.0.2.3',
       'lr-nat-add r dnat_and_snat 172.16.0.63 10.0.2.4',
       'lr-nat-update-ext-ip r snat 10.0.1.2 ext'.replace('lr-nat-update-ext-ip',
       '--is-exempted lr-nat-update-ext-ip'), 'lr-nat-update-ext-ip r snat 10.0.2.3 ext',
       'static-mac-binding-add r-pub 172.16.0.91 50:54:00:00:00:91',
       'static-mac-binding-add r-pub 172.16.0.92 50:54:00:00:00:92'], **PHYSICAL)
