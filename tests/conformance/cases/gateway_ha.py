# SPDX-License-Identifier: Apache-2.0
"""A distributed gateway port that lives elsewhere: traffic is tunnelled to its chassis, until
it moves here."""
from topologies import PHYSICAL, at, change, pause, public, routed

net = routed([1], [2])
outside = public(net)
a, b = net.hosts[1], net.hosts[2]
SPEC = net.spec([a.udp(outside), b.udp(outside), a.udp(b), a.ping('172.16.0.254'),
    outside.udp(at('172.16.0.81', outside)), outside.arp('172.16.0.254'), a.udp6(outside),
    outside.ping('172.16.0.254'),
                 change('lrp-del-gateway-chassis r-pub hv2',
                 'lrp-set-gateway-chassis r-pub hv1 90'), pause(700), a.udp(outside, sport=1001),
                 outside.ping('172.16.0.254'), outside.udp(at('172.16.0.81', outside), sport=9)],
                nb=['lrp-del-gateway-chassis r-pub hv1', 'lrp-set-gateway-chassis r-pub hv2 50',
                'lr-nat-add r dnat_and_snat 172.16.0.81 10.0.1.1', 'lr-nat-add r snat '
                        '172.16.0.60 10.0.0.0/16'],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02'}],
                **dict(PHYSICAL, ignore_kinds=['garp', 'rarp', 'na', 'bfd']))
