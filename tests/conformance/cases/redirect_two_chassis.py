# SPDX-License-Identifier: Apache-2.0
"""A distributed gateway port that lives on the other of two hypervisors: centralised traffic
crosses the tunnel, distributed NAT leaves where the VM is."""
from traffic import Host, mac, router_port, switch_port
from vlans import localnet, mapped

GW1, PUBLIC = '00:00:00:00:ff:01', '00:00:00:00:ff:99'
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1), Host('w2', 2, '10.0.1.2', 'fd01::2', GW1)
out = Host('wire', 0x90, '172.16.0.90', 'fd99::90', PUBLIC)


def to(ip):
    return Host('wire', 0, ip)


SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['lr-add r', 'ls-add s1', 'ls-add pub'] + localnet('pub', 'ln', 'phys')
    + router_port('r', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 'pub', PUBLIC, '172.16.0.254/24 fd99::fe/64')
    + sum([switch_port('s1', 'lp%d' % n, '%s 10.0.1.%d fd01::%d' % (mac(n), n, n)) for n in (1, 2)],
          [])
    + ['lrp-set-gateway-chassis r-pub hv2 20', 'lrp-set-gateway-chassis r-pub hv1 10',
       'static-mac-binding-add r-pub 172.16.0.90 %s' % mac(0x90),
       'static-mac-binding-add r-pub fd99::90 %s' % mac(0x90),
       'lr-route-add r 0.0.0.0/0 172.16.0.90', 'lr-route-add r ::/0 fd99::90',
       'lr-nat-add r snat 172.16.0.60 10.0.1.0/24',
       'lr-nat-add r dnat_and_snat 172.16.0.81 10.0.1.1 lp1 00:00:00:00:aa:81',
       'lr-nat-add r dnat_and_snat 172.16.0.82 10.0.1.2'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'}],
    'packets': [
        {'sleep_ms': 4000},     # until BFD between the two is up
        a.udp(out), b.udp(out, sport=1001), a.udp6(out), b.udp6(out), a.ping(to('172.16.0.254')),
        out.udp(to('172.16.0.81')), out.udp(to('172.16.0.81'), link=out.ether('00:00:00:00:aa:81')),
        out.udp(to('172.16.0.82')), out.arp('172.16.0.81'), out.arp('172.16.0.82'),
        out.arp('172.16.0.254'), out.solicit('fd99::fe'), out.ping('172.16.0.254'), out.udp6(a),
        a.udp(to('172.16.0.82')), b.udp(to('172.16.0.81')), out.tcp6(b), a.arp('10.0.1.254'),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na', 'bfd'],
}
