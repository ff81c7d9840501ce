# SPDX-License-Identifier: Apache-2.0
"""IGMP snooping: reports and leaves make rows, multicast goes to who asked, reports go to
queriers and flood ports."""
from scapy.contrib.igmp import IGMP
from scapy.contrib.igmpv3 import IGMPv3, IGMPv3gr, IGMPv3mr
from topologies import pause, rows, switched
from traffic import IP, UDP, Ether, payload

net = switched(1, 2, 3, 4)
a, b, c, d = [net.hosts[n] for n in (1, 2, 3, 4)]
GROUP = '239.1.1.1'


def mac_of(group):
    o = [int(x) for x in group.split('.')]
    return '01:00:5e:%02x:%02x:%02x' % (o[1] & 0x7f, o[2], o[3])


def v2(host, kind, group, dst=None):
    dst = dst or group
    return host.send(Ether(src=host.mac, dst=mac_of(dst))
        / IP(src=host.ip, dst=dst, ttl=1, options=[b'\x94\x04\x00\x00'])
        / IGMP(type=kind, gaddr=group, mrcode=0)) + [{'wait_ms': 80}]


def v3(host, rtype, group):
    return host.send(Ether(src=host.mac, dst='01:00:5e:00:00:16')
        / IP(src=host.ip, dst='224.0.0.22', ttl=1, options=[b'\x94\x04\x00\x00'])
                     / IGMPv3(type=0x22) / IGMPv3mr(records=[IGMPv3gr(rtype=rtype,
                     maddr=group)])) + [{'wait_ms': 80}]


def stream(host, group, ttl=8):
    return host.send(Ether(src=host.mac, dst=mac_of(group)) / IP(src=host.ip, dst=group, ttl=ttl)
        / UDP(sport=9, dport=9) / payload(20))


TABLE = rows('IGMP_Group', 'address', until_ms=3000)
SPEC = net.spec([
    stream(a, GROUP), v2(b, 0x16, GROUP), pause(1200), TABLE, stream(a, GROUP),
    stream(a, '239.1.1.2'), stream(a, '224.0.0.5'), v3(c, 4, '239.1.1.2'), pause(1200), TABLE,
    stream(a, '239.1.1.2'), stream(b, GROUP), v2(c, 0x16, GROUP), pause(1200), stream(a, GROUP),
    v2(b, 0x17, GROUP, '224.0.0.2'), pause(1200), stream(a, GROUP), v3(c, 3, '239.1.1.2'),
    pause(1200),
    stream(a, '239.1.1.2'), v2(d, 0x11, '0.0.0.0', '224.0.0.1'), pause(1200), stream(a, GROUP),
    v2(b, 0x16, '239.7.7.7'), pause(1200), stream(a, '239.7.7.7'), TABLE,
], nb=[
'set logical_switch s1 other_config:mcast_snoop=true other_config:mcast_querier=false '
'other_config:mcast_flood_unregistered=false',
'set logical_switch_port lp4 options:mcast_flood_reports=true'])
