# SPDX-License-Identifier: Apache-2.0
"""Matches on fragments where nothing is tracked: every one of ip.frag, ip.is_frag,
ip.first_frag and ip.later_frag, and ports that only the first fragment has."""
from topologies import switched
from traffic import IP, TCP, payload

net = switched(1, 2, 3, 4, 5)
a = net.hosts[1]


def each(to):
    rest = a.send(a.ether(to) / IP(src=a.ip, dst=to.ip, proto=17, frag=4) / payload(32))
    return [a.udp(to), a.udp(to, flags='MF', size=24), a.udp(to, flags='MF', frag=3, size=24), rest,
            a.send(a.ether(to) / IP(src=a.ip, dst=to.ip, flags='MF') / TCP(sport=1, dport=2000)),
            a.udp6(to)]


SPEC = net.spec(sum([each(net.hosts[n]) for n in (2, 3, 4, 5)], []), nb=[
    "acl-add s1 to-lport 1001 'outport == \"lp2\" && ip.is_frag' drop",
    "acl-add s1 to-lport 1001 'outport == \"lp3\" && ip.first_frag' drop",
    "acl-add s1 to-lport 1001 'outport == \"lp4\" && ip.later_frag' drop",
    "acl-add s1 to-lport 1001 'outport == \"lp5\" && ip.frag == 1' drop",
    "acl-add s1 to-lport 1000 'outport == \"lp5\" && udp.dst == 2000' drop"])
