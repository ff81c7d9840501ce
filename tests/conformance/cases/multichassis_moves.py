# SPDX-License-Identifier: Apache-2.0
"""A VM that moves between chassis as OpenStack does it: a second chassis, activation there by
RARP, then the second chassis alone."""
from topologies import change, pause, rows
from traffic import ARP, BROADCAST, Ether, Host, mac, switch_port
from vlans import localnet, mapped, tagged

a, b = Host('v1', 1, '10.0.0.1'), Host('w2', 2, '10.0.0.2')
old, new = Host('m1', 9, '10.0.0.9'), Host('m2', 9, '10.0.0.9')
out = Host('wire', 0x90, '10.0.0.90')
RARP = new.send(Ether(src=new.mac, dst=BROADCAST, type=0x8035)
                / ARP(op=3, hwsrc=new.mac, hwdst=new.mac, psrc='0.0.0.0', pdst='0.0.0.0'))
TALK = [a.udp(old), b.udp(old), old.udp(a), old.udp(b), new.udp(a), new.udp(b), new.udp(out),
        old.udp(out), a.udp(b, link=a.ether(BROADCAST)),
        tagged(out.udp(old, link=out.ether(BROADCAST)), 8), new.arp(a.ip), old.arp(b.ip)]
SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['ls-add s'] + localnet('s', 'ln', 'phys', 8)
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d' % (mac(n), n)) for n in (1, 2, 9)], [])
    + ['lsp-set-options lp9 requested-chassis=hv1'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'm1', 'iface_id': 'lp9', 'chassis': 'hv1'},
                   {'name': 'm2', 'iface_id': 'lp9', 'chassis': 'hv2'}],
    'packets': TALK
    + [change('lsp-set-options lp9 requested-chassis=hv1,hv2 activation-strategy=rarp'), pause(600)]
    + TALK + [RARP, pause(500)] + TALK
    + [change('lsp-set-options lp9 requested-chassis=hv2'), pause(600)] + TALK,
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'na'],
}
