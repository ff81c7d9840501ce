# SPDX-License-Identifier: Apache-2.0
"""One switch, three local ports and a remote one: what is known, unknown, broadcast, multicast."""
from traffic import (BROADCAST, IP, UDP, Dot1Q, Ether, Host, Raw, mac, payload, switch_port)

a, b, c, d = [Host('v%d' % n, n, '10.0.0.%d' % n, 'fd00::%d' % n) for n in (1, 2, 3, 4)]
stranger = Host('v1', 99, '10.0.0.99', 'fd00::99')


def raw(host, dst, ethertype, size=46):
    return host.send(Ether(src=host.mac, dst=dst, type=ethertype) / payload(size))


def tagged(host, dst, vid):
    return host.send(Ether(src=host.mac, dst=dst) / Dot1Q(vlan=vid) / IP(src=host.ip, dst=b.ip)
                     / UDP(sport=1, dport=2) / Raw(b'tagged'))


SPEC = {
    'nb': ['ls-add s'] + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d' % (mac(n), n))
                              for n in (1, 2, 3, 4)], []),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp4']}],
    'packets': [
        a.udp(b), b.udp(a), a.udp(c), c.udp(b), a.udp(d), c.udp(d),
        a.udp(b, size=0), a.udp(b, size=1400), a.udp(d, size=1400),
        a.udp6(b), b.udp6(d), a.tcp(b), a.tcp6(c),
        a.udp(b, tos=0xb8), a.udp(d, tos=0xb8), a.udp(d, tos=1), a.udp(d, ttl=1),
        a.udp(a), stranger.udp(b), a.udp(stranger),
        a.udp(b, link=a.ether(BROADCAST), dst='255.255.255.255'),
        a.udp(b, link=a.ether('01:00:5e:01:01:01'), dst='239.1.1.1'),
        a.udp(b, link=a.ether('01:00:5e:00:00:01'), dst='224.0.0.1'),
        a.udp6(b, link=a.ether('33:33:00:00:00:01'), dst='ff02::1'),
        a.udp6(b, link=a.ether('33:33:00:00:12:34'), dst='ff05::1234'),
        raw(a, b.mac, 0x88b5), raw(a, BROADCAST, 0x88b5), raw(a, d.mac, 0x88b6),
        raw(a, '01:80:c2:00:00:00', 0x88cc), raw(a, '01:00:0c:cc:cc:cc', 0x2000),
        a.send(Ether(src='01:00:00:00:00:01', dst=b.mac, type=0x88b5) / payload(46)),
        a.send(Ether(src='00:00:00:00:00:00', dst=b.mac, type=0x88b5) / payload(46)),
        tagged(a, b.mac, 7), tagged(a, BROADCAST, 0), tagged(b, d.mac, 4000),
        a.udp(b, flags='MF'), a.udp(b, frag=100), a.ping(b), a.ping6(b), a.ping(d), b.ping(d),
    ],
    'any_order': [],
}
