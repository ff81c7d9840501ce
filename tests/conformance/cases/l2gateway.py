# SPDX-License-Identifier: Apache-2.0
"""An l2gateway port: its chassis joins the switch to a physical network."""
from topologies import switched
from traffic import Host

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
out = Host('wire', 0x90, '10.0.1.90', 'fd01::90')
SPEC = net.spec([a.udp(b), a.udp(out), out.udp(a), a.arp('10.0.1.90'), out.arp('10.0.1.1'),
    a.udp(out, link=a.ether('ff:ff:ff:ff:ff:ff')), out.udp(a, link=out.ether('ff:ff:ff:ff:ff:ff')),
    a.udp6(out), out.tcp6(b)],
                nb=[
                'lsp-add s1 gw -- lsp-set-type gw l2gateway -- lsp-set-addresses gw unknown -- '
                'lsp-set-options gw network_name=phys l2gateway-chassis=hv1'],
                chassis=[{'name': 'hv1', 'encap_ip': '192.168.0.1',
                'bridge_mappings': 'phys:br-phys'}], any_order=['wire'],
                ignore_kinds=['garp', 'rarp', 'na'])
