# SPDX-License-Identifier: Apache-2.0
"""Chassis MACs on a network without tags, and a router with two ports in the same switch."""
from traffic import ARP, BROADCAST, Ether, Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

GW1, GW2 = '00:00:00:00:ff:01', '00:00:00:00:ff:02'
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1), Host('v2', 2, '10.0.2.2', 'fd02::2', GW2)
machine = Host('wire', 0x70, '10.0.2.70', 'fd02::70', GW2)
tenant = Host('v3', 3, '10.0.3.3', None, '00:00:00:00:ff:03')
THEIRS = 'aa:bb:cc:00:00:02'


def from_chassis(step, source=THEIRS):
    frame = step[1]
    return ['wire', frame[:12] + source.replace(':', '') + frame[24:]]


SPEC = {
    'chassis': [mapped('hv1', 1, 'aa:bb:cc:00:00:01')],
    'nb': ['lr-add r', 'ls-add s1', 'ls-add s2', 'ls-add s3']
    + localnet('s2', 'ln2', 'phys')
    + router_port('r', 's1', GW1, '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 's2', GW2, '10.0.2.254/24 fd02::ff/64')
    + router_port('r', 's3', '00:00:00:00:ff:03', '10.0.3.254/24')
    + switch_port('s1', 'lp1', '%s 10.0.1.1 fd01::1' % mac(1))
    + switch_port('s2', 'lp2', '%s 10.0.2.2 fd02::2' % mac(2))
    + switch_port('s3', 'lp3', '%s 10.0.3.3' % mac(3))
    + ['sb set chassis hv2 other_config:ovn-chassis-mac-mappings="phys:%s"' % THEIRS,
       'static-mac-binding-add r-s2 10.0.2.70 %s' % mac(0x70)],
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02'}],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'packets': [
        a.udp(b), b.udp(a), a.udp(machine), machine.udp(a), tenant.udp(machine),
        machine.ping('10.0.2.254'), machine.arp('10.0.2.254'), machine.arp(b.ip),
        a.udp(Host('v1', 0, '10.0.2.99')),
        from_chassis(machine.udp(b, link=machine.ether(b.mac))),
        from_chassis(machine.udp(b, link=machine.ether(BROADCAST))),
        from_chassis(machine.arp(b.ip)), from_chassis(machine.arp('10.0.2.254')),
        tagged(from_chassis(machine.udp(b, link=machine.ether(b.mac))), 0),
        tagged(from_chassis(machine.udp(b, link=machine.ether(b.mac))), 7),
        ['wire', bytes(Ether(src=GW2, dst=b.mac) / ARP(op=2, hwsrc=GW2, psrc='10.0.2.254',
                                                       hwdst=b.mac, pdst=b.ip)).hex()],
        ['v2', bytes(Ether(src=GW2, dst=machine.mac) / ARP(op=2, hwsrc=GW2, psrc='10.0.2.254',
                                                           pdst=machine.ip)).hex()],
        b.udp(machine, link=b.ether(machine.mac)),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
