# SPDX-License-Identifier: Apache-2.0
"""IGMP and MLD snooping at its edges: a full table, ports of a group, who is a router, bad checksums,
flushing, snooping switched off."""
from scapy.contrib.igmp import IGMP
from scapy.contrib.igmpv3 import IGMPv3, IGMPv3gr, IGMPv3mr
from scapy.layers.inet6 import ICMPv6MLDone, ICMPv6MLReport, RouterAlert
from topologies import change, pause, rows, switched
from traffic import IP, UDP, Ether, IPv6, IPv6ExtHdrHopByHop, payload

net = switched(1, 2, 3)
a, b, c = [net.hosts[n] for n in (1, 2, 3)]


def mac_of(group):
    o = [int(x) for x in group.split('.')]
    return '01:00:5e:%02x:%02x:%02x' % (o[1] & 0x7f, o[2], o[3])


def v4(host, dst, body):
    return host.send(Ether(src=host.mac, dst=mac_of(dst))
                     / IP(src=host.ip, dst=dst, ttl=1, options=[b'\x94\x04\x00\x00']) / body)


def join(host, group, **fields):
    return v4(host, group, IGMP(type=0x16, gaddr=group, mrcode=0, **fields))


def records(host, *list_):
    return v4(host, '224.0.0.22', IGMPv3(type=0x22) / IGMPv3mr(
        records=[IGMPv3gr(rtype=kind, maddr=group, srcaddrs=sources)
                 for kind, group, sources in list_]))


def mld(host, dst, body):
    return host.send(Ether(src=host.mac, dst='33:33:00:00:00:02')
                     / IPv6(src='fe80::%x' % int(host.ip.split('.')[3]), dst=dst, hlim=1)
                     / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / body)


def stream(host, group):
    return host.send(Ether(src=host.mac, dst=mac_of(group)) / IP(src=host.ip, dst=group)
                     / UDP(sport=9, dport=9) / payload(20))


WAIT = pause(700)
TABLE = rows('IGMP_Group', 'address')
SPEC = net.spec([
    WAIT, TABLE,
    join(a, '239.1.1.1'), join(b, '239.1.1.1'), WAIT, TABLE, stream(c, '239.1.1.1'),
    join(a, '239.1.1.3'), WAIT, TABLE, stream(c, '239.1.1.3'),
    join(b, '239.1.1.9', chksum=0x1234), WAIT, TABLE,
    records(b, (3, '239.1.1.3', []), (2, '239.1.1.1', [])), WAIT, TABLE,
    records(a, (3, '239.1.1.3', []), (5, '239.1.1.4', ['10.0.1.9', '10.0.1.8']),
            (7, '239.1.1.5', [])), WAIT, TABLE, stream(c, '239.1.1.4'),
    mld(a, 'ff0e::77', ICMPv6MLReport(mladdr='ff0e::77')), WAIT, TABLE,
    mld(a, 'ff02::2', ICMPv6MLDone(mladdr='ff0e::77')), WAIT, TABLE,
    # A port that asks is a router: its reports are no memberships.
    v4(c, '224.0.0.1', IGMP(type=0x11, gaddr='0.0.0.0', mrcode=100)), WAIT,
    join(c, '239.1.1.1'), WAIT, TABLE, stream(a, '239.1.1.1'), stream(a, '239.5.5.5'),
    join(a, '239.1.1.6'), WAIT, change('sb ip-multicast-flush'), WAIT, TABLE,
    join(a, '239.1.1.6'), WAIT, TABLE,
    # With ten groups, the most a table of size 2 has, the next takes the place of the one heard of
    # least recently.
    *[join(a, '239.1.2.%d' % n) for n in range(1, 10)], join(b, '239.1.1.1'),
    join(a, '239.1.1.3'), WAIT, TABLE, stream(b, '239.1.1.1'), stream(b, '239.1.2.1'),
    change('set logical_switch s1 other_config:mcast_snoop=false'), WAIT, TABLE,
    stream(c, '239.1.1.6'),
], nb=['set logical_switch s1 other_config:mcast_snoop=true other_config:mcast_querier=false '
       'other_config:mcast_table_size=2 other_config:mcast_flood_unregistered=false'])
