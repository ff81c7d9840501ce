# SPDX-License-Identifier: Apache-2.0
"""VMs of two chassis on physical networks: no tunnel, and ACLs of both directions are asked on
both sides (ovn-architecture: networks without encapsulation)."""
from traffic import BROADCAST, Host, mac, router_port, switch_port
from vlans import localnet, mapped

GW = '00:00:00:00:ff:01'
a, b, c, d = [Host(i, n, '10.0.0.%d' % n, 'fd00::%d' % n, None)
              for i, n in (('v1', 1), ('w2', 2), ('v3', 3), ('w4', 4))]
SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['ls-add s1', 'ls-add s2', 'lr-add r']
    + localnet('s1', 'ln1', 'phys') + localnet('s2', 'ln2', 'phys', 77)
    + router_port('r', 's1', GW, '10.0.0.254/24 fd00::ff/64')
    + sum([switch_port(s, 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n))
           for s, n in (('s1', 1), ('s1', 2), ('s2', 3), ('s2', 4))], [])
    + ['acl-add s1 from-lport 100 "inport==\\"lp1\\" && udp.dst==53" drop',
       'acl-add s1 to-lport 100 "outport==\\"lp2\\" && udp.dst==54" drop',
       'acl-add s1 from-lport 100 "inport==\\"ln1\\" && udp.dst==55" drop',
       'acl-add s1 to-lport 100 "outport==\\"ln1\\" && udp.dst==56" drop',
       'acl-add s2 to-lport 100 "outport==\\"lp4\\" && tcp" allow-related',
       'acl-add s2 to-lport 90 "outport==\\"lp4\\" && ip" drop'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'v3', 'iface_id': 'lp3', 'chassis': 'hv1'},
                   {'name': 'w4', 'iface_id': 'lp4', 'chassis': 'hv2'}],
    'packets': [
        a.udp(b), b.udp(a), a.udp6(b), a.udp(b, dport=53), a.udp(b, dport=54), a.udp(b, dport=55),
        a.udp(b, dport=56), b.udp(a, dport=53), b.udp(a, dport=54), b.udp(a, dport=55), a.tcp(b),
        a.udp(b, link=a.ether(BROADCAST)), b.udp(a, link=b.ether(BROADCAST)), a.arp(b.ip),
        a.arp('10.0.0.99'), a.arp('10.0.0.254'), c.tcp(d), d.tcp(c, sport=80, dport=1000, flags='SA'),
        c.udp(d), d.udp(c), c.udp(d, link=c.ether(BROADCAST)), c.arp(d.ip), d.solicit(c.ip6),
        a.udp(b, size=1472), a.udp(b, tos=0xb8), a.ping(b), b.ping(a),
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
