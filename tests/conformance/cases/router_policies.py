# SPDX-License-Identifier: Apache-2.0
"""Router policies over the routing table: allow, drop, reroute, by priority, source, port and
TTL.

Left out here and elsewhere: `ip.dscp == N`, for which OVN 23.03 makes a flow that matches any
DSCP.
"""
from traffic import Ether, Host, mac, router_port, switch_port

GW = ['', '00:00:00:00:ff:01', '00:00:00:00:ff:02', '00:00:00:00:ff:03']
a = Host('v1', 1, '10.0.1.1', 'fd01::1', GW[1])
a2 = Host('v4', 4, '10.0.1.4', 'fd01::4', GW[1])
b = Host('v2', 2, '10.0.2.2', 'fd02::2', GW[2])
fw = Host('v3', 3, '10.0.3.3', 'fd03::3', GW[3])


def policy(priority, match, action):
    return 'lr-policy-add r %d %r %s' % (priority, match, action)


SPEC = {
    'nb': ['lr-add r'] + ['ls-add s%d' % n for n in (1, 2, 3)]
    + sum([router_port('r', 's%d' % n, GW[n], '10.0.%d.254/24 fd0%d::ff/64' % (n, n))
           for n in (1, 2, 3)], [])
    + switch_port('s1', 'lp1', mac(1) + ' 10.0.1.1 fd01::1')
    + switch_port('s1', 'lp4', mac(4) + ' 10.0.1.4 fd01::4')
    + switch_port('s2', 'lp2', mac(2) + ' 10.0.2.2 fd02::2')
    + switch_port('s3', 'lp3', mac(3) + ' 10.0.3.3 fd03::3')
    + [policy(1000, 'ip4.src == 10.0.1.4 && ip4.dst == 10.0.2.0/24', 'reroute 10.0.3.3'),
       policy(1001, 'ip4.src == 10.0.1.4 && udp.dst == 53', 'allow'),
       policy(1002, 'ip4.src == 10.0.1.4 && udp.dst == 666', 'drop'),
       policy(900, 'inport == "r-s2" && tcp.dst == 23', 'drop'),
       policy(800, 'ip6.src == fd01::4', 'reroute fd03::3'),
       policy(700, 'ip.ttl == 46 && ip4', 'reroute 10.0.3.3'),
       policy(600, 'ip4.dst == 10.0.3.99', 'drop')],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3', 'v4': 'lp4'},
    'packets': [
        a.udp(b), a2.udp(b), a2.udp(b, dport=53), a2.udp(b, dport=666), a2.udp(fw), a2.tcp(b),
        a2.tcp(fw, dport=666), a.udp(b, dport=666), a.udp(b, dport=53), b.tcp(a, dport=23),
        b.tcp6(a, dport=23), b.tcp(a, dport=22), a.tcp(b, dport=23), fw.tcp(a, dport=23),
        a.udp6(b), a2.udp6(b), a2.tcp6(b), a2.udp6(fw), b.udp6(a2),
        a.udp(b, ttl=46), a.udp(fw, ttl=46), a.tcp(b, ttl=46), a.udp(b, ttl=47),
        b.udp(a, ttl=46), a.udp6(b, hlim=46), fw.udp(b, src='10.0.1.4'), fw.udp(b),
        a.udp(fw, dst='10.0.3.99'), a.ping(b), a2.ping(b), a2.ping('10.0.1.254'),
        a2.ping('10.0.2.254'), b.ping(a2), a2.udp(a, link=Ether(src=a2.mac, dst=GW[1])),
    ],
}
