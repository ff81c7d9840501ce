# SPDX-License-Identifier: Apache-2.0
"""A backend that reaches itself by the virtual address and then, with the same ports, by its own
address through the router: the commits of both directions share its port's zone, and the answers
of the second must not be taken for those of the first; UDP and TCP, IPv4 and IPv6."""
from topologies import answer, at, routed

net = routed([1, 2])
a, b = net.hosts[1], net.hosts[2]
vip, vip6 = at('30.0.0.1', a), at('fd30::1', a)


def both_ways(host):
    return [
        host.udp(vip, 40000, 80), host.udp(a, 40000, 8080), answer(), host.udp(a, 40000, 8080),
        host.udp(vip, 40000, 80), answer(), host.udp6(vip6, 1000, 80), host.udp6(a, 1000, 8080),
        answer(), host.udp6(a, 1000, 8080), host.tcp(vip, 1001, 80), host.tcp(a, 1001, 8080),
        answer(), host.udp(a, 1002, 8080), host.udp(vip, 1002, 80), answer()]


SPEC = net.spec(both_ways(a) + both_ways(b), nb=[
    "lb-add lb0 30.0.0.1:80 10.0.1.1:8080 udp", "lb-add lb1 30.0.0.1:80 10.0.1.1:8080 tcp",
    "lb-add lb2 '[fd30::1]:80' '[fd01::1]:8080' udp",
    *['ls-lb-add s1 lb%d' % n for n in range(3)]])
