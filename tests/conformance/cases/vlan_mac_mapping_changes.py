# SPDX-License-Identifier: Apache-2.0
"""Chassis MACs that come, change and go while traffic flows; a mapping of another network and one
that is no MAC."""
from topologies import change, pause
from traffic import Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

GW1, GW2 = '00:00:00:00:ff:01', '00:00:00:00:ff:02'
a, b = Host('v1', 1, '10.0.1.1', None, GW1), Host('v2', 2, '10.0.2.2', None, GW2)
machine = Host('wire', 0x70, '10.0.2.70', None, GW2)


def from_chassis(source):
    frame = machine.udp(b, link=machine.ether(b.mac))[1]
    return tagged(['wire', frame[:12] + source.replace(':', '') + frame[24:]], 102)


def ours(text):
    return [change('vs set open_vswitch . external_ids:ovn-chassis-mac-mappings=\\"%s\\"' % text),
            pause(400)]


def theirs(text):
    return [change('sb set chassis hv2 other_config:ovn-chassis-mac-mappings="\\"%s\\""' % text),
            pause(300)]


TALK = [a.udp(machine), a.udp(b), from_chassis('aa:bb:cc:00:00:02'),
        from_chassis('aa:bb:cc:00:00:03'), tagged(machine.udp(a), 102)]
SPEC = {
    'chassis': [mapped('hv1', 1)],
    'nb': ['lr-add r', 'ls-add s1', 'ls-add s2'] + localnet('s2', 'ln2', 'phys', 102)
    + router_port('r', 's1', GW1, '10.0.1.254/24') + router_port('r', 's2', GW2, '10.0.2.254/24')
    + switch_port('s1', 'lp1', '%s 10.0.1.1' % mac(1))
    + switch_port('s2', 'lp2', '%s 10.0.2.2' % mac(2))
    + ['static-mac-binding-add r-s2 10.0.2.70 %s' % mac(0x70)],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02'}],
    'packets': TALK + ours('phys:aa:bb:cc:00:00:01') + TALK + theirs('phys:aa:bb:cc:00:00:02') + TALK
    + ours('other:aa:bb:cc:00:00:09') + theirs('other:aa:bb:cc:00:00:03') + TALK,
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
