# SPDX-License-Identifier: Apache-2.0
"""QoS rules: a rate that nothing exceeds, one that everything exceeds, DSCP next to it, both
directions."""
from topologies import switched

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]

SPEC = net.spec([a.udp(b), a.udp(b, tos=0xb8), a.udp(c, size=1000), c.udp(a), a.udp6(b), a.tcp(b),
    a.tcp(c), b.udp(c), b.udp(c, dport=99, tos=0x28), a.ping(c)]
                + [c.udp(b, size=1400, dport=d) for d in range(8)],
                nb=["qos-add s1 from-lport 100 'ip4.src == 10.0.1.1' rate=1000000 burst=1000000",
                "qos-add s1 to-lport 100 'outport == \"lp3\" && udp' dscp=46 rate=1000000",
                    "qos-add s1 from-lport 50 'inport == \"lp2\" && udp.dst == 99' dscp=12",
                    "qos-add s1 to-lport 200 'inport == \"lp3\" && outport == \"lp2\" && udp' "
                    "rate=1 burst=12"])
