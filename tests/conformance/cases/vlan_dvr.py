# SPDX-License-Identifier: Apache-2.0
"""Distributed routing between VLANs: no tunnel; the router's MAC never shows on the wire, where
each chassis has one of its own per network, and comes back on receipt."""
from traffic import ARP, BROADCAST, Ether, Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

GW1, GW2 = '00:00:00:00:ff:01', '00:00:00:00:ff:02'
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1), Host('w2', 2, '10.0.2.2', 'fd02::2', GW2)
near, far = Host('v3', 3, '10.0.2.3', 'fd02::3', GW2), Host('w4', 4, '10.0.1.4', 'fd01::4', GW1)
machine = Host('wire', 0x70, '10.0.2.70', 'fd02::70', GW2)
OURS, THEIRS = 'aa:bb:cc:00:00:01', 'aa:bb:cc:00:00:02'


def from_chassis(step, source, tag):
    """A frame as another chassis sends it: its own MAC in the place of the router's."""
    frame = step[1]
    return tagged(['wire', frame[:12] + source.replace(':', '') + frame[24:]], tag)


SPEC = {
    'chassis': [mapped('hv1', 1, OURS), mapped('hv2', 2, THEIRS)],
    'nb': ['lr-add r', 'ls-add s1', 'ls-add s2']
    + localnet('s1', 'ln1', 'phys', 101) + localnet('s2', 'ln2', 'phys', 102)
    + router_port('r', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 's2', GW2, '10.0.2.254/24 fd02::ff/64')
    + sum([switch_port('s%d' % s, 'lp%d' % n, '%s 10.0.%d.%d fd%02d::%d' % (mac(n), s, n, s, n))
           for s, n in ((1, 1), (2, 2), (2, 3), (1, 4))], []),
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'v3', 'iface_id': 'lp3', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'w4', 'iface_id': 'lp4', 'chassis': 'hv2'}],
    'packets': [
        a.udp(b), b.udp(a), a.udp(near), a.udp(far, link=a.ether(far.mac)), a.udp6(b), b.udp6(a),
        near.udp(a), near.udp(far), a.ping('10.0.1.254'), a.ping(b), b.ping6(a), a.tcp(b),
        a.arp('10.0.1.254'), a.arp(far.ip), a.solicit('fd01::ff'), near.arp('10.0.2.99'),
        a.udp(b, link=a.ether(BROADCAST)),
        from_chassis(machine.udp(near, link=machine.ether(near.mac)), THEIRS, 102),
        from_chassis(machine.udp(near, link=machine.ether(near.mac)), THEIRS, 101),
        from_chassis(machine.udp(near, link=machine.ether(near.mac)), OURS, 102),
        from_chassis(a.udp(near, link=a.ether(near.mac)), THEIRS, 102),
        from_chassis(a.udp6(near, link=a.ether(near.mac)), THEIRS, 102),
        from_chassis(a.udp(near, link=a.ether(BROADCAST)), THEIRS, 102),
        from_chassis(machine.arp(near.ip), THEIRS, 102), from_chassis(a.arp(near.ip), THEIRS, 102),
        tagged(machine.udp(near, link=machine.ether(near.mac)), 102), tagged(machine.arp('10.0.2.254'), 102),
        tagged(machine.udp(a), 102), tagged(machine.ping('10.0.2.254'), 102),
    ],
    'any_order': ['wire'],
    'ignore_kinds': ['garp', 'rarp', 'na'],
}
