# SPDX-License-Identifier: Apache-2.0
"""A port of another zone on a transit switch (type remote): what goes to it is tunnelled to its
gateway."""
from topologies import switched

net = switched(1, 2)
net.nb += [
    'lsp-add s1 away -- lsp-set-type away remote -- lsp-set-addresses away "50:54:00:00:00:09 '
    '10.0.1.9" -- set logical_switch_port away options:requested-tnl-key=77',
           'set logical_switch s1 other_config:requested-tnl-key=16711681 '
           'other_config:interconn-ts=s1']
from traffic import Host  # noqa: E402
a, away = net.hosts[1], Host('wire', 9, '10.0.1.9')
SPEC = net.spec([a.udp(away), a.arp('10.0.1.9'), a.udp(away, link=a.ether('ff:ff:ff:ff:ff:ff')),
    a.udp(net.hosts[2])], remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
    'ports': ['away']}])
