# SPDX-License-Identifier: Apache-2.0
"""A virtual address goes from a VM of one chassis to one of another and back; by ARP and by
neighbour advertisement."""
from topologies import pause, rows
from traffic import ARP, BROADCAST, Ether, Host, mac, router_port, switch_port

GW1, GW2 = '00:00:00:00:ff:01', '00:00:00:00:ff:02'
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1), Host('w2', 2, '10.0.1.2', 'fd01::2', GW1)
c, d = Host('v3', 3, '10.0.2.3', 'fd02::3', GW2), Host('w4', 4, '10.0.2.4', 'fd02::4', GW2)
VIP = Host('v1', 0x50, '10.0.1.50')
WHO = rows('Port_Binding', 'logical_port', 'virtual_parent', 'up', 'type')


def announce(host, op=1):
    return [host.send(Ether(src=host.mac, dst=BROADCAST)
                      / ARP(op=op, hwsrc=host.mac, psrc='10.0.1.50', pdst='10.0.1.50')),
            pause(1200), WHO]


TALK = [c.udp(VIP), d.udp(VIP), c.ping(Host('v1', 0x50, '10.0.1.50')), c.arp('10.0.2.254')]
SPEC = {
    'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1'},
                {'name': 'hv2', 'encap_ip': '192.168.0.2'}],
    'nb': ['ls-add s1', 'ls-add s2', 'lr-add r']
    + router_port('r', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 's2', GW2, '10.0.2.254/24 fd02::ff/64')
    + sum([switch_port('s%d' % s, 'lp%d' % n, '%s 10.0.%d.%d fd%02d::%d' % (mac(n), s, n, s, n))
           for s, n in ((1, 1), (1, 2), (2, 3), (2, 4))], [])
    + ['lsp-add s1 vip -- lsp-set-type vip virtual -- lsp-set-addresses vip "50:54:00:00:00:50 '
       '10.0.1.50" -- set logical_switch_port vip options:virtual-ip=10.0.1.50 '
       'options:virtual-parents=lp1,lp2'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'v3', 'iface_id': 'lp3', 'chassis': 'hv1'},
                   {'name': 'w4', 'iface_id': 'lp4', 'chassis': 'hv2'}],
    'packets': TALK + announce(a) + TALK + announce(b, 2) + TALK + announce(a) + TALK
    + announce(c) + announce(b),
    'any_order': ['v1', 'w2'], 'ignore_kinds': [],
}
