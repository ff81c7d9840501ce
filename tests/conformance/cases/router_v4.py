# SPDX-License-Identifier: Apache-2.0
"""A distributed router between three switches, IPv4: new link layer, TTL, checksums; its own
addresses; destinations on another chassis; several networks on one router port."""
from traffic import (BROADCAST, ICMP, IP, UDP, Ether, Host, Raw, mac, payload, router_port,
    switch_port)

GW = ['', '00:00:00:00:ff:01', '00:00:00:00:ff:02', '00:00:00:00:ff:03']
a = Host('v1', 1, '10.0.1.1', gateway_mac=GW[1])
a2 = Host('v4', 4, '10.0.1.4', gateway_mac=GW[1])
b = Host('v2', 2, '10.0.2.2', gateway_mac=GW[2])
c = Host('v3', 3, '172.16.3.3', gateway_mac=GW[3])
far = Host('wire', 5, '10.0.2.5', gateway_mac=GW[2])


def to_gateway(host, dst, **fields):
    return host.udp(host, link=Ether(src=host.mac, dst=host.gateway_mac), dst=dst, **fields)


SPEC = {
    'nb': ['lr-add r'] + ['ls-add s%d' % n for n in (1, 2, 3)]
    + router_port('r', 's1', GW[1], '10.0.1.254/24')
    + router_port('r', 's2', GW[2], '10.0.2.254/24')
    + router_port('r', 's3', GW[3], '172.16.3.254/24 172.16.4.254/24')
    + switch_port('s1', 'lp1', mac(1) + ' 10.0.1.1')
    + switch_port('s1', 'lp4', mac(4) + ' 10.0.1.4')
    + switch_port('s2', 'lp2', mac(2) + ' 10.0.2.2')
    + switch_port('s2', 'lp5', mac(5) + ' 10.0.2.5')
    + switch_port('s3', 'lp3', mac(3) + ' 172.16.3.3 172.16.4.3'),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3', 'v4': 'lp4'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp5']}],
    'packets': [
        a.udp(b), b.udp(a), a.udp(c), c.udp(a), b.udp(c), c.udp(b), a.udp(far), c.udp(far),
        a.udp(b, ttl=2), a.udp(b, ttl=255), a.udp(b, tos=0xfc), a.udp(b, size=0),
        a.udp(b, size=1400), a.tcp(b), a.tcp(c, flags='FA'), a.udp(b, flags='MF'), a.udp(b, frag=5),
        a.udp(b, id=0), a.udp(b, id=0xffff), to_gateway(a, '172.16.4.3'), to_gateway(b, '10.0.1.4'),
        to_gateway(a, '10.0.1.4'), a.udp(a2, link=Ether(src=a.mac, dst=a2.mac)),
        a.ping('10.0.1.254'), a.ping('10.0.2.254'), a.ping('172.16.4.254'), b.ping('10.0.1.254'),
        c.ping('172.16.3.254', ttl=5), a.ping('10.0.1.254', src='10.0.1.77'),
        a.ping(b), b.ping(a), a.ping(far),
        a.arp('10.0.1.254'), b.arp('10.0.2.254'), c.arp('172.16.4.254', psrc='172.16.4.3'),
        a.arp('10.0.2.254'), a.arp('10.0.1.4'),
        to_gateway(a, '255.255.255.255'), to_gateway(a, '127.0.0.1'), to_gateway(a, '0.0.0.0'),
        to_gateway(a, '224.0.0.5'), to_gateway(a, '169.254.0.1'),
        to_gateway(a, '10.0.2.2', src='127.0.0.1'), to_gateway(a, '10.0.2.2', src='224.0.0.1'),
        to_gateway(a, '10.0.2.2', src='255.255.255.255'), to_gateway(a, '10.0.2.2', src='0.0.0.0'),
        to_gateway(a, '10.0.2.2', src='10.0.1.254'), to_gateway(a, '10.0.2.2', src='10.0.1.255'),
        a.udp(b, link=Ether(src=a.mac, dst=GW[2])), a.udp(b, link=Ether(src=a.mac, dst=BROADCAST)),
        a.send(Ether(src=a.mac, dst=GW[1]) / IP(src=a.ip, dst=b.ip) / ICMP(type=3, code=3)
               / IP(src=b.ip, dst=a.ip) / UDP(sport=1, dport=2) / Raw(b'12345678')),
        a.send(Ether(src=a.mac, dst=GW[1], type=0x88b5) / payload(46)),
    ],
}
