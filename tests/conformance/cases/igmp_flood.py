# SPDX-License-Identifier: Apache-2.0
"""Snooping that floods what is not registered, a port that always gets multicast, and a switch
without snooping."""
from topologies import switched
from traffic import IP, UDP, Ether, payload

net = switched(1, 2, 3)
a = net.hosts[1]


def stream(group, mac):
    return a.send(Ether(src=a.mac, dst=mac) / IP(src=a.ip, dst=group, ttl=8)
        / UDP(sport=9, dport=9) / payload(20))


SPEC = net.spec([stream('239.1.1.1', '01:00:5e:01:01:01'),
    stream('224.0.0.251', '01:00:5e:00:00:fb'), {'nb': ['set logical_switch s1 '
                        'other_config:mcast_flood_unregistered=false']},
                 stream('239.1.1.1', '01:00:5e:01:01:01'),
                 stream('224.0.0.251', '01:00:5e:00:00:fb'), {'nb': ['set logical_switch s1 '
                        'other_config:mcast_snoop=false']},
                        stream('239.1.1.1', '01:00:5e:01:01:01')],
                nb=[
                'set logical_switch s1 other_config:mcast_snoop=true '
                'other_config:mcast_querier=false other_config:mcast_flood_unregistered=true',
                    'set logical_switch_port lp3 options:mcast_flood=true'])
