# SPDX-License-Identifier: Apache-2.0
"""A localport: every chassis has it, it answers its own VMs and never crosses a tunnel."""
from topologies import switched

net = switched(1, 2, 3)
net.nb.append('lsp-set-type lp2 localport')
a, local, far = [net.hosts[n] for n in (1, 2, 3)]
del net.interfaces['v3']
SPEC = net.spec([a.udp(local), local.udp(a), local.udp(far), a.udp(far), local.arp(far.ip),
    local.arp('10.0.1.99'), a.arp(local.ip), local.udp(far, link=local.ether('ff:ff:ff:ff:ff:ff')),
    local.solicit('fd01::1'),
                 local.udp6(far), a.ping(local), local.tcp(far, flags='SA')],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                'ports': ['lp3']}])
SPEC['interfaces'] = [{'name': 'v1', 'iface_id': 'lp1'},
    {'name': 'v2', 'iface_id': 'lp2', 'up': False}]
