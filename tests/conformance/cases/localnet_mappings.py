# SPDX-License-Identifier: Apache-2.0
"""Two names for one bridge, a second bridge, and a network that has none here: its switch is
reached by tunnel."""
from traffic import BROADCAST, Host, mac, switch_port
from vlans import localnet, tagged

a, b, c = [Host('v%d' % n, n, '10.0.0.%d' % n) for n in (1, 2, 3)]
far = {n: Host('wire', n, '10.0.0.%d' % n) for n in (11, 12, 13)}
out = Host('wire', 0x90, '10.0.0.90')
SPEC = {
    'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1',
                 'bridge_mappings': 'blue:br-phys,red:br-phys,gone:br-none'}],
    'nb': ['ls-add s1', 'ls-add s2', 'ls-add s3']
    + localnet('s1', 'ln1', 'blue', 5) + localnet('s2', 'ln2', 'red', 6)
    + localnet('s3', 'ln3', 'green')
    + sum([switch_port('s%d' % (n % 10), 'lp%d' % n, '%s 10.0.0.%d' % (mac(n), n))
           for n in (1, 2, 3, 11, 12, 13)], []),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                'ports': ['lp11', 'lp12', 'lp13']}],
    'packets': [
        a.udp(far[11]), b.udp(far[12]), c.udp(far[13]), a.udp(b), a.udp(out, link=a.ether(BROADCAST)),
        b.udp(out, link=b.ether(BROADCAST)), c.udp(out, link=c.ether(BROADCAST)), a.udp(out),
        c.udp(out), tagged(out.udp(a), 5), tagged(out.udp(a), 6), tagged(out.udp(b), 6), out.udp(c),
        tagged(out.udp(b, link=out.ether(BROADCAST)), 6), a.arp(far[11].ip), c.arp(far[13].ip),
        c.arp('10.0.0.99'),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
