# SPDX-License-Identifier: Apache-2.0
"""Connections over a VLAN: each side of a localnet port has its own zone, and load balancers and
stateful ACLs work through it."""
from traffic import Host, mac, switch_port
from vlans import localnet, mapped, tagged

a, b, far = Host('v1', 1, '10.0.0.1'), Host('v2', 2, '10.0.0.2'), Host('wire', 5, '10.0.0.5')
out = Host('wire', 0x90, '10.0.0.90')
VIP = Host('v1', 0x90, '10.0.0.200')


def wire(step):
    return tagged(step, 8)


SPEC = {
    'chassis': [mapped('hv1', 1)],
    'nb': ['ls-add s'] + localnet('s', 'ln', 'phys', 8)
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d' % (mac(n), n)) for n in (1, 2, 5)], [])
    + ['acl-add s to-lport 100 "outport==\\"lp1\\" && tcp.dst==80" allow-related',
       'acl-add s to-lport 50 "outport==\\"lp1\\" && ip" drop',
       'acl-add s from-lport 100 "inport==\\"lp1\\" && udp.dst==53" allow-related',
       'acl-add s from-lport 100 "inport==\\"ln\\" && tcp.dst==81" allow-related',
       'lb-add lb 10.0.0.200:80 10.0.0.90:8080', 'ls-lb-add s lb'],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp5']}],
    'packets': [
        wire(out.segment(a, 'S', 1)), a.segment(out, 'SA', 9, 2, sport=80, dport=1000),
        wire(out.segment(a, 'A', 2, 10)), wire(out.segment(a, 'S', 1, dport=22)),
        a.udp(out, dport=53), wire(out.udp(a, sport=53, dport=1000)),
        wire(out.udp(a, sport=54, dport=1000)), b.segment(out, 'S', 1, dport=81),
        wire(out.segment(b, 'SA', 5, 2, sport=81, dport=1000)), wire(out.segment(b, 'S', 1, dport=81)),
        b.tcp(VIP), wire(out.tcp(b, sport=8080, dport=1000, flags='SA')), a.tcp(b), b.tcp(a),
        wire(far.tcp(a)), a.tcp(far),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
