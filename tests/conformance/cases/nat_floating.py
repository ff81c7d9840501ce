# SPDX-License-Identifier: Apache-2.0
"""dnat_and_snat on a distributed router, centralised and distributed (with its own MAC on the
VM's chassis): in, out, between two of them, and the errors."""
from topologies import PHYSICAL, answer, at, public, routed
from traffic import IP, UDP

net = routed([1, 2], [3])
outside = public(net)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
fip_a, fip_b, fip_c = [at('172.16.0.%d' % n, outside) for n in (81, 82, 83)]
FIP_MAC = '00:00:00:00:aa:83'

SPEC = net.spec([
    outside.udp(fip_a), answer(), outside.tcp(fip_a, sport=9), answer(), a.udp(outside, sport=6),
    answer(), a.ping(outside), answer(),
    outside.send(outside.ether(FIP_MAC) / IP(src=outside.ip, dst=fip_c.ip) / UDP(sport=8, dport=9)),
    answer(), c.udp(outside), answer(), c.tcp(outside), answer(), outside.arp(fip_a.ip),
    outside.arp(fip_c.ip), outside.arp(fip_b.ip),
    a.udp(fip_b), answer(), a.udp(fip_c, sport=77), answer(), c.udp(fip_a, sport=78), answer(),
    a.udp(fip_a, sport=79), answer(),
    outside.udp(fip_a, sport=50), answer(error='host'), b.udp(c), c.udp(b), a.udp(outside, ttl=1),
    outside.udp(fip_a, ttl=1),
], nb=['lr-nat-add r dnat_and_snat 172.16.0.81 10.0.1.1',
'lr-nat-add r dnat_and_snat 172.16.0.82 10.0.1.2',
       'lr-nat-add r dnat_and_snat 172.16.0.83 10.0.2.3 lp3 ' + FIP_MAC], **PHYSICAL)
