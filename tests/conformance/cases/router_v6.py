# SPDX-License-Identifier: Apache-2.0
"""A distributed router, IPv6: hop limit, the router's own addresses and neighbour answers,
remote destinations, extension headers."""
from traffic import (Ether, Host, ICMPv6EchoRequest, IPv6, IPv6ExtHdrHopByHop, UDP, mac, payload,
                     router_port, switch_port)

GW = ['', '00:00:00:00:ff:01', '00:00:00:00:ff:02']
GW_LL = ['', 'fe80::200:ff:fe00:ff01', 'fe80::200:ff:fe00:ff02']
a = Host('v1', 1, None, 'fd01::1', GW[1])
a2 = Host('v3', 3, None, 'fd01::3', GW[1])
b = Host('v2', 2, None, 'fd02::2', GW[2])
far = Host('wire', 5, None, 'fd02::5', GW[2])


def to_gateway(host, dst, **fields):
    return host.udp6(host, link=Ether(src=host.mac, dst=host.gateway_mac), dst=dst, **fields)


SPEC = {
    'nb': ['lr-add r', 'ls-add s1', 'ls-add s2']
    + router_port('r', 's1', GW[1], 'fd01::ff/64') + router_port('r', 's2', GW[2], 'fd02::ff/64')
    + switch_port('s1', 'lp1', mac(1) + ' fd01::1') + switch_port('s1', 'lp3', mac(3) + ' fd01::3')
    + switch_port('s2', 'lp2', mac(2) + ' fd02::2') + switch_port('s2', 'lp5', mac(5) + ' fd02::5'),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp5']}],
    'packets': [
        a.udp6(b), b.udp6(a), a2.udp6(b), b.udp6(a2), a.udp6(far), a2.udp6(far), a.tcp6(b),
        b.tcp6(a2),
        a.udp6(b, hlim=2), a.udp6(b, hlim=255), a.udp6(b, tc=0xb8), a.udp6(b, fl=0x12345),
        a.udp6(b, size=0), a.udp6(b, size=1380), to_gateway(a, 'fd01::3'),
        a.udp6(a2, link=Ether(src=a.mac, dst=a2.mac)),
        a.ping6('fd01::ff'), a.ping6('fd02::ff'), b.ping6('fd02::ff'), a.ping6(GW_LL[1]),
        b.ping6('fd01::ff', hlim=3), a.ping6(b), a.ping6(far),
        a.ping6(GW_LL[1], src='fe80::5254:ff:fe00:1'),
        a.solicit('fd01::ff'), b.solicit('fd02::ff'), a.solicit(GW_LL[1]), a.solicit('fd02::ff'),
        a.solicit('fd01::3'), a.solicit('fd01::ff', src='fe80::5254:ff:fe00:1'),
        to_gateway(a, 'ff02::1'), to_gateway(a, '::'), to_gateway(a, '::1'),
        to_gateway(a, 'fd02::2', src='::1'), to_gateway(a, 'fd02::2', src='ff02::1'),
        to_gateway(a, 'fd02::2', src='fd01::ff'), to_gateway(a, 'fe80::99'),
        to_gateway(a, 'fd02::2', src='fe80::5254:ff:fe00:1'),
        a.send(a.ether(b) / IPv6(src=a.ip6, dst=b.ip6) / IPv6ExtHdrHopByHop()
               / UDP(sport=5, dport=6) / payload(10)),
        a.send(a.ether(b) / IPv6(src=a.ip6, dst='fd02::ff') / IPv6ExtHdrHopByHop()
               / ICMPv6EchoRequest(id=1, seq=1)),
        a.udp6(b, link=Ether(src=a.mac, dst='33:33:00:00:00:02'), dst='ff02::2'),
    ],
}
