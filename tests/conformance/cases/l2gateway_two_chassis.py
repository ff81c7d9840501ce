# SPDX-License-Identifier: Apache-2.0
"""A VM behind a tunnel reaches a physical network by the l2gateway of another chassis."""
from traffic import BROADCAST, Host, mac, switch_port
from vlans import localnet, mapped, tagged

a, b = Host('v1', 1, '10.0.0.1', 'fd00::1'), Host('w2', 2, '10.0.0.2', 'fd00::2')
out = Host('wire', 0x90, '10.0.0.90', 'fd00::90')
SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['ls-add s'] + localnet('s', 'gw', 'phys', 60, 'l2gateway', l2gateway_chassis='hv2')
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n)) for n in (1, 2)],
          []),
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'}],
    'packets': [a.udp(b), b.udp(a), a.udp(out), b.udp(out), tagged(out.udp(a), 60),
                tagged(out.udp(b), 60), a.udp(out, link=a.ether(BROADCAST)),
                b.udp(out, link=b.ether(BROADCAST)),
                tagged(out.udp(a, link=out.ether(BROADCAST)), 60), tagged(out.arp(a.ip), 60),
                a.arp(out.ip), tagged(out.solicit(a.ip6), 60), a.udp6(out), out.udp(a)],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
