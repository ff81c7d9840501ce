# SPDX-License-Identifier: Apache-2.0
"""Containers behind tags of a VM in a switch that is itself a VLAN of the physical network."""
from traffic import BROADCAST, Host, mac, switch_port
from vlans import localnet, mapped, tagged

vm, c10, c20 = Host('v1', 1, '10.0.0.1'), Host('v1', 0x10, '10.0.0.10'), Host('v1', 0x20, '10.9.0.20')
vm2, far = Host('v2', 2, '10.0.0.2'), Host('wire', 5, '10.0.0.5')
out = Host('wire', 0x90, '10.0.0.90')
SPEC = {
    'chassis': [mapped('hv1', 1)],
    'nb': ['ls-add s', 'ls-add t'] + localnet('s', 'ln', 'phys', 10) + localnet('t', 'lt', 'phys')
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d' % (mac(n), n)) for n in (1, 2, 5)], [])
    + ['lsp-add s c10 lp1 10 -- lsp-set-addresses c10 "%s 10.0.0.10"' % mac(0x10),
       'lsp-add t c20 lp1 20 -- lsp-set-addresses c20 "%s 10.9.0.20"' % mac(0x20)],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp5']}],
    'packets': [
        vm.udp(vm2), tagged(c10.udp(vm2), 10), vm2.udp(c10), tagged(c10.udp(out), 10),
        tagged(c10.udp(far), 10), tagged(c20.udp(out), 20), tagged(out.udp(c10), 10), out.udp(c10),
        out.udp(c20), tagged(out.udp(c20), 20), tagged(out.udp(vm), 10), tagged(c10.udp(vm), 10),
        vm.udp(c10), tagged(c20.udp(vm), 20), tagged(tagged(c10.udp(out), 33), 10),
        tagged(tagged(out.udp(c10), 33), 10), tagged(vm.udp(vm2), 10),
        tagged(c10.udp(out, link=c10.ether(BROADCAST)), 10),
        tagged(c20.udp(out, link=c20.ether(BROADCAST)), 20),
        tagged(out.udp(vm, link=out.ether(BROADCAST)), 10), out.udp(vm, link=out.ether(BROADCAST)),
        tagged(out.arp('10.0.0.10'), 10), tagged(c10.arp('10.0.0.2'), 10),
    ],
    'any_order': ['wire', 'v1'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
