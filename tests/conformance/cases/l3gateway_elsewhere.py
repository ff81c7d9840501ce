# SPDX-License-Identifier: Apache-2.0
"""A gateway router on another chassis, behind a join switch: its traffic is tunnelled, until the
router moves here."""
from topologies import change, pause, routed
from traffic import Host, mac, router_port
from vlans import localnet, mapped

JOIN, EDGE = '00:00:00:00:ee:01', '00:00:00:00:ee:02'
net = routed([1], [2])
a, b = net.hosts[1], net.hosts[2]
out = Host('wire', 0x90, '172.16.0.90', None, '00:00:00:00:ff:99')
net.nb += (['ls-add join', 'lr-add g', 'ls-add pub']
           + router_port('r', 'join', JOIN, '100.64.0.1/24')
           + router_port('g', 'join', EDGE, '100.64.0.2/24')
           + router_port('g', 'pub', '00:00:00:00:ff:99', '172.16.0.254/24')
           + localnet('pub', 'ln', 'phys')
           + ['set logical_router g options:chassis=hv2',
              'lr-route-add r 0.0.0.0/0 100.64.0.2', 'lr-route-add g 10.0.0.0/16 100.64.0.1',
              'lr-route-add g 0.0.0.0/0 172.16.0.90',
              'static-mac-binding-add g-pub 172.16.0.90 %s' % mac(0x90),
              'lr-nat-add g snat 172.16.0.60 10.0.0.0/16',
              'lr-nat-add g dnat_and_snat 172.16.0.81 10.0.1.1'])
PACKETS = [a.udp(out), b.udp(out, sport=1001), a.udp(b), a.ping('10.0.1.254'),
           a.ping('172.16.0.254'), out.udp(Host('wire', 0, '172.16.0.81')),
           out.ping('172.16.0.254'), out.arp('172.16.0.254'), out.arp('172.16.0.81')]
SPEC = net.spec(PACKETS + [change('set logical_router g options:chassis=hv1'), pause(700)] + PACKETS,
                chassis=[mapped('hv1', 1)],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02'}],
                any_order=['wire'], ignore_kinds=['garp', 'rarp', 'na'])
