# SPDX-License-Identifier: Apache-2.0
"""VLANs with a distributed gateway port: the chassis that has the gateway shows the router's
own MAC, every other one its chassis' MAC."""
from topologies import pause
from traffic import Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

GW1, PUBLIC = '00:00:00:00:ff:01', '00:00:00:00:ff:99'
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1), Host('w2', 2, '10.0.1.2', 'fd01::2', GW1)
outside = Host('wire', 0x90, '172.16.0.90', 'fd99::90', PUBLIC)


def to(ip, number=0):
    return Host('wire', number, ip)


SPEC = {
    'chassis': [mapped('hv1', 1, 'aa:bb:cc:00:00:01'), mapped('hv2', 2, 'aa:bb:cc:00:00:02')],
    'nb': ['lr-add r', 'ls-add s1', 'ls-add pub']
    + localnet('s1', 'ln1', 'phys', 101) + localnet('pub', 'lnp', 'phys', 200)
    + router_port('r', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 'pub', PUBLIC, '172.16.0.254/24 fd99::fe/64')
    + switch_port('s1', 'lp1', '%s 10.0.1.1 fd01::1' % mac(1))
    + switch_port('s1', 'lp2', '%s 10.0.1.2 fd01::2' % mac(2))
    + ['lrp-set-gateway-chassis r-pub hv1 20', 'lrp-set-gateway-chassis r-pub hv2 10',
       'static-mac-binding-add r-pub 172.16.0.90 %s' % mac(0x90),
       'lr-route-add r 0.0.0.0/0 172.16.0.90', 'lr-nat-add r snat 172.16.0.60 10.0.1.0/24',
       'lr-nat-add r dnat_and_snat 172.16.0.82 10.0.1.2 lp2 00:00:00:00:aa:82'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'}],
    'packets': [
        pause(4000),        # until the gateways know of each other
        a.udp(outside), a.udp(outside, sport=1001), b.udp(outside), a.udp(b, link=a.ether(b.mac)),
        tagged(outside.udp(to('172.16.0.82')), 200),
        tagged(outside.udp(to('172.16.0.82'), link=outside.ether('00:00:00:00:aa:82')), 200),
        tagged(outside.arp('172.16.0.254'), 200), tagged(outside.arp('172.16.0.82'), 200),
        tagged(outside.arp('172.16.0.60'), 200), tagged(outside.ping('172.16.0.254'), 200),
        a.ping('172.16.0.254'), b.ping('10.0.1.254'),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na', 'bfd'],
}
