# SPDX-License-Identifier: Apache-2.0
"""Where a reject may stand: before and after load balancing, at the sender's or the receiver's end, with a port
group, a log and a label, and next to a router between the two."""
from topologies import routed
from traffic import ICMP, IP, SCTPChunkInit

net = routed([1, 2], [3])
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
for host in (a, b):
    host.gateway_mac = None


def far(host, how, **words):
    """The same host by way of the router."""
    host.gateway_mac = '00:00:00:00:ff:01'
    step = getattr(host, how)(c, **words)
    host.gateway_mac = None
    return step


SPEC = net.spec([
    a.udp(b, dport=1), a.tcp(b, dport=1), a.udp6(b, dport=1), a.tcp6(b, dport=1), a.udp(b, dport=2),
    a.tcp(b, dport=2),
    a.udp6(b, dport=2), a.udp(b, dport=3), a.tcp(b, dport=3), a.tcp6(b, dport=3),
    a.sctp(b, SCTPChunkInit(init_tag=3), dport=3),
    far(a, 'udp', dport=4), far(a, 'tcp', dport=4), far(a, 'udp6', dport=4), far(a, 'tcp6', dport=4),
    far(a, 'udp', dport=5),
    far(a, 'tcp', dport=5), far(a, 'tcp6', dport=5), far(a, 'udp', dport=9), c.udp(a, dport=6), c.tcp(a, dport=6),
    c.udp6(a, dport=6),
    c.tcp6(a, dport=6), c.ping(b), c.ping6(b), b.udp(a, dport=1), b.udp(a, dport=7), b.tcp(a, dport=7),
    c.send(c.ether(c.gateway_mac) / IP(src=c.ip, dst=a.ip) / ICMP(type=15)),
], nb=["acl-add s1 from-lport 1001 'inport == \"lp1\" && (udp.dst == 1 || tcp.dst == 1)' reject",
       "--apply-after-lb acl-add s1 from-lport 1001 'inport == \"lp1\" && (udp.dst == 2 || tcp.dst == 2)' reject",
       "acl-add s1 to-lport 1001 'outport == \"lp2\" && (udp.dst == 3 || tcp.dst == 3 || sctp.dst == 3)' reject",
       "acl-add s2 to-lport 1001 'outport == \"lp3\" && (udp.dst == 4 || tcp.dst == 4)' reject",
       "acl-add s1 from-lport 1001 'inport == \"lp1\" && (udp.dst == 5 || tcp.dst == 5)' reject",
       "acl-add s1 to-lport 1001 'outport == \"lp1\" && (udp.dst == 6 || tcp.dst == 6)' reject",
       "acl-add s1 to-lport 1001 'outport == \"lp2\" && icmp' reject",
       'pg-add both lp1 lp2',
       "--log --severity=info --name=seven acl-add both to-lport 1002 "
       "'outport == @both && (udp.dst == 7 || tcp.dst == 7)' reject",
       "acl-add s1 to-lport 1003 'outport == \"lp1\" && icmp4.type == 15' reject"], any_order=True)
