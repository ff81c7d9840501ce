# SPDX-License-Identifier: Apache-2.0
"""Fields that users may match and no northd does: tags in parts, RARP, flags of the pipeline.

Left out: vlan.pcp > 5, of which the reference's OpenFlow forgets the mask, so that only 6 matches;
and a tag with DEI that is rewritten, which leaves the reference without it.
"""
from topologies import switched
from traffic import ARP, BROADCAST, Dot1Q, Ether

net = switched(1, 2, 3)
a, b, c = [net.hosts[n] for n in (1, 2, 3)]
FLAGS = ['flags.force_snat_for_dnat', 'flags.use_snat_zone']


def to(host):
    return 'outport = "lp%d"; output;' % host


def tagged(vid, pcp=0, dei=0):
    return a.send(Ether(src=a.mac, dst=b.mac) / Dot1Q(vlan=vid, prio=pcp, id=dei)
                  / bytes.fromhex(a.udp(b)[1])[14:])


def flow(table, priority, match, actions, pipeline='ingress'):
    return ['s1', pipeline, table, priority, match, actions]


FLOWS = [
    flow(0, 100, 'vlan.vid == 7', to(2)), flow(0, 90, 'vlan.pcp == 5', to(3)),
    flow(0, 80, 'vlan.tci == 0x1064', 'vlan.vid = 101; ' + to(3)),
    flow(0, 80, 'vlan.vid == 8', 'vlan.pcp = 6; ' + to(2)),
    flow(0, 80, 'vlan.vid == 9', 'vlan.tci = 0x300a; ' + to(2)),
    flow(0, 70, 'vlan.vid == {20, 21, 30}', to(3)), flow(0, 60, 'vlan.pcp == {6, 7}', to(2)),
    flow(0, 50, 'vlan.present', 'drop;'),
    flow(0, 100, 'rarp', to(3)), flow(0, 90, 'arp', to(2)),
    flow(1, 0, '1', to(3)), flow(0, 0, '1', 'drop;'),
    flow(0, 0, '1', 'output;', 'egress')]
for number, name in enumerate(FLAGS):
    FLOWS += [flow(0, 100, 'udp.dst == %d' % (1000 + number), name + ' = 1; next;'),
              flow(0, 100, 'udp.dst == %d' % (1100 + number), name + ' = 0; next;'),
              flow(1, 100, 'udp.dst == {%d, %d} && %s' % (1000 + number, 1100 + number, name),
                   to(2))]

SPEC = net.spec(
    [tagged(7), tagged(7, 5), tagged(6, 5), tagged(100), tagged(100, 1), tagged(8), tagged(8, 2),
     tagged(9, 7), tagged(20), tagged(22), tagged(30), tagged(39, 3), tagged(40), tagged(40, 6),
     tagged(40, 7, 1), tagged(0, 5),
     a.send(Ether(src=a.mac, dst=BROADCAST, type=0x8035) / ARP(op=3, hwsrc=a.mac, psrc='0.0.0.0')),
     a.arp(b.ip)]
    + [a.udp(b, dport=1000 + n) for n in range(len(FLAGS))]
    + [a.udp(b, dport=1100 + n) for n in range(len(FLAGS))], flows=FLOWS)
