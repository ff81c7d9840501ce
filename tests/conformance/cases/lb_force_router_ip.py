# SPDX-License-Identifier: Apache-2.0
"""lb_force_snat_ip=router_ip: the address of the port towards the backend becomes the source;
and dnat_force_snat_ip for DNAT rules."""
from topologies import PHYSICAL, answer, at, public, routed

net = routed([1], [3])
outside = public(net, kind='gateway')
vip, vip6, dnat = at('172.16.0.100', outside), at('fd99::100', outside), at('172.16.0.110', outside)

SPEC = net.spec([
    outside.tcp(vip, sport=4000), answer(), outside.segment(vip, 'A', 2, 5001, sport=4000),
    net.hosts[3].tcp(vip), answer(),
    outside.tcp6(vip6, sport=4000), answer(), outside.udp(dnat, sport=7), answer(),
    outside.udp(dnat, sport=7), outside.ping(dnat), answer(),
], nb=['lb-add lb0 172.16.0.100:80 10.0.1.1:80 tcp',
"lb-add lb1 '[fd99::100]:80' '[fd01::1]:80' tcp", 'lr-lb-add r lb0', 'lr-lb-add r lb1',
       'set logical_router r options:lb_force_snat_ip=router_ip',
       'set logical_router r options:dnat_force_snat_ip="172.16.0.51"',
       'lr-nat-add r dnat 172.16.0.110 10.0.2.3'], **PHYSICAL)
