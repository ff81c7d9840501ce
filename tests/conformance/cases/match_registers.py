# SPDX-License-Identifier: Apache-2.0
"""What a user may say about registers, flags, ports and the language itself: registers of all
widths, logical flags, constants, negation, subfields, chains, sets, constants true and
false."""
from topologies import routed

net = routed([1, 2, 3], [4])
a, b, c, d = [net.hosts[n] for n in (1, 2, 3, 4)]


def drop(port, *rules):
    return ["acl-add s1 to-lport %d 'udp.dst == %d && (%s)' drop" % (1000 + port, port, rule)
        for rule in rules]


RULES = ['reg%d == 0' % n for n in range(10)] + ['xreg%d == 0' % n
    for n in range(5)] + ['xxreg0 == 0', 'xxreg1 == 0',
    'xxreg1[64..127] == xxreg1[0..63]'.replace('xxreg1[0..63]', '0'), 'flags == 0',
    'flags.loopback', 'flags.force_snat_for_lb == 0', 'flags.force_snat_for_dnat == 0',
    'flags.skip_snat_for_lb == 0',
         'flags.use_snat_zone', 'pkt.mark == 0', '1', '0', '!(udp.src == 1000)',
         'inport == {"lp1", "lp2"}', 'outport == {"lp2", "lp3"}', '0 < udp.src < 5000',
         'udp.src[3] == 1 && udp.src[0..2] == 0', 'is_chassis_resident("lp1")',
         '!is_chassis_resident("lp1")', 'is_chassis_resident("nobody")']
SPEC = net.spec(sum([[a.udp(b, dport=100 + n), d.udp(c, dport=100 + n)] for n in range(len(RULES))],
    []) + [a.udp(b, sport=1000, dport=99)], nb=sum([drop(100 + n, rule) for n,
    rule in enumerate(RULES)], []))
