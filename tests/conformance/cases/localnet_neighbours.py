# SPDX-License-Identifier: Apache-2.0
"""Two switches with the same network and tag on one chassis: what one sends to the wire reaches
the other, as if the wire had brought it."""
from traffic import BROADCAST, Host, mac, switch_port
from vlans import localnet, mapped, tagged

a, b, c, d = [Host('v%d' % n, n, '10.0.0.%d' % n, 'fd00::%d' % n) for n in (1, 2, 3, 4)]
out = Host('wire', 0x90, '10.0.0.90', 'fd00::90')
SPEC = {
    'chassis': [mapped('hv1', 1)],
    'nb': ['ls-add s1', 'ls-add s2', 'ls-add s3', 'ls-add s4']
    + localnet('s1', 'ln1', 'phys') + localnet('s2', 'ln2', 'phys')
    + localnet('s3', 'ln3', 'phys', 30) + localnet('s4', 'ln4', 'phys', 30)
    + sum([switch_port('s%d' % n, 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n))
           for n in (1, 2, 3, 4)], []),
    'interfaces': {'v%d' % n: 'lp%d' % n for n in (1, 2, 3, 4)},
    'packets': [
        a.udp(out, link=a.ether(BROADCAST)), b.udp(out, link=b.ether(BROADCAST)), a.udp(b),
        b.udp(a), a.arp(b.ip), c.udp(d), d.udp(c), c.arp(d.ip), a.udp(c), c.udp(a, link=c.ether(BROADCAST)),
        out.udp(a), a.udp(out), a.udp6(b), b.tcp(a), a.udp(b, sport=7), a.solicit(b.ip6),
    ],
    'any_order': ['wire', 'v1', 'v2', 'v3', 'v4'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
