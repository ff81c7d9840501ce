# SPDX-License-Identifier: Apache-2.0
"""A distributed router over VXLAN: what egress ACLs can and cannot know without an ingress port."""
from topologies import routed
from vxlan import from_wire, vni_of

net = routed((1, 2), (3, 4))
del net.interfaces['v4'], net.interfaces['v2']
a, near, c, far = [net.hosts[n] for n in (1, 2, 3, 4)]
SPEC = net.spec([a.udp(far), a.udp6(far), a.udp(c), a.udp(near), c.udp(near), a.ping('10.0.2.254'),
                 a.arp('10.0.1.254'), a.arp('10.0.1.77'),
                 from_wire(near.udp(a), vni_of(2, 2)), from_wire(near.udp(a, dport=99), vni_of(2, 2))],
                nb=["acl-add s1 to-lport 100 'udp.dst == 99' drop",
                    "acl-add s1 to-lport 90 'inport == \"lp2\" && udp.src == 5' drop"],
                chassis=[{'name': 'hv1', 'encap_ip': '192.168.0.1', 'encap_type': 'vxlan'}],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                         'encap': 'vxlan', 'ports': ['lp2', 'lp4']}])
