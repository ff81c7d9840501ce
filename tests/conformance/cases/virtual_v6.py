# SPDX-License-Identifier: Apache-2.0
"""A virtual port with an IPv6 address, whose parents announce it by unsolicited advertisements,
in a switch with a physical network."""
from topologies import pause, rows
from traffic import Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

GW = '00:00:00:00:ff:01'
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW), Host('v2', 2, '10.0.1.2', 'fd01::2', GW)
c = Host('v3', 3, '10.0.2.3', 'fd02::3', '00:00:00:00:ff:02')
out = Host('wire', 0x90, '10.0.1.90', 'fd01::90')
VIP = Host('v1', 0x50, '10.0.1.50', 'fd01::50')
WHO = rows('Port_Binding', 'logical_port', 'virtual_parent', 'type')


def announce(host):
    return [host.advertise('33:33:00:00:00:01', 'ff02::1', target='fd01::50', solicited=0),
            pause(1200), WHO]


TALK = [c.udp6(VIP), tagged(out.solicit('fd01::50'), 3), tagged(out.udp6(
    VIP, link=out.ether(VIP.mac)), 3)]
SPEC = {
    'chassis': [mapped('hv1', 1)],
    'nb': ['ls-add s1', 'ls-add s2', 'lr-add r'] + localnet('s1', 'ln', 'phys', 3)
    + router_port('r', 's1', GW, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 's2', '00:00:00:00:ff:02', '10.0.2.254/24 fd02::ff/64')
    + sum([switch_port('s%d' % s, 'lp%d' % n, '%s 10.0.%d.%d fd%02d::%d' % (mac(n), s, n, s, n))
           for s, n in ((1, 1), (1, 2), (2, 3))], [])
    + ['lsp-add s1 vip -- lsp-set-type vip virtual -- lsp-set-addresses vip "50:54:00:00:00:50 '
       'fd01::50" -- set logical_switch_port vip options:virtual-ip="\\"fd01::50\\"" '
       'options:virtual-parents=lp1,lp2'],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'packets': TALK + announce(a) + TALK + announce(b) + TALK,
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp'],
}
