# SPDX-License-Identifier: Apache-2.0
"""ICMP errors about translated packets: the quoted packet is translated back too, IPv4 and
IPv6, SNAT, DNAT and load balancing."""
from topologies import PHYSICAL, answer, at, public, routed
from traffic import ICMP, IP, TCP, UDP, Raw

net = routed([1], [3])
outside = public(net, kind='gateway')
a = net.hosts[1]
nat, fip, vip = [at('172.16.0.%d' % n, outside) for n in (60, 81, 100)]


def error(quoted, kind=3, code=1, to='172.16.0.60', **words):
    return outside.send(outside.ether(outside.gateway_mac) / IP(src='172.16.0.90', dst=to, ttl=60)
        / ICMP(type=kind, code=code, **words) / quoted)


UDP_OUT = IP(src='172.16.0.60', dst='172.16.0.90', ttl=60) / UDP(sport=1000,
    dport=2000) / Raw(b'abcdefgh')
TCP_OUT = IP(src='172.16.0.60', dst='172.16.0.90', ttl=60) / TCP(sport=1000, dport=80, seq=1)

SPEC = net.spec([
    error(UDP_OUT), a.udp(outside), error(UDP_OUT), error(UDP_OUT, code=3),
    error(UDP_OUT, code=4, nexthopmtu=1200), error(UDP_OUT, kind=11, code=0),
    error(UDP_OUT, chksum=1), a.tcp(outside), error(TCP_OUT), error(Raw(bytes(TCP_OUT)[:28])),
    error(UDP_OUT, to='172.16.0.61'),
    outside.udp(fip), answer(error='port'), outside.udp(fip), answer(error='frag'),
    outside.udp6(at('fd99::81', outside)), answer(error='port'),
    outside.tcp(vip, sport=4000), answer(error='host'), a.ping(outside),
    error(IP(src='172.16.0.60', dst='172.16.0.90') / ICMP(type=8, id=7, seq=1)),
    outside.tcp(vip, sport=4001), answer(), answer(error='port'),
], nb=['lr-nat-add r snat 172.16.0.60 10.0.1.0/24', 'lr-nat-add r dnat 172.16.0.81 10.0.2.3',
'lr-nat-add r dnat fd99::81 fd02::3',
       'lb-add lb0 172.16.0.100:80 10.0.2.3:8080 tcp', 'lr-lb-add r lb0'], **PHYSICAL)
