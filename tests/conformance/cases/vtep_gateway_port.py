# SPDX-License-Identifier: Apache-2.0
"""A router for the machine behind a VTEP gateway: its port on that switch is a distributed gateway
port, so that one chassis alone answers ARP requests of the gateway."""
from topologies import gateway, routed
from traffic import Host
from vxlan import HERE, VTEP, from_wire

net = routed((1,), (3, 4))
del net.interfaces['v4']
a, c, far = [net.hosts[n] for n in (1, 3, 4)]
machine = Host('wire', 9, '10.0.1.9', 'fd01::9', gateway(1))
SPEC = net.spec([from_wire(machine.arp('10.0.1.254'), 2), from_wire(machine.ping('10.0.1.254'), 2),
                 from_wire(machine.udp(c), 2), from_wire(machine.udp(far), 2),
                 from_wire(machine.udp6(c), 2), c.udp(machine), a.udp(machine), a.udp(c),
                 a.arp('10.0.1.254'), a.udp(far)],
                nb=['lsp-add s1 vt -- lsp-set-type vt vtep -- lsp-set-addresses vt unknown '
                    '-- lsp-set-options vt vtep-physical-switch=tor vtep-logical-switch=vls',
                    'lrp-set-gateway-chassis r-s1 hv1 10',
                    'sb set chassis hv2 vtep_logical_switches=vls other_config:is-vtep=true',
                    'static-mac-binding-add r-s1 10.0.1.9 50:54:00:00:00:09'],
                chassis=HERE, any_order=['wire'], ignore_kinds=['garp', 'rarp', 'na'],
                remote=[dict(VTEP, ports=['vt']),
                        {'name': 'hv3', 'ip': '192.168.0.3', 'mac': '02:bb:00:00:00:03',
                         'encap': 'geneve', 'ports': ['lp4']}])
