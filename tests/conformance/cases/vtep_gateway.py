# SPDX-License-Identifier: Apache-2.0
"""A VTEP gateway that says so, beside an ordinary chassis: broadcasts reach both, the gateway with
the network's key alone; what comes from the gateway stays here, answers of the pipeline go back."""
from topologies import switched
from traffic import Host
from vxlan import HERE, VTEP, from_wire

net = switched(1, 2, 3)
del net.interfaces['v3']
a, b, far = [net.hosts[n] for n in (1, 2, 3)]
machine = Host('wire', 9, '10.0.1.9', 'fd01::9')
flood = 'ff:ff:ff:ff:ff:ff'
SPEC = net.spec([a.udp(machine), a.udp(far), a.udp(machine, link=a.ether(flood)), a.arp(machine.ip),
                 a.udp(machine, link=a.ether('50:54:00:00:00:77')),
                 from_wire(machine.udp(a), 1), from_wire(machine.udp(far), 1),
                 from_wire(machine.udp(a, link=machine.ether(flood)), 1),
                 from_wire(machine.arp(a.ip), 1), from_wire(machine.arp(far.ip), 1),
                 from_wire(machine.udp(b), 1, source='192.168.0.3', mac='02:bb:00:00:00:03'),
                 from_wire(machine.udp(machine), 1), from_wire(machine.udp6(b), 1)],
                nb=['lsp-add s1 vt -- lsp-set-type vt vtep -- lsp-set-addresses vt unknown '
                    '-- lsp-set-options vt vtep-physical-switch=tor vtep-logical-switch=vls',
                    'sb set chassis hv2 vtep_logical_switches=vls other_config:is-vtep=true'],
                chassis=HERE, any_order=['wire'],
                remote=[dict(VTEP, ports=['vt']),
                        {'name': 'hv3', 'ip': '192.168.0.3', 'mac': '02:bb:00:00:00:03',
                         'encap': 'geneve', 'ports': ['lp3']}])
