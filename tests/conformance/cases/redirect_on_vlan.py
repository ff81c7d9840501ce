# SPDX-License-Identifier: Apache-2.0
"""Central routing on VLANs: reside-on-redirect-chassis makes one chassis answer for a router
port on a physical network, redirect-type=bridged sends there without a tunnel."""
from topologies import change, pause
from traffic import Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

GW1, GW2, PUBLIC = ['00:00:00:00:ff:%02x' % n for n in (1, 2, 0x99)]
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1), Host('w2', 2, '10.0.2.2', 'fd02::2', GW2)
near = Host('v3', 3, '10.0.2.3', 'fd02::3', GW2)
out = Host('wire', 0x90, '172.16.0.90', 'fd99::90', PUBLIC)
CENTRAL = ['set logical_router_port r-%s options:reside-on-redirect-chassis=true' % s
           for s in ('s1', 's2')]
PACKETS = [a.udp(out), b.udp(out), a.udp(b), b.udp(a), a.udp(near), near.udp(a),
           a.arp('10.0.1.254'), b.arp('10.0.2.254'), a.ping('10.0.1.254'), b.ping('172.16.0.254'),
           tagged(a.udp(near, link=a.ether(GW1)), 101), a.solicit('fd01::ff'), a.udp6(b)]
SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['lr-add r', 'ls-add s1', 'ls-add s2', 'ls-add pub']
    + localnet('s1', 'ln1', 'phys', 101) + localnet('s2', 'ln2', 'phys', 102)
    + localnet('pub', 'lnp', 'phys')
    + router_port('r', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 's2', GW2, '10.0.2.254/24 fd02::ff/64')
    + router_port('r', 'pub', PUBLIC, '172.16.0.254/24 fd99::fe/64')
    + sum([switch_port('s%d' % s, 'lp%d' % n, '%s 10.0.%d.%d fd%02d::%d' % (mac(n), s, n, s, n))
           for s, n in ((1, 1), (2, 2), (2, 3))], [])
    + ['lrp-set-gateway-chassis r-pub hv2 20', 'lr-route-add r 0.0.0.0/0 172.16.0.90',
       'static-mac-binding-add r-pub 172.16.0.90 %s' % mac(0x90)] + CENTRAL,
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'v3', 'iface_id': 'lp3', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'}],
    'packets': PACKETS,
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na', 'bfd'],
}
