# SPDX-License-Identifier: Apache-2.0
"""The same localport on two chassis with a tunnel between them: each VM has its own, also behind
a router."""
from traffic import BROADCAST, Host, mac, router_port, switch_port

GW1, GW2 = '00:00:00:00:ff:01', '00:00:00:00:ff:02'
m1, m2 = [Host(i, 9, '10.0.1.9', 'fd01::9', None) for i in ('m1', 'm2')]
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1'), Host('w2', 2, '10.0.1.2', 'fd01::2')
c = Host('v3', 3, '10.0.2.3', 'fd02::3', GW2)
SPEC = {
    'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1'},
                {'name': 'hv2', 'encap_ip': '192.168.0.2'}],
    'nb': ['ls-add s1', 'ls-add s2', 'lr-add r']
    + router_port('r', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 's2', GW2, '10.0.2.254/24 fd02::ff/64')
    + sum([switch_port('s1', 'lp%d' % n, '%s 10.0.1.%d fd01::%d' % (mac(n), n, n))
           for n in (1, 2, 9)], [])
    + switch_port('s2', 'lp3', '%s 10.0.2.3 fd02::3' % mac(3)) + ['lsp-set-type lp9 localport'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'v3', 'iface_id': 'lp3', 'chassis': 'hv1'},
                   {'name': 'm1', 'iface_id': 'lp9', 'chassis': 'hv1', 'up': False},
                   {'name': 'm2', 'iface_id': 'lp9', 'chassis': 'hv2', 'up': False}],
    'packets': [
        a.udp(m1), b.udp(m2), m1.udp(a), m1.udp(b), m2.udp(b), m2.udp(a),
        m1.udp(b, link=m1.ether(BROADCAST)), a.udp(b, link=a.ether(BROADCAST)),
        b.udp(a, link=b.ether(BROADCAST)), m1.arp(b.ip), a.arp('10.0.1.9'), b.solicit('fd01::9'),
        c.udp(Host('m1', 9, '10.0.1.9')), m1.udp(c, link=m1.ether(GW1)),
        m2.udp(c, link=m2.ether(GW1)), m1.arp('10.0.1.99'), m2.tcp(b),
    ],
    'ignore_kinds': ['garp', 'rarp', 'na'],
}
