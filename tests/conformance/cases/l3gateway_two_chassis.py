# SPDX-License-Identifier: Apache-2.0
"""Tenants on one chassis, their gateway router on another: both ends of the path, with NAT, a
load balancer and the way back."""
from traffic import Host, mac, router_port, switch_port
from vlans import localnet, mapped

GW1, JOIN, EDGE, PUBLIC = ['00:00:00:00:ff:%02x' % n for n in (1, 0x31, 0x32, 0x99)]
a, b = Host('v1', 1, '10.0.1.1', None, GW1), Host('w2', 2, '10.0.1.2', None, GW1)
out = Host('wire', 0x90, '172.16.0.90', None, PUBLIC)


def to(ip):
    return Host('wire', 0, ip)


SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['lr-add r', 'lr-add g', 'ls-add s1', 'ls-add join', 'ls-add pub']
    + router_port('r', 's1', GW1, '10.0.1.254/24') + router_port('r', 'join', JOIN, '100.64.0.1/24')
    + router_port('g', 'join', EDGE, '100.64.0.2/24')
    + router_port('g', 'pub', PUBLIC, '172.16.0.254/24') + localnet('pub', 'ln', 'phys', 9)
    + sum([switch_port('s1', 'lp%d' % n, '%s 10.0.1.%d' % (mac(n), n)) for n in (1, 2)], [])
    + ['set logical_router g options:chassis=hv2',
       'lr-route-add r 0.0.0.0/0 100.64.0.2', 'lr-route-add g 10.0.0.0/16 100.64.0.1',
       'lr-route-add g 0.0.0.0/0 172.16.0.90',
       'static-mac-binding-add g-pub 172.16.0.90 %s' % mac(0x90),
       'lr-nat-add g snat 172.16.0.60 10.0.0.0/16',
       'lr-nat-add g dnat_and_snat 172.16.0.81 10.0.1.1',
       'lb-add web 172.16.0.70:80 10.0.1.2:8080', 'lr-lb-add g web'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'}],
    'packets': [
        a.udp(out), b.udp(out, sport=1001), a.ping(to('172.16.0.254')), a.udp(b), b.udp(a),
        *[['wire', s[1][:24] + '81000009' + s[1][24:]] for s in (
            out.udp(to('172.16.0.81')), out.tcp(to('172.16.0.70')), out.ping('172.16.0.254'),
            out.arp('172.16.0.254'), out.arp('172.16.0.81'), out.arp('172.16.0.70'),
            out.udp(to('172.16.0.99')), out.ping('172.16.0.60'))],
        a.udp(to('172.16.0.81')), b.udp(to('172.16.0.81')), a.udp(out, size=1400),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
