# SPDX-License-Identifier: Apache-2.0
"""Replication: a switch that spans four chassis floods to every local member and sends one copy
to each remote chassis, whatever the number of members there; groups from the wire reach
local members only."""
from traffic import BROADCAST, Ether, Host, geneve, mac, payload, router_port, switch_port

a, b, c = [Host('v%d' % n, n, '10.0.0.%d' % n, 'fd00::%d' % n) for n in (1, 2, 3)]
remote = Host('wire', 0x11, '10.0.0.17', 'fd00::11')
GROUPS = ['01:00:5e:00:00:01', '01:00:5e:7f:ff:fa', '33:33:00:00:00:01', '33:33:ff:00:00:05',
          '01:80:c2:00:00:0e', BROADCAST]
IN = {'src_ip': '192.168.0.2', 'dst_ip': '192.168.0.1', 'dst_mac': '02:aa:00:00:00:01', 'vni': 50,
      'inport': 20}


def flood(host, group, **fields):
    return host.udp(host, link=host.ether(group), dst='239.2.2.2', **fields)


SPEC = {
    'nb': ['ls-add s -- set logical_switch s other_config:requested-tnl-key=50', 'lr-add r']
    + router_port('r', 's', '00:00:00:00:ff:01', '10.0.0.254/24')
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d' % (mac(n), n)) for n in (1, 2, 3)], [])
    + sum([switch_port('s', 'far%d' % n, mac(0x10 + n)) for n in range(1, 7)], [])
    + ['lsp-set-options far1 requested-tnl-key=20', 'lsp-set-options lp1 requested-tnl-key=21'],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                'ports': ['far1', 'far2', 'far3']},
               {'name': 'hv3', 'ip': '192.168.0.3', 'mac': '02:bb:00:00:00:03', 'ports': ['far4']},
               {'name': 'hv4', 'ip': '192.168.0.4', 'mac': '02:bb:00:00:00:04',
                'ports': ['far5', 'far6']}],
    'packets': [flood(host, group) for host in (a, b, c) for group in GROUPS]
    + [flood(a, BROADCAST, size=0), flood(a, BROADCAST, size=1400), flood(a, BROADCAST, tos=0x48),
       a.arp('10.0.0.123'), a.arp('10.0.0.254'), b.arp('10.0.0.3'), a.solicit('fd00::123'),
       a.send(Ether(src=a.mac, dst=BROADCAST, type=0x88b5) / payload(46)),
       geneve(flood(remote, BROADCAST), outport=0x8000, **IN),
       geneve(remote.arp('10.0.0.123'), outport=0x8000, **IN),
       geneve(flood(remote, GROUPS[0]), outport=0x8000, **IN),
       geneve(remote.arp('10.0.0.254'), outport=0x8004, **IN),
       geneve(flood(remote, BROADCAST), outport=0x8999, **IN),
       a.udp(remote), a.udp(Host('wire', 0x14, '10.0.0.20')),
       {'nb': ['lsp-del far4', 'lsp-del lp3']}, flood(a, BROADCAST), flood(a, GROUPS[2])],
    # One copy per chassis, in no defined order.
    'any_order': ['wire'],
}
