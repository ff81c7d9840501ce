# SPDX-License-Identifier: Apache-2.0
"""Three switches on one physical network, two of them with the same tag: each gets its own copy
of what arrives, with and without tags, priority tags and tags of providers."""
from traffic import BROADCAST, Ether, Host, mac, payload, switch_port
from vlans import localnet, mapped, tagged

a, b, c, d = [Host('v%d' % n, n, '10.0.0.%d' % n, 'fd00::%d' % n) for n in (1, 2, 3, 4)]
out = Host('wire', 0x90, '10.0.0.90', 'fd00::90')


def everybody(step, vid=None, **words):
    return step if vid is None else tagged(step, vid, **words)


FLOOD = out.udp(a, link=out.ether(BROADCAST))
SPEC = {
    'chassis': [mapped('hv1', 1)],
    'nb': ['ls-add s1', 'ls-add s2', 'ls-add s3', 'ls-add s4']
    + localnet('s1', 'ln1', 'phys') + localnet('s2', 'ln2', 'phys')
    + localnet('s3', 'ln3', 'phys', 30) + localnet('s4', 'ln4', 'phys', 30)
    + sum([switch_port('s%d' % n, 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n))
           for n in (1, 2, 3, 4)], []),
    'interfaces': {'v%d' % n: 'lp%d' % n for n in (1, 2, 3, 4)},
    'packets': [
        FLOOD, tagged(FLOOD, 30), tagged(FLOOD, 0), tagged(FLOOD, 0, pcp=5), tagged(FLOOD, 31),
        tagged(FLOOD, 30, pcp=3), tagged(FLOOD, 30, kind=0x88a8), tagged(tagged(FLOOD, 7), 30),
        tagged(tagged(FLOOD, 30), 7), tagged(tagged(FLOOD, 30), 0), tagged(FLOOD, 0, kind=0x88a8),
        out.udp(a), out.udp(b), tagged(out.udp(c), 30), tagged(out.udp(d), 30), out.udp(c),
        tagged(out.udp(a), 30), out.arp(a.ip), tagged(out.arp(c.ip), 30), out.solicit(b.ip6),
        a.udp(out), b.udp(out), c.udp(out), d.udp(out),
        out.send(Ether(src=out.mac, dst=a.mac, type=0x88b5) / payload(46)),
        out.send(Ether(src=out.mac, dst='33:33:00:00:00:05', type=0x88b5) / payload(46)),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
