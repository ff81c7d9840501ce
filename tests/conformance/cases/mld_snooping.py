# SPDX-License-Identifier: Apache-2.0
"""MLD snooping, versions 1 and 2."""
from scapy.layers.inet6 import ICMPv6MLDMultAddrRec, ICMPv6MLDone, ICMPv6MLReport, ICMPv6MLReport2, RouterAlert
from topologies import link_local, pause, rows, switched
from traffic import UDP, Ether, IPv6, IPv6ExtHdrHopByHop, payload

net = switched(1, 2, 3)
a, b, c = [net.hosts[n] for n in (1, 2, 3)]
GROUP, OTHER = 'ff0e::1234', 'ff0e::5678'


def report(host, body, dst, low):
    return host.send(Ether(src=host.mac, dst='33:33:' + low)
        / IPv6(src=link_local(host.mac), dst=dst, hlim=1)
        / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / body) + [{'wait_ms': 80}]


def stream(group, low):
    return a.send(Ether(src=a.mac, dst='33:33:' + low) / IPv6(src=a.ip6, dst=group, hlim=8)
        / UDP(sport=9, dport=9) / payload(20))


TABLE = rows('IGMP_Group', 'address', until_ms=3000)
SPEC = net.spec([
    stream(GROUP, '00:00:12:34'), report(b, ICMPv6MLReport(mladdr=GROUP), GROUP, '00:00:12:34'),
    pause(1200), TABLE, stream(GROUP, '00:00:12:34'), stream(OTHER, '00:00:56:78'),
    report(c, ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=4, dst=OTHER)]), 'ff02::16',
    '00:00:00:16'), pause(1200), stream(OTHER, '00:00:56:78'), stream('ff02::1', '00:00:00:01'),
    report(b, ICMPv6MLDone(mladdr=GROUP), 'ff02::2', '00:00:00:02'), pause(1200),
    stream(GROUP, '00:00:12:34'),
], nb=[
'set logical_switch s1 other_config:mcast_snoop=true other_config:mcast_querier=false '
'other_config:mcast_flood_unregistered=false'])
