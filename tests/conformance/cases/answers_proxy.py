# SPDX-License-Identifier: Apache-2.0
"""Answers to ARP and neighbour solicitations in the name of others: a router port's arp_proxy, load balancer and NAT
addresses on the router, a router's own addresses of every kind."""
from topologies import gateway, link_local, routed
from traffic import BROADCAST, ARP, Ether, ICMPv6ND_NS, IPv6

net = routed([1, 2], [3])
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
PROXY = ['169.254.239.254', '169.254.239.2', '10.88.4.5', 'fd7b::5', 'fd7c::1']

SPEC = net.spec([
    *[a.arp(ip) for ip in PROXY if '.' in ip], a.arp('169.254.239.3'), a.arp('10.88.255.255'), a.arp('10.89.0.1'),
    *[a.solicit(ip) for ip in PROXY if ':' in ip], a.solicit('fd7d::1'), a.udp(b, dst='169.254.239.254'),
    a.arp('10.0.1.254'), a.arp('10.0.2.254'), c.arp('10.0.2.254'), a.solicit('fd01::ff'),
    a.solicit(link_local(gateway(1))), c.solicit('fd02::ff'),
    a.solicit('fd01::ff', src='fe80::5'), a.solicit('fd01::ff', hlim=254),
    a.send(Ether(src=a.mac, dst=gateway(1)) / IPv6(src=a.ip6, dst='fd01::ff',
    hlim=255) / ICMPv6ND_NS(tgt='fd01::ff')),
    a.send(Ether(src=a.mac, dst='33:33:ff:00:00:ff') / IPv6(src='::', dst='ff02::1:ff00:ff',
    hlim=255) / ICMPv6ND_NS(tgt='fd01::ff')),
    a.arp('30.0.0.1'), a.solicit('fd30::1'), c.arp('30.0.0.1'), a.arp('10.0.1.77'), a.arp('10.0.1.78'),
    a.solicit('fd01::77'),
    a.send(Ether(src=a.mac, dst=BROADCAST) / ARP(op=1, hwsrc=a.mac, psrc='10.0.1.254', pdst='10.0.1.254')),
    a.arp_reply(gateway(1), '10.0.1.254'), a.advertise(gateway(1), 'fd01::ff'),
    a.send(Ether(src=a.mac, dst=gateway(1)) / ARP(op=1, hwsrc=a.mac, psrc=a.ip, pdst='10.0.1.254')),
],
    nb=['set logical_switch_port s1-r options:arp_proxy='
       '"169.254.239.254 169.254.239.2 10.88.0.0/16 fd7b::/64 fd7c::1"',
       'lb-add lb0 30.0.0.1:80 10.0.2.3:80 tcp', 'lb-add lb1 [fd30::1]:80 [fd02::3]:80 tcp',
       'lb-add lb2 10.0.1.78:80 10.0.2.3:80 tcp',
       'lr-lb-add r lb0', 'lr-lb-add r lb1', 'lr-lb-add r lb2'])
