# SPDX-License-Identifier: Apache-2.0
"""Template load balancers: what a name stands for is each chassis' own."""
from topologies import answer, at, change, switched

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
vip = at('30.0.0.1', b)

SPEC = net.spec([
    a.tcp(vip), answer(), a.segment(vip, 'A', 2, 5001), a.tcp(vip, dport=81),
    change('set chassis_template_var hv1 variables:vport=81'), a.tcp(vip, dport=81, sport=1003),
    answer(), a.tcp(vip, sport=1004),
], nb=[
'create chassis_template_var chassis=hv1 '
'variables="{vip=30.0.0.1,vport=\\"80\\",back=\\"10.0.1.2:8080\\"}"',
       "--template lb-add lb0 '^vip:^vport' '^back' tcp ipv4", 'ls-lb-add s1 lb0'])
