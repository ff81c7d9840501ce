# SPDX-License-Identifier: Apache-2.0
"""A port requested on two chassis at once while it moves: both get what is sent to it."""
from topologies import switched

net = switched(1, 2, 3)
del net.interfaces['v3']
a, b, far = [net.hosts[n] for n in (1, 2, 3)]
SPEC = net.spec([a.udp(b), b.udp(a), a.udp(far), b.udp(far),
    a.udp(b, link=a.ether('ff:ff:ff:ff:ff:ff')), b.arp('10.0.1.99'), a.udp(b, size=1400),
    a.udp6(b)],
                nb=['lsp-set-options lp2 requested-chassis=hv1,hv2'],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                'ports': ['lp3']}])
