# SPDX-License-Identifier: Apache-2.0
"""A gateway port of three chassis: the best one does not answer BFD, the next one does. Traffic goes to
that; when the order of the living changes, it follows."""
from traffic import Host, mac, router_port, switch_port
from vlans import localnet, mapped

GW1, PUBLIC = '00:00:00:00:ff:01', '00:00:00:00:ff:99'
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1), Host('w2', 2, '10.0.1.2', 'fd01::2', GW1)
out = Host('wire', 0x90, '172.16.0.90', 'fd99::90', PUBLIC)


def packets(sport):
    return [a.udp(out, sport=sport), b.udp(out, sport=sport), a.udp6(out, sport=sport),
            a.ping('172.16.0.254'), out.ping('172.16.0.254'), out.arp('172.16.0.254'),
            out.udp(Host('wire', 0, '172.16.0.82'), sport=sport), out.udp6(a, sport=sport)]


SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'remote': [{'name': 'hv3', 'ip': '192.168.0.3', 'mac': '02:bb:00:00:00:03'}],
    'nb': ['lr-add r', 'ls-add s1', 'ls-add pub'] + localnet('pub', 'ln', 'phys')
    + router_port('r', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 'pub', PUBLIC, '172.16.0.254/24 fd99::fe/64')
    + sum([switch_port('s1', 'lp%d' % n, '%s 10.0.1.%d fd01::%d' % (mac(n), n, n)) for n in (1, 2)],
          [])
    + ['lrp-set-gateway-chassis r-pub hv3 30', 'lrp-set-gateway-chassis r-pub hv2 20',
       'lrp-set-gateway-chassis r-pub hv1 10',
       'static-mac-binding-add r-pub 172.16.0.90 %s' % mac(0x90),
       'static-mac-binding-add r-pub fd99::90 %s' % mac(0x90),
       'lr-route-add r 0.0.0.0/0 172.16.0.90', 'lr-route-add r ::/0 fd99::90',
       'lr-nat-add r dnat_and_snat 172.16.0.82 10.0.1.2'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'}],
    'packets': [{'sleep_ms': 4000}] + packets(1000)
    + [{'nb': ['lrp-set-gateway-chassis r-pub hv1 25']}, {'sleep_ms': 5000}] + packets(1001),
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na', 'bfd'],
}
