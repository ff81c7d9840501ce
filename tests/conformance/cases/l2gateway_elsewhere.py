# SPDX-License-Identifier: Apache-2.0
"""An l2gateway port on another chassis: what is for it is tunnelled there, until it moves."""
from topologies import change, pause, switched
from traffic import BROADCAST, Host
from vlans import localnet, mapped, tagged

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
out = Host('wire', 0x90, '10.0.1.90', 'fd01::90')
PACKETS = [a.udp(out), a.udp(b), a.udp(out, link=a.ether(BROADCAST)), a.arp(out.ip), out.udp(a),
           tagged(out.udp(a), 50), a.udp6(out), tagged(out.arp(a.ip), 50)]
SPEC = net.spec(PACKETS
                + [change('lsp-set-options gw network_name=phys l2gateway-chassis=hv1'), pause(600)]
                + PACKETS,
                nb=localnet('s1', 'gw', 'phys', 50, 'l2gateway', l2gateway_chassis='hv2'),
                chassis=[mapped('hv1', 1)],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                         'ports': ['gw']}],
                any_order=['wire'], ignore_kinds=['garp', 'rarp', 'na'])
