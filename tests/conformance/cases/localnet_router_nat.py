# SPDX-License-Identifier: Apache-2.0
"""Several routers with gateways on one VLAN of the physical network, each with NAT, and a VM in
the same VLAN: they reach each other by their public addresses."""
from traffic import Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

GW = ['00:00:00:00:ff:%02x' % n for n in (1, 2)]
PUBLIC = ['00:00:00:00:ee:%02x' % n for n in (1, 2)]
a, b = Host('v1', 1, '10.0.1.1', None, GW[0]), Host('v2', 2, '10.0.2.2', None, GW[1])
vm = Host('v3', 3, '172.16.0.3')
out = Host('wire', 0x90, '172.16.0.90')


def to(ip, through=None):
    return Host('wire', 0, ip)


nb = ['ls-add pub'] + localnet('pub', 'ln', 'phys', 300)
for n in (1, 2):
    nb += (['lr-add r%d' % n, 'ls-add s%d' % n]
           + router_port('r%d' % n, 's%d' % n, GW[n - 1], '10.0.%d.254/24' % n)
           + router_port('r%d' % n, 'pub', PUBLIC[n - 1], '172.16.0.25%d/24' % n)
           + ['lrp-set-gateway-chassis r%d-pub hv1 10' % n,
              'lr-nat-add r%d snat 172.16.0.25%d 10.0.%d.0/24' % (n, n, n),
              'lr-nat-add r%d dnat_and_snat 172.16.0.8%d 10.0.%d.%d' % (n, n, n, n)]
           + ['static-mac-binding-add r%d-pub 172.16.0.90 %s' % (n, mac(0x90)),
              'static-mac-binding-add r%d-pub 172.16.0.3 %s' % (n, mac(3)),
              'static-mac-binding-add r%d-pub 172.16.0.8%d %s' % (n, 3 - n, PUBLIC[2 - n])])
SPEC = {
    'chassis': [mapped('hv1', 1)],
    'nb': nb + switch_port('s1', 'lp1', '%s 10.0.1.1' % mac(1))
    + switch_port('s2', 'lp2', '%s 10.0.2.2' % mac(2))
    + switch_port('pub', 'lp3', '%s 172.16.0.3' % mac(3)),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'packets': [
        a.udp(to('172.16.0.90')), b.udp(to('172.16.0.90')), a.udp(to('172.16.0.3')),
        a.udp(to('172.16.0.82')), b.udp(to('172.16.0.81')), vm.arp('172.16.0.81'),
        vm.udp(to('172.16.0.81'), link=vm.ether(PUBLIC[0])), vm.ping(Host('v3', 0, '172.16.0.90')),
        tagged(out.arp('172.16.0.82'), 300), tagged(out.arp('172.16.0.251'), 300),
        tagged(out.udp(to('172.16.0.82'), link=out.ether(PUBLIC[1])), 300),
        tagged(out.udp(to('172.16.0.81'), link=out.ether(PUBLIC[1])), 300),
        tagged(out.udp(vm, link=out.ether(vm.mac)), 300), out.arp('172.16.0.82'),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
