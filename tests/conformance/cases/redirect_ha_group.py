# SPDX-License-Identifier: Apache-2.0
"""A gateway port with an HA_Chassis_Group: the best chassis has it; priorities change twice."""
from topologies import PHYSICAL, at, change, pause, public, routed

net = routed([1], [2])
outside = public(net)
a, b = net.hosts[1], net.hosts[2]
PACKETS = [a.udp(outside), a.ping('172.16.0.254'), outside.ping('172.16.0.254'),
           outside.arp('172.16.0.254'), outside.udp(at('172.16.0.81', outside)), a.udp(b),
           a.udp6(outside)]
SPEC = net.spec(PACKETS
                + [change('ha-chassis-group-add-chassis gws hv1 30'), pause(700)] + PACKETS
                + [change('ha-chassis-group-add-chassis gws hv1 1'), pause(700)] + PACKETS,
                nb=['lrp-del-gateway-chassis r-pub hv1',
                    '--id=@h create ha_chassis chassis_name=hv1 priority=5 -- --id=@g create '
                    'ha_chassis_group name=gws ha_chassis=@h -- set logical_router_port r-pub '
                    'ha_chassis_group=@g', 'ha-chassis-group-add-chassis gws hv2 20',
                    'lr-nat-add r dnat_and_snat 172.16.0.81 10.0.1.1',
                    'lr-nat-add r snat 172.16.0.60 10.0.0.0/16'],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02'}],
                **dict(PHYSICAL, ignore_kinds=['garp', 'rarp', 'na', 'bfd']))
