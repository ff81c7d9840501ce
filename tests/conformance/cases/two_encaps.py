# SPDX-License-Identifier: Apache-2.0
"""A chassis that offers two kinds of tunnel uses the one that the other side has."""
from topologies import switched

net = switched(1, 2, 3)
del net.interfaces['v3']
a, far = net.hosts[1], net.hosts[3]
SPEC = net.spec([a.udp(far), a.udp6(far)], chassis=[{'name': 'hv1', 'encap_ip': '192.168.0.1',
    'encap_type': 'geneve,vxlan'}],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                'encap': 'geneve', 'ports': ['lp3']}])
