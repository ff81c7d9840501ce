# SPDX-License-Identifier: Apache-2.0
"""Broadcasts in a transit switch with remote ports of two zones, a VM of ours and one elsewhere
in our zone."""
from topologies import switched
from traffic import BROADCAST, Host, geneve

net = switched(1, 2, 3)
del net.interfaces['v3']
a, b, far = [net.hosts[n] for n in (1, 2, 3)]
net.nb += ['set logical_switch s1 other_config:requested-tnl-key=16711681 '
           'other_config:interconn-ts=s1']
for n, key in ((8, 78), (9, 79), (10, 80)):
    net.nb += ['lsp-add s1 away%d -- lsp-set-type away%d remote -- lsp-set-addresses away%d '
               '"50:54:00:00:00:%02x 10.0.1.%d" -- set logical_switch_port away%d '
               'options:requested-tnl-key=%d' % (n, n, n, n, n, n, key)]
x, y = Host('wire', 8, '10.0.1.8'), Host('wire', 9, '10.0.1.9')


def arrives(step, outport, inport=78):
    return geneve(step, 16711681, inport, outport, '192.168.0.2', '192.168.0.1',
                  '02:aa:00:00:00:01')


SPEC = net.spec([
    a.udp(x), a.udp(y), a.udp(far), a.udp(Host('wire', 10, '10.0.1.10')), a.arp('10.0.1.99'),
    a.udp(b, link=a.ether(BROADCAST)), a.udp(b, link=a.ether('01:00:5e:00:00:05')),
    arrives(x.udp(a), 1), arrives(x.udp(b, link=x.ether(BROADCAST)), 32768),
    arrives(x.udp(y), 79), arrives(x.udp(far), 3), a.arp(y.ip), b.solicit('fd01::8')],
    remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['away8', 'lp3']},
            {'name': 'hv3', 'ip': '192.168.0.3', 'mac': '02:bb:00:00:00:03', 'ports': ['away9', 'away10']}],
    any_order=['wire'])
