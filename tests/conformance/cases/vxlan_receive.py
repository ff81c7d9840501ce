# SPDX-License-Identifier: Apache-2.0
"""What another chassis sends by VXLAN: ports and groups by their key, unknown ones, and packets
with and without a checksum."""
from topologies import switched
from vxlan import from_wire, vni_of

net = switched(1, 2, 3)
del net.interfaces['v3']
a, b, far = [net.hosts[n] for n in (1, 2, 3)]
flood = far.udp(a, link=far.ether('ff:ff:ff:ff:ff:ff'))
SPEC = net.spec([from_wire(far.udp(a), vni_of(1)), from_wire(far.udp6(b), vni_of(2)),
                 from_wire(far.udp(a), vni_of(1), checksum=None),
                 from_wire(flood, vni_of(0x8000)), from_wire(far.arp(a.ip), vni_of(0x8004)),
                 from_wire(flood, vni_of(0x8123)), from_wire(far.udp(a), vni_of(3)),
                 from_wire(far.udp(a), vni_of(77)), from_wire(far.udp(a), vni_of(1, 9)),
                 from_wire(far.udp(a), vni_of(0)), from_wire(far.udp(a), vni_of(0x7ff)),
                 a.udp(far), from_wire(far.udp(a), vni_of(1), checksum=0x1234)],
                chassis=[{'name': 'hv1', 'encap_ip': '192.168.0.1', 'encap_type': 'vxlan'}],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                         'encap': 'vxlan', 'ports': ['lp3']}])
