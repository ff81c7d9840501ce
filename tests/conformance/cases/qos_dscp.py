# SPDX-License-Identifier: Apache-2.0
"""QoS rules that set the DSCP, on the way in and on the way out, IPv4 and IPv6, across a
tunnel.

Left out: floods. In the reference, what egress writes for one member of a group is seen by the
next, in an order that changes from run to run.
"""
from traffic import Ether, Host, mac, payload, router_port, switch_port

GW = '00:00:00:00:ff:01'
hosts = [Host('v%d' % n, n, '10.0.0.%d' % n, 'fd00::%d' % n) for n in (1, 2, 3, 4)]
a, b, c, far = hosts
routed = Host('v5', 5, '10.0.5.5', 'fd05::5', '00:00:00:00:ff:02')


def via(host, to, **fields):
    return host.udp(to, link=Ether(src=host.mac, dst=GW), **fields)


SPEC = {
    'nb': ['ls-add s', 'ls-add s5', 'lr-add r'] + router_port('r', 's', GW, '10.0.0.254/24')
    + router_port('r', 's5', '00:00:00:00:ff:02', '10.0.5.254/24')
    + switch_port('s5', 'lp5', '%s 10.0.5.5' % mac(5))
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n))
           for n in (1, 2, 3, 4)], [])
    + ['qos-add s from-lport 100 "inport == \\"lp1\\" && ip4" dscp=46',
       'qos-add s from-lport 200 "inport == \\"lp1\\" && udp.dst == 53" dscp=10',
       'qos-add s from-lport 100 "inport == \\"lp2\\" && ip6" dscp=63',
       'qos-add s from-lport 50 "ip4.src == 10.0.0.0/24 && tcp.dst == 80" dscp=0',
       'qos-add s to-lport 100 "outport == \\"lp3\\" && udp.dst == 53" dscp=1',
       'qos-add s to-lport 90 "outport == \\"lp3\\" && ip" dscp=34'],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3', 'v5': 'lp5'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp4']}],
    'packets': [
        a.udp(b), a.udp(b, dport=53), a.udp6(b), a.udp6(b, dport=53), a.tcp(b), a.tcp(b, dport=443),
        a.udp(b, tos=0xff), a.udp(b, tos=3), a.udp(b, tos=1, dport=53), b.udp(a), b.udp6(a),
        b.udp6(a, tc=0xff), b.udp6(a, tc=2), b.udp6(a, fl=0xabcde), b.tcp(a), b.tcp(a, tos=0xb8),
        b.tcp6(a), c.tcp(b, dport=80), c.tcp(b, dport=80, tos=0xfe), c.udp(a), c.udp(a, tos=0x2e),
        a.udp(c), a.udp(c, dport=53), b.udp(c), b.udp(c, tos=0xb8), b.udp6(c), a.udp6(c),
        a.udp(far), a.udp(far, dport=53), b.udp6(far), b.udp(far), b.udp(far, tos=0xb8),
        a.ping(b), a.ping(c), b.ping6(c),
        via(a, routed), via(a, routed, dport=53), via(c, routed), routed.udp(a), routed.udp(c),
        a.udp(b, size=0), a.udp(b, frag=9), a.arp('10.0.0.2'),
        a.send(Ether(src=a.mac, dst=b.mac, type=0x88b5) / payload(46)),
    ],
}
