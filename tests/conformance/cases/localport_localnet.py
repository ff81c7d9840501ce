# SPDX-License-Identifier: Apache-2.0
"""A localport in a switch with a physical network: nothing from it gets out, on any of the
chassis that have it."""
from traffic import BROADCAST, Host, mac, switch_port
from vlans import localnet, mapped, tagged

local = {n: Host(n, 9, '10.0.0.9', 'fd00::9') for n in ('m1', 'm2')}
a, b = Host('v1', 1, '10.0.0.1', 'fd00::1'), Host('w2', 2, '10.0.0.2', 'fd00::2')
out = Host('wire', 0x90, '10.0.0.90', 'fd00::90')
SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['ls-add s'] + localnet('s', 'ln', 'phys', 4)
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n))
           for n in (1, 2, 9)], []) + ['lsp-set-type lp9 localport'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'm1', 'iface_id': 'lp9', 'chassis': 'hv1', 'up': False},
                   {'name': 'm2', 'iface_id': 'lp9', 'chassis': 'hv2', 'up': False}],
    'packets': [
        a.udp(local['m1']), b.udp(local['m2']), local['m1'].udp(a), local['m1'].udp(b),
        local['m2'].udp(b), local['m2'].udp(a), local['m1'].udp(out), local['m1'].arp(b.ip),
        local['m1'].arp('10.0.0.99'), local['m1'].udp(a, link=local['m1'].ether(BROADCAST)),
        a.udp(b, link=a.ether(BROADCAST)), a.arp('10.0.0.9'), b.arp('10.0.0.9'),
        tagged(out.arp('10.0.0.9'), 4), tagged(out.udp(local['m1']), 4),
        tagged(out.udp(a, link=out.ether(BROADCAST)), 4), local['m2'].solicit('fd00::99'),
        a.ping(local['m1']), local['m1'].tcp(a, flags='SA'),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
