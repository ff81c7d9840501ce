# SPDX-License-Identifier: Apache-2.0
"""VXLAN between chassis: twelve bits of datapath and of port."""
from topologies import switched

net = switched(1, 2, 3)
del net.interfaces['v3']
a, b, far = [net.hosts[n] for n in (1, 2, 3)]
SPEC = net.spec([a.udp(far), a.udp6(far), a.udp(far, link=a.ether('ff:ff:ff:ff:ff:ff')),
    a.arp('10.0.1.99'), a.udp(b)], chassis=[{'name': 'hv1', 'encap_ip': '192.168.0.1',
    'encap_type': 'vxlan'}],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                'encap': 'vxlan', 'ports': ['lp3']}])
