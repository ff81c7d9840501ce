# SPDX-License-Identifier: Apache-2.0
"""Hairpin: a backend that calls the virtual address reaches itself, from the virtual address or
from the configured one, and its own answer comes back to it; IPv4 and IPv6, with and without
a port."""
from topologies import answer, at, switched

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
vips = [at('30.0.0.%d' % n, a) for n in (1, 2, 3)]
vip6 = at('fd30::1', a)

SPEC = net.spec([
    a.tcp(vips[0]), answer(), a.segment(vips[0], 'A', 2, 5001), a.udp(vips[1], dport=53), answer(),
    a.tcp(vips[2], dport=9), answer(),
    a.ping(vips[2]), answer(), a.tcp6(vip6), answer(), a.tcp6(vip6, flags='A'), b.tcp(vips[0]),
    answer(), b.tcp6(vip6), answer(),
    a.tcp(vips[0], sport=1001), answer(error='port'), b.udp(vips[1], dport=53), answer(),
], nb=['lb-add lb0 30.0.0.1:80 10.0.1.1:80 tcp', 'lb-add lb1 30.0.0.2:53 10.0.1.1:5353 udp',
'lb-add lb2 30.0.0.3 10.0.1.1',
       "lb-add lb3 '[fd30::1]:80' '[fd01::1]:80' tcp",
       'set load_balancer lb1 options:hairpin_snat_ip="30.0.0.99"',
       'ls-lb-add s1 lb0', 'ls-lb-add s1 lb1', 'ls-lb-add s1 lb2', 'ls-lb-add s1 lb3'])
