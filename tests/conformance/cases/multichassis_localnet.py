# SPDX-License-Identifier: Apache-2.0
"""A port of two chassis in a switch with a physical network: its traffic is tunnelled to the
other chassis all the same."""
from topologies import change, pause
from traffic import BROADCAST, Host, mac, switch_port
from vlans import localnet, mapped, tagged

a, b = Host('v1', 1, '10.0.0.1', 'fd00::1'), Host('w2', 2, '10.0.0.2', 'fd00::2')
here, there = Host('m1', 9, '10.0.0.9', 'fd00::9'), Host('m2', 9, '10.0.0.9', 'fd00::9')
out = Host('wire', 0x90, '10.0.0.90', 'fd00::90')
TALK = [a.udp(here), b.udp(here), here.udp(a), here.udp(b), there.udp(a), there.udp(b),
        a.udp(b, link=a.ether(BROADCAST)), here.udp(a, link=here.ether(BROADCAST)),
        there.udp(a, link=there.ether(BROADCAST)), a.arp(here.ip), here.arp('10.0.0.99'),
        a.udp6(here), here.udp(out), there.udp(out), a.udp(b), a.udp(here, size=1300),
        here.udp6(b, size=1300), here.udp(b, size=1300),
        tagged(out.udp(here, link=out.ether(BROADCAST)), 8),
        tagged(out.arp(here.ip), 8)]
SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['ls-add s'] + localnet('s', 'ln', 'phys', 8)
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n)) for n in (1, 2, 9)],
          []) + ['lsp-set-options lp9 requested-chassis=hv1,hv2'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'm1', 'iface_id': 'lp9', 'chassis': 'hv1'},
                   {'name': 'm2', 'iface_id': 'lp9', 'chassis': 'hv2'}],
    'packets': TALK + [change('lsp-set-options lp9 requested-chassis=hv2'), pause(600)] + TALK,
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
