# SPDX-License-Identifier: Apache-2.0
"""A distributed gateway port with redirect-type=bridged: what is for the gateway elsewhere
leaves by the physical network, with the chassis' MAC, instead of by the tunnel."""
from traffic import Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

GW1, PUBLIC = '00:00:00:00:ff:01', '00:00:00:00:ff:99'
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1), Host('w2', 2, '10.0.1.2', 'fd01::2', GW1)
out = Host('wire', 0x90, '172.16.0.90', 'fd99::90', PUBLIC)


def to(ip):
    return Host('wire', 0, ip)


SPEC = {
    'chassis': [mapped('hv1', 1, 'aa:bb:cc:00:00:01'), mapped('hv2', 2, 'aa:bb:cc:00:00:02')],
    'nb': ['lr-add r', 'ls-add s1', 'ls-add pub'] + localnet('s1', 'ln1', 'phys', 101)
    + localnet('pub', 'lnp', 'phys', 200)
    + router_port('r', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 'pub', PUBLIC, '172.16.0.254/24 fd99::fe/64')
    + sum([switch_port('s1', 'lp%d' % n, '%s 10.0.1.%d fd01::%d' % (mac(n), n, n)) for n in (1, 2)],
          [])
    + ['lrp-set-gateway-chassis r-pub hv2 20', 'lrp-set-redirect-type r-pub bridged',
       'lr-route-add r 0.0.0.0/0 172.16.0.90', 'lr-route-add r ::/0 fd99::90',
       'static-mac-binding-add r-pub 172.16.0.90 %s' % mac(0x90),
       'static-mac-binding-add r-pub fd99::90 %s' % mac(0x90),
       'lr-nat-add r snat 172.16.0.60 10.0.1.0/24'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'}],
    'packets': [
        a.udp(out), b.udp(out, sport=1001), a.udp6(out), a.ping('172.16.0.254'),
        tagged(out.arp('172.16.0.254'), 200), tagged(out.arp('172.16.0.60'), 200),
        tagged(out.ping('172.16.0.254'), 200), a.udp(b, link=a.ether(b.mac)), b.ping('10.0.1.254'),
        tagged(out.udp6(a), 200),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na', 'bfd'],
}
