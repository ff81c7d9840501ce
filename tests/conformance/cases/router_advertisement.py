# SPDX-License-Identifier: Apache-2.0
"""Router solicitations answered: SLAAC, stateful, stateless, MTU, preference, recursive DNS
server, search list, other routes; solicitations that must not be answered."""
from scapy.layers.inet6 import ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr
from topologies import link_local, routed
from traffic import Ether, IPv6

net = routed([1], [2], [3], [4])


def solicit(host, src=None, lladdr=True, **fields):
    packet = Ether(src=host.mac,
        dst='33:33:00:00:00:02') / IPv6(**{'src': src or link_local(host.mac), 'dst': 'ff02::2',
        'hlim': 255, **fields}) / ICMPv6ND_RS()
    return host.send(packet / ICMPv6NDOptSrcLLAddr(lladdr=host.mac) if lladdr
        else packet) + [{'wait_ms': 80}]


h = net.hosts
SPEC = net.spec([solicit(h[n]) for n in (1, 2, 3, 4)]
    + [solicit(h[1], lladdr=False), solicit(h[1], src='::', lladdr=False), solicit(h[1], hlim=64),
    solicit(h[2], dst='ff02::1'),
                                                        solicit(h[1], src='fd01::1'),
                                                        solicit(h[2],
                                                        dst=link_local('00:00:00:00:ff:02')),
                                                        h[1].ping6(link_local(
                                                        '00:00:00:00:ff:01'))],
                nb=[
                'set logical_router_port r-s1 ipv6_ra_configs:address_mode=slaac '
                'ipv6_ra_configs:mtu=1450',
                    'set logical_router_port r-s2 ipv6_ra_configs:address_mode=dhcpv6_stateful '
                    'ipv6_ra_configs:router_preference=HIGH',
                    'set logical_router_port r-s3 ipv6_ra_configs:address_mode=dhcpv6_stateless '
                    'ipv6_ra_configs:rdnss="fd03::53" ipv6_ra_configs:dnssl=example.org '
                    'ipv6_ra_configs:route_info="HIGH-fd77::/64,LOW-fd78::/48"'])
