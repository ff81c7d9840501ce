# SPDX-License-Identifier: Apache-2.0
"""Two l2gateway ports on one chassis, each a VLAN; a third without a tag, and a router behind."""
from topologies import routed
from traffic import BROADCAST, Host
from vlans import localnet, mapped, tagged

net = routed([1], [2], [3])
a, b, c = [net.hosts[n] for n in (1, 2, 3)]
out = Host('wire', 0x90, '10.0.1.90', 'fd01::90', a.gateway_mac)
out2 = Host('wire', 0x91, '10.0.2.91', 'fd02::91', b.gateway_mac)
SPEC = net.spec([
    a.udp(out, link=a.ether(out.mac)), b.udp(out2, link=b.ether(out2.mac)), a.udp(out2),
    tagged(out.udp(b), 11), tagged(out2.udp(a), 12), tagged(out.udp(c), 11), out.udp(b),
    tagged(out.udp(a, link=out.ether(a.mac)), 11), tagged(out.udp(a, link=out.ether(a.mac)), 12),
    tagged(out.udp(a, link=out.ether(BROADCAST)), 11), c.udp(out, link=c.ether(BROADCAST)),
    out.udp(c, link=out.ether(BROADCAST)), tagged(out.udp(c, link=out.ether(BROADCAST)), 0, pcp=2),
    tagged(out.arp('10.0.1.254'), 11), tagged(out.ping('10.0.1.254'), 11), a.arp(out.ip),
    tagged(out.arp(a.ip), 11), tagged(out.solicit('fd01::ff'), 11), a.udp6(out2)],
    nb=localnet('s1', 'gw1', 'phys', 11, 'l2gateway', l2gateway_chassis='hv1')
    + localnet('s2', 'gw2', 'phys', 12, 'l2gateway', l2gateway_chassis='hv1')
    + localnet('s3', 'gw3', 'phys', None, 'l2gateway', l2gateway_chassis='hv1')
    + ['static-mac-binding-add r-s2 10.0.2.91 %s' % out2.mac],
    chassis=[mapped('hv1', 1)], any_order=['wire'], ignore_kinds=['garp', 'rarp', 'na'])
