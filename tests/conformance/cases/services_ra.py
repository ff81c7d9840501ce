# SPDX-License-Identifier: Apache-2.0
"""Router advertisements by put_nd_ra_opts(): each address mode, MTU, preference, several prefixes, resolvers,
search lists and routes; solicitations that are malformed or not for a router."""
from topologies import link_local, routed
from traffic import Ether, ICMPv6NDOptSrcLLAddr, IPv6, Raw

from scapy.layers.inet6 import ICMPv6ND_RS

CONFIGS = [
    {'address_mode': 'slaac'}, {'address_mode': 'dhcpv6_stateful'}, {'address_mode': 'dhcpv6_stateless', 'mtu': '1450'},
    {'address_mode': 'slaac', 'mtu': '1280', 'router_preference': 'HIGH'},
    {'address_mode': 'slaac', 'router_preference': 'LOW'}, {'address_mode': 'slaac', 'router_preference': 'MEDIUM'},
    {'address_mode': 'dhcpv6_stateful', 'rdnss': 'fd01::53'},
    {'address_mode': 'slaac', 'dnssl': 'example.org'},
    {'address_mode': 'slaac', 'dnssl': 'example.org,a.b.c', 'rdnss': 'fd01::53'},
    {'address_mode': 'slaac', 'route_info': 'HIGH-fd05::/48'},
    {'address_mode': 'slaac', 'route_info': 'HIGH-fd05::/48,LOW-fd06::/96,MEDIUM-::/0,HIGH-fd07::1/128'},
    {'address_mode': 'slaac', 'mtu': '9000', 'send_periodic': 'false', 'rdnss': 'fd01::53', 'dnssl': 'x.y',
     'route_info': 'LOW-fd05::/64', 'router_preference': 'HIGH'},
    {'address_mode': 'nonsense'}, {'mtu': '1400'},
]

net = routed([1], [2])
a, b = net.hosts[1], net.hosts[2]
A = link_local(a.mac)


def solicit(host=a, src=A, dst='ff02::2', eth='33:33:00:00:00:02', hlim=255, options=True, **fields):
    packet = Ether(src=host.mac, dst=eth) / IPv6(src=src, dst=dst, hlim=hlim) / ICMPv6ND_RS(**fields)
    return host.send(packet / ICMPv6NDOptSrcLLAddr(lladdr=host.mac) if options else packet)


def configure(values):
    words = ' '.join('ipv6_ra_configs:%s=%s' % (k, '\'"%s"\'' % v) for k, v in values.items())
    return {'nb': ['clear logical_router_port r-s1 ipv6_ra_configs -- set logical_router_port r-s1 ' + words, 'sync']}


steps = [solicit()]
for values in CONFIGS:
    steps += [configure(values), solicit()]
steps += [
    configure(CONFIGS[3]), solicit(options=False), solicit(src='::', options=False), solicit(src='fd01::1'),
    solicit(dst=link_local('00:00:00:00:ff:01'), eth='00:00:00:00:ff:01'),
    solicit(dst='ff02::1', eth='33:33:00:00:00:01'),
    solicit(hlim=64), solicit(code=1), solicit(cksum=0x1234), solicit(b, link_local(b.mac)),
    a.send(Ether(src=a.mac, dst='33:33:00:00:00:02') / IPv6(src=A, dst='ff02::2', hlim=255, nh=58)
           / Raw(b'\x85\0\0\0')),
    a.send(Ether(src=a.mac, dst='33:33:00:00:00:02') / IPv6(src=A, dst='ff02::2', hlim=255, nh=58, tc=0x20, fl=0x12345)
           / ICMPv6ND_RS() / Raw(b'\1\0' + bytes(6))),
    a.send(Ether(src=a.mac, dst='33:33:00:00:00:02') / IPv6(src=A, dst='ff02::2', hlim=255) / ICMPv6ND_RS(type=134)),
]

SPEC = net.spec(steps)
