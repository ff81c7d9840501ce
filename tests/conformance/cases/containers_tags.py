# SPDX-License-Identifier: Apache-2.0
"""Containers whose tags northd chooses (tag_request 0), that change, and that go with their VM;
a parent that is not plugged in."""
from topologies import change, pause
from traffic import BROADCAST, Host, mac, switch_port
from vlans import tagged

vm, vm2 = Host('v1', 1, '10.0.0.1'), Host('v2', 2, '10.0.0.2')
c = [Host('v1', n, '10.0.0.%d' % n) for n in (10, 11, 12)]
TALK = [tagged(h.udp(vm2), vid) for h in c for vid in (1, 2, 3, 44)] + [
    vm2.udp(h) for h in c] + [tagged(c[0].udp(c[1]), 1), vm2.udp(vm, link=vm2.ether(BROADCAST)),
                              tagged(c[2].arp('10.0.0.2'), 44), vm2.arp('10.0.0.12')]
SPEC = {
    'nb': ['ls-add s']
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d' % (mac(n), n)) for n in (1, 2)], [])
    + ['lsp-add s c%d %s %d -- lsp-set-addresses c%d "%s 10.0.0.%d"' % (n, vm_, tag, n, mac(n), n)
       for n, vm_, tag in ((10, 'lp1', 0), (11, 'lp1', 0), (12, 'lp1', 3), (13, 'ghost', 4))],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2'},
    'packets': TALK + [change('set logical_switch_port c12 tag=44 tag_request=44'), pause(300)] + TALK
    + [change('lsp-del c11'), pause(300)] + TALK
    + [change('vs remove interface v1 external_ids iface-id'), pause(500), vm2.udp(c[0]),
       vm2.udp(vm, link=vm2.ether(BROADCAST)), tagged(c[0].udp(vm2), 1),
       change('vs set interface v1 external_ids:iface-id=lp1'), pause(500)] + TALK,
    'any_order': ['v1'],
}
