# SPDX-License-Identifier: Apache-2.0
"""Lookups by address alone, and previous hops that a connection remembers: no northd of today writes
these for a switch, flows may."""
from topologies import switched
from traffic import mac

net = switched(1, 2, 3)
a, b, c = [net.hosts[n] for n in (1, 2, 3)]


def to(host):
    return 'outport = "lp%d"; output;' % host


def flow(table, priority, match, actions, pipeline='ingress'):
    return ['s1', pipeline, table, priority, match, actions]


BIND = ['--id=@dp get Datapath_Binding s1 -- create MAC_Binding logical_port=lp1 ip="\\"%s\\"" '
        'mac="\\"%s\\"" datapath=@dp' % (ip, mac(0x77)) for ip in ('10.0.1.77', 'fd01::77')]
FLOWS = [
    flow(0, 100, 'arp', 'reg9[1] = lookup_arp_ip(inport, arp.spa); '
                        'reg9[2] = lookup_arp(inport, arp.spa, arp.sha); next;'),
    flow(0, 100, 'nd_ns', 'reg9[1] = lookup_nd_ip(inport, ip6.src); '
                          'reg9[2] = lookup_nd(inport, ip6.src, nd.sll); next;'),
    flow(1, 100, '(arp || nd_ns) && reg9[1] == 1 && reg9[2] == 1', to(2)),
    flow(1, 100, '(arp || nd_ns) && reg9[1] == 1 && reg9[2] == 0', to(3)),
    flow(0, 90, 'udp && udp.dst == 10', 'ct_next;'),
    flow(0, 90, 'udp && udp.src == 10',
         'reg9[3] = chk_ecmp_nh(); reg9[4] = chk_ecmp_nh_mac(); next;'),
    flow(1, 90, 'ip4 && udp.dst == 10', 'commit_ecmp_nh(ipv6 = false, proto = udp); ' + to(2)),
    flow(1, 90, 'udp.src == 10 && reg9[3] == 1 && reg9[4] == 0', to(1)),
    flow(1, 80, 'udp.src == 10 && reg9[3] == 1 && reg9[4] == 1', to(2)),
    flow(1, 70, 'udp.src == 10', to(3)),
    flow(0, 0, 'udp.dst == 11', 'set_queue(5); ' + to(2)),
    flow(1, 0, '1', 'drop;'), flow(0, 0, '1', 'output;', 'egress')]

SPEC = net.spec(
    [a.arp(b.ip, psrc='10.0.1.77', hwsrc=mac(0x77)), a.arp(b.ip, psrc='10.0.1.77'), a.arp(b.ip),
     a.solicit('fd01::2', src='fd01::77', lladdr=mac(0x77)), a.solicit('fd01::2', src='fd01::77'),
     a.solicit('fd01::2'),
     b.udp(a, sport=10, dport=1000), a.udp(b, dport=10), b.udp(a, sport=10, dport=1000),
     c.udp(a, sport=10, dport=1000), a.udp(b, dport=10), b.udp(a, sport=10, dport=1001),
     a.udp(b, dport=11)], sb=BIND, flows=FLOWS)
