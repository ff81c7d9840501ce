# SPDX-License-Identifier: Apache-2.0
"""Containers of VMs on two chassis: by tunnel and by router, between containers of one VM, and
one whose VM is on the other chassis."""
from topologies import change, pause
from traffic import BROADCAST, Host, mac, router_port, switch_port
from vlans import tagged

GW1, GW2 = '00:00:00:00:ff:01', '00:00:00:00:ff:02'
vm1, vm2 = Host('v1', 1, '10.0.0.1'), Host('w2', 2, '10.0.0.2')
c1, c2 = Host('v1', 0x11, '10.0.1.11', None, None), Host('w2', 0x12, '10.0.1.12')
d1, d2 = Host('v1', 0x21, '10.0.1.21'), Host('w2', 0x22, '10.0.2.22')


def by(host, gateway):
    return Host(host.interface, int(host.mac[-2:], 16), host.ip, None, gateway)


TALK = [tagged(c1.udp(c2), 11), tagged(c2.udp(c1), 12), tagged(c1.udp(d1), 11),
        tagged(d1.udp(c1), 21), tagged(d1.udp(c2), 21), tagged(by(c1, GW1).udp(d2), 11),
        tagged(by(d2, GW2).udp(d1), 22), tagged(c1.udp(c2, link=c1.ether(BROADCAST)), 11),
        tagged(c2.udp(c1, link=c2.ether(BROADCAST)), 12), tagged(c1.arp(c2.ip), 11),
        tagged(c1.arp('10.0.1.99'), 11), vm1.udp(vm2), vm2.udp(vm1), tagged(c1.udp(c2), 12),
        tagged(by(c1, GW1).ping('10.0.1.254'), 11)]
SPEC = {
    'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1'},
                {'name': 'hv2', 'encap_ip': '192.168.0.2'}],
    'nb': ['ls-add v', 'ls-add s1', 'ls-add s2', 'lr-add r']
    + router_port('r', 's1', GW1, '10.0.1.254/24') + router_port('r', 's2', GW2, '10.0.2.254/24')
    + sum([switch_port('v', 'vm%d' % n, '%s 10.0.0.%d' % (mac(n), n)) for n in (1, 2)], [])
    + ['lsp-add s%d %s %s %d -- lsp-set-addresses %s "%s %s"' % (s, p, vm, tag, p, mac(n), ip)
       for s, p, vm, tag, n, ip in ((1, 'c1', 'vm1', 11, 0x11, '10.0.1.11'),
                                    (1, 'c2', 'vm2', 12, 0x12, '10.0.1.12'),
                                    (1, 'd1', 'vm1', 21, 0x21, '10.0.1.21'),
                                    (2, 'd2', 'vm2', 22, 0x22, '10.0.2.22'))],
    'interfaces': [{'name': 'v1', 'iface_id': 'vm1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'vm2', 'chassis': 'hv2'}],
    'packets': TALK
    + [change('set logical_switch_port c1 parent_name=vm2'), pause(500)] + TALK
    + [tagged(Host('w2', 0x11, '10.0.1.11').udp(d1), 11)],
    'any_order': ['v1', 'w2'],
}
