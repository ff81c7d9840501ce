# SPDX-License-Identifier: Apache-2.0
"""VXLAN between chassis over an IPv6 underlay, both ways."""
from topologies import switched
from vxlan import from_wire, vni_of

net = switched(1, 2, 3)
del net.interfaces['v3']
a, b, far = [net.hosts[n] for n in (1, 2, 3)]
SPEC = net.spec([a.udp(far), a.udp6(far), a.udp(far, link=a.ether('ff:ff:ff:ff:ff:ff')),
                 a.arp('10.0.1.99'), from_wire(far.udp(a), vni_of(1), source='fd50::2'),
                 from_wire(far.arp(b.ip), vni_of(0x8000), source='fd50::2')],
                chassis=[{'name': 'hv1', 'encap_ip': 'fd50::1', 'encap_type': 'vxlan'}],
                remote=[{'name': 'hv2', 'ip': 'fd50::2', 'mac': '02:bb:00:00:00:02',
                         'encap': 'vxlan', 'ports': ['lp3']}])
