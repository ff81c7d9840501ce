# SPDX-License-Identifier: Apache-2.0
"""Multicast relay through a router: to the networks that asked, with the TTL taken down, and
static groups."""
from scapy.contrib.igmp import IGMP
from topologies import pause, routed
from traffic import IP, UDP, Ether, payload

net = routed([1], [2], [3])
a, b, c = [net.hosts[n] for n in (1, 2, 3)]


def stream(group, low, ttl=8):
    return a.send(Ether(src=a.mac, dst='01:00:5e:' + low) / IP(src=a.ip, dst=group, ttl=ttl)
        / UDP(sport=9, dport=9) / payload(20))


JOIN = b.send(Ether(src=b.mac, dst='01:00:5e:01:01:01') / IP(src=b.ip, dst='239.1.1.1', ttl=1)
    / IGMP(type=0x16, gaddr='239.1.1.1', mrcode=0))
SPEC = net.spec([stream('239.1.1.1', '01:01:01'), JOIN, pause(1500),
    stream('239.1.1.1', '01:01:01'), stream('239.1.1.1', '01:01:01', 1),
    stream('239.1.1.1', '01:01:01', 2), stream('224.0.0.9', '00:00:09'),
                 stream('239.9.9.9', '09:09:09')],
                nb=[
                'set logical_switch s%d other_config:mcast_snoop=true '
                'other_config:mcast_querier=false' % n for n in (1, 2, 3)]
                + ['set logical_router r options:mcast_relay=true',
                'set logical_router_port r-s3 options:mcast_flood=true'])
