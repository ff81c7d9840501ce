# SPDX-License-Identifier: Apache-2.0
"""A port bound to two chassis at once, plugged in on both: each gets a copy of what is sent to
it, whoever sends, and what it sends goes the usual ways."""
from topologies import change, pause, rows
from traffic import BROADCAST, Host, mac, switch_port

a, b = Host('v1', 1, '10.0.0.1', 'fd00::1'), Host('w2', 2, '10.0.0.2', 'fd00::2')
here, there = Host('m1', 9, '10.0.0.9', 'fd00::9'), Host('m2', 9, '10.0.0.9', 'fd00::9')
TALK = [a.udp(here), b.udp(here), here.udp(a), here.udp(b), there.udp(a), there.udp(b),
        a.udp(b, link=a.ether(BROADCAST)), here.udp(a, link=here.ether(BROADCAST)),
        there.udp(a, link=there.ether(BROADCAST)), a.arp(here.ip), here.arp('10.0.0.99'),
        a.udp6(here), a.udp(here, size=1300), here.udp(there, link=here.ether(there.mac)), a.udp(b)]
SPEC = {
    'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1'},
                {'name': 'hv2', 'encap_ip': '192.168.0.2'}],
    'nb': ['ls-add s']
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n)) for n in (1, 2, 9)],
          []) + ['lsp-set-options lp9 requested-chassis=hv1,hv2'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'm1', 'iface_id': 'lp9', 'chassis': 'hv1'},
                   {'name': 'm2', 'iface_id': 'lp9', 'chassis': 'hv2'}],
    'packets': TALK + [change('lsp-set-options lp9 requested-chassis=hv2'), pause(600)] + TALK
    + [change('lsp-set-options lp9 requested-chassis=hv2,hv1'), pause(600)] + TALK,
    'ignore_kinds': ['garp', 'rarp', 'na'],
}
