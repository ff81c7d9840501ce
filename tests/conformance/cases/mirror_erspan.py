# SPDX-License-Identifier: Apache-2.0
"""Port mirrors to a ERSPAN tunnel: what a port sends as it sent it, what it gets as it got it, one copy
a mirror and packet."""
from topologies import routed

net = routed([1, 2, 5], [3])
a, b, far, e = [net.hosts[n] for n in (1, 2, 3, 5)]

SPEC = net.spec(
    [a.udp(b, link=a.ether(b.mac)), b.udp(a, link=b.ether(a.mac)), a.udp(far), far.udp(a),
     a.arp(b.ip), b.arp(e.ip), far.udp6(b), e.udp(b, link=e.ether(b.mac), tos=0xb9),
     a.udp(b, dport=99, link=a.ether(b.mac)), a.ping('10.0.1.254'), a.udp(b, size=1300, link=a.ether(b.mac))],
    remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:00:00:00:00:02', 'ports': []}],
    any_order=['wire'],
    nb=['acl-add s1 from-lport 1000 "udp.dst == 99" drop',
        'mirror-add m1 erspan 5 from-lport 192.168.0.2', 'mirror-add m2 erspan 6 to-lport 192.168.0.2',
        'lsp-attach-mirror lp1 m1', 'lsp-attach-mirror lp1 m2', 'lsp-attach-mirror lp2 m2', 'lsp-attach-mirror lp3 m1'])
