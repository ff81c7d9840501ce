# SPDX-License-Identifier: Apache-2.0
"""One switch with localnet ports to several physical networks, of which one is here."""
from traffic import BROADCAST, Host, mac, switch_port
from vlans import localnet, mapped, tagged

a, b, far = Host('v1', 1, '10.0.0.1'), Host('v2', 2, '10.0.0.2'), Host('wire', 5, '10.0.0.5')
out = Host('wire', 0x90, '10.0.0.90')
SPEC = {
    'chassis': [mapped('hv1', 1)],
    'nb': ['ls-add s'] + localnet('s', 'rack1', 'phys', 11) + localnet('s', 'rack2', 'other', 12)
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d' % (mac(n), n)) for n in (1, 2, 5)], []),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp5']}],
    'packets': [
        a.udp(b), a.udp(far), a.udp(out), a.udp(out, link=a.ether(BROADCAST)), a.arp(far.ip),
        tagged(out.udp(a), 11), tagged(out.udp(a), 12), tagged(out.udp(a, link=out.ether(BROADCAST)), 11),
        a.arp('10.0.0.99'), out.udp(a),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
