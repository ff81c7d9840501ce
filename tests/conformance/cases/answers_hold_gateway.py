# SPDX-License-Identifier: Apache-2.0
"""Packets held at a distributed gateway port and behind source NAT, until the physical network answers."""
from topologies import PHYSICAL, PUBLIC_IP, PUBLIC_IP6, PUBLIC_MAC, OUTSIDE, pause, public, routed
from traffic import Host

net = routed([1, 2])
outside = public(net)
a, b = net.hosts[1], net.hosts[2]
x, y = [Host('wire', n, '172.16.0.%d' % n, 'fd99::%x' % n, PUBLIC_MAC) for n in (0x31, 0x32)]

SPEC = net.spec([
    a.udp(x), a.udp(x, sport=1001), x.arp_reply(PUBLIC_MAC, PUBLIC_IP), pause(500), a.udp(x, sport=1002), x.udp(a),
    a.udp6(y), a.tcp6(y), y.advertise(PUBLIC_MAC, PUBLIC_IP6), pause(500), a.udp6(y, sport=1002), y.udp6(a),
    a.udp(y), y.arp_reply(PUBLIC_MAC, PUBLIC_IP), pause(500), a.udp(y, ttl=1), outside.udp(a, ttl=1),
    outside.udp6(a, hlim=1),
    outside.udp(b, ttl=2), outside.ping(PUBLIC_IP, ttl=1), outside.tcp(Host('', 0, PUBLIC_IP)),
    outside.udp(Host('', 0, PUBLIC_IP)),
], **PHYSICAL)
