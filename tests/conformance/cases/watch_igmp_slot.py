# SPDX-License-Identifier: Apache-2.0
"""A multicast group that all have left keeps its place in the table while others are older: when the
table is full, it is not the empty group that goes."""
from scapy.contrib.igmp import IGMP
from scapy.contrib.igmpv3 import IGMPv3, IGMPv3gr, IGMPv3mr
from topologies import pause, rows, switched
from traffic import IP, UDP, Ether, payload

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
TO_INCLUDE = 3  # nothing: leaves


def v4(host, dst, body):
    return host.send(Ether(src=host.mac, dst='01:00:5e:00:00:%02x' % int(dst.split('.')[3]))
                     / IP(src=host.ip, dst=dst, ttl=1, options=[b'\x94\x04\x00\x00']) / body)


def join(host, number):
    group = '239.0.0.%d' % number
    return v4(host, group, IGMP(type=0x16, gaddr=group, mrcode=0))


def leave(host, number):
    return v4(host, '224.0.0.22', IGMPv3(type=0x22) / IGMPv3mr(
        records=[IGMPv3gr(rtype=TO_INCLUDE, maddr='239.0.0.%d' % number, srcaddrs=[])]))


def stream(number):
    group = '239.0.0.%d' % number
    return b.send(Ether(src=b.mac, dst='01:00:5e:00:00:%02x' % number) / IP(src=b.ip, dst=group)
                  / UDP(sport=9, dport=9) / payload(20))


WAIT, TABLE = pause(1500), rows('IGMP_Group', 'address')
SPEC = net.spec(
    [*[join(a, n) for n in range(1, 11)], WAIT, TABLE, leave(a, 5), WAIT, TABLE, join(a, 11), WAIT,
     TABLE, stream(1), stream(5), stream(11), join(a, 12), WAIT, TABLE, stream(2),
     leave(a, 3), WAIT, join(a, 13), WAIT, TABLE, stream(4)],
    nb=['set logical_switch s1 other_config:mcast_snoop=true other_config:mcast_querier=false '
        'other_config:mcast_table_size=10 other_config:mcast_flood_unregistered=false'])
