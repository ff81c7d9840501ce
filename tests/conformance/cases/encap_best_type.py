# SPDX-License-Identifier: Apache-2.0
"""A chassis that only speaks VXLAN towards others that speak more, less, or something else."""
from topologies import switched

net = switched(1, 3, 4, 5)
for far in ('v3', 'v4', 'v5'):
    del net.interfaces[far]
a = net.hosts[1]
SPEC = net.spec([a.udp(net.hosts[3]), a.udp(net.hosts[4]), a.udp(net.hosts[5]),
                 a.udp(net.hosts[3], link=a.ether('ff:ff:ff:ff:ff:ff'))],
                chassis=[{'name': 'hv1', 'encap_ip': '192.168.0.1', 'encap_type': 'vxlan'}],
                any_order=['wire'],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                         'encap': 'geneve,vxlan', 'ports': ['lp3']},
                        {'name': 'hv3', 'ip': '192.168.0.3', 'mac': '02:bb:00:00:00:03',
                         'encap': 'geneve', 'ports': ['lp4']},
                        {'name': 'hv4', 'ip': '192.168.0.4', 'mac': '02:bb:00:00:00:04',
                         'encap': 'vxlan', 'ports': ['lp5']}])
