# SPDX-License-Identifier: Apache-2.0
"""Transport zones: tunnels only to chassis that share one, or to all that have none if we have none."""
from topologies import switched

net = switched(1, 3, 4, 5)
for far in ('v3', 'v4', 'v5'):
    del net.interfaces[far]
a = net.hosts[1]
SPEC = net.spec([a.udp(net.hosts[3]), a.udp(net.hosts[4]), a.udp(net.hosts[5]),
                 a.udp(net.hosts[3], link=a.ether('ff:ff:ff:ff:ff:ff')),
                 {'nb': ['sb set chassis hv4 transport_zones=tz2']}, a.udp(net.hosts[5]),
                 {'nb': ['vs remove Open_vSwitch . external-ids ovn-transport-zones']},
                 a.udp(net.hosts[3]), a.udp(net.hosts[4]), a.udp(net.hosts[5])],
                nb=['sb set chassis hv2 transport_zones=tz2,tz3',
                    'sb set chassis hv3 transport_zones=tz4'],
                chassis=[{'name': 'hv1', 'encap_ip': '192.168.0.1',
                          'external_ids': {'ovn-transport-zones': 'tz1,tz2'}}],
                any_order=['wire'],
                remote=[{'name': 'hv%d' % n, 'ip': '192.168.0.%d' % n,
                         'mac': '02:bb:00:00:00:%02x' % n, 'ports': ['lp%d' % (n + 1)]}
                        for n in (2, 3, 4)])
