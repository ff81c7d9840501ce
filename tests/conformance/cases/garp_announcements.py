# SPDX-License-Identifier: Apache-2.0
"""Addresses announced on the physical network: router ports, NAT and load balancers, with their
MACs. The startup frames are what matters; timers repeat them."""
from topologies import PHYSICAL, public, routed

net = routed([1])
outside = public(net, kind='gateway')
SPEC = net.spec([outside.arp('172.16.0.60'), outside.arp('172.16.0.70'),
    outside.arp('172.16.0.100'), outside.arp('172.16.0.254'), outside.solicit('fd99::fe')],
                nb=['lr-nat-add r snat 172.16.0.60 10.0.1.0/24',
                'lr-nat-add r dnat 172.16.0.70 10.0.1.1', 'lb-add lb0 172.16.0.100:80 10.0.1.1:80',
                'lr-lb-add r lb0', 'set logical_switch_port pub-r options:nat-addresses=router',
                    'set logical_switch_port pub-r options:exclude-lb-vips-from-garp=false'],
                    **PHYSICAL)
