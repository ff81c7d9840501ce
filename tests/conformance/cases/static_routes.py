# SPDX-License-Identifier: Apache-2.0
"""Two routers and a transit switch: longest prefix among static routes of both families, routes
by source, discard routes, a default route, and a next hop that is another router or a host."""
from traffic import Ether, Host, mac, router_port, switch_port

GW1, GW2, T1, T2 = ['00:00:00:00:ff:%02x' % n for n in (1, 2, 0x11, 0x12)]
a = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1)
b = Host('v2', 2, '10.0.2.2', 'fd02::2', GW2)
middle = Host('v3', 3, '10.0.9.3', 'fd09::3')


def via(host, dst, **fields):
    return host.udp(host, link=Ether(src=host.mac, dst=host.gateway_mac), dst=dst, **fields)


def via6(host, dst, **fields):
    return host.udp6(host, link=Ether(src=host.mac, dst=host.gateway_mac), dst=dst, **fields)


SPEC = {
    'nb': ['lr-add r1', 'lr-add r2', 'ls-add s1', 'ls-add s2', 'ls-add t']
    + router_port('r1', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r2', 's2', GW2, '10.0.2.254/24 fd02::ff/64')
    + router_port('r1', 't', T1, '10.0.9.1/24 fd09::1/64')
    + router_port('r2', 't', T2, '10.0.9.2/24 fd09::2/64')
    + switch_port('s1', 'lp1', mac(1) + ' 10.0.1.1 fd01::1')
    + switch_port('s2', 'lp2', mac(2) + ' 10.0.2.2 10.0.2.77 10.20.1.1 10.20.2.2 fd02::2 fd20::1')
    + switch_port('t', 'lp3', mac(3) + ' 10.0.9.3 fd09::3')
    + ['lr-route-add r1 10.0.2.0/24 10.0.9.2', 'lr-route-add r1 fd02::/64 fd09::2',
       'lr-route-add r1 10.20.0.0/16 10.0.9.3', 'lr-route-add r1 10.20.1.0/24 10.0.9.2',
       'lr-route-add r1 10.20.1.128/25 10.0.9.3', 'lr-route-add r1 10.20.1.129/32 10.0.9.2',
       'lr-route-add r1 10.20.2.0/24 discard', 'lr-route-add r1 0.0.0.0/0 10.0.9.3',
       'lr-route-add r1 fd20::/32 fd09::3', 'lr-route-add r1 fd20::/64 fd09::2',
       'lr-route-add r1 fd20:0:0:0:8000::/65 discard', 'lr-route-add r1 ::/0 fd09::3',
       '--policy=src-ip lr-route-add r1 10.0.1.128/25 10.0.9.2',
       'lr-route-add r2 0.0.0.0/0 10.0.9.1', 'lr-route-add r2 ::/0 fd09::1',
       'lr-route-add r2 10.20.0.0/16 10.0.2.77', 'lr-route-add r2 fd20::/16 fd02::2'],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'packets': [
        a.udp(b), b.udp(a), a.udp6(b), b.udp6(a), a.tcp(b), b.tcp(a), a.tcp6(b), b.tcp6(a),
        a.udp(b, ttl=3), b.udp6(a, hlim=3),
        via(a, '10.20.5.5'), via(a, '10.20.1.1'), via(a, '10.20.1.127'), via(a, '10.20.1.128'),
        via(a, '10.20.1.129'), via(a, '10.20.1.130'), via(a, '10.20.1.255'), via(a, '10.20.2.2'),
        via(a, '10.20.3.0'), via(a, '8.8.8.8'), via(a, '1.2.3.4'), via(a, '10.0.2.77'),
        via(a, '8.8.8.8', src='10.0.1.200'), via(a, '10.0.2.2', src='10.0.1.200'),
        via(a, '10.20.1.1', src='10.0.1.200'),
        via6(a, 'fd20::1'), via6(a, 'fd20:0:0:1::1'), via6(a, 'fd20:0:0:0:8000::1'),
        via6(a, 'fd20:0:1::1'), via6(a, '2001:db8::1'), via6(a, 'fd02::2'),
        middle.udp(b, link=Ether(src=middle.mac, dst=T2)),
        middle.udp(a, link=Ether(src=middle.mac, dst=T1)),
        middle.udp6(b, link=Ether(src=middle.mac, dst=T2)),
        a.ping(b), b.ping6(a), a.ping('10.0.9.1'), a.ping('10.0.9.2'), a.ping('10.0.2.254'),
        a.ping6('fd09::2'), b.ping('10.0.1.254'), b.ping6('fd01::ff'),
        middle.arp('10.0.9.1'), middle.arp('10.0.9.2'), middle.solicit('fd09::2'),
    ],
}
