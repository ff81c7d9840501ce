# SPDX-License-Identifier: Apache-2.0
"""An external port: its chassis serves DHCP and router addresses to a machine on the physical
network."""
from scapy.layers.dhcp import BOOTP, DHCP
from topologies import PHYSICAL, routed
from traffic import BROADCAST, IP, UDP, Ether, Host, mac

net = routed([1])
ext = Host('wire', 0x66, '10.0.1.66', 'fd01::66', '00:00:00:00:ff:01')
DISCOVER = ext.send(Ether(src=ext.mac, dst=BROADCAST) / IP(src='0.0.0.0', dst='255.255.255.255')
    / UDP(sport=68, dport=67) / BOOTP(chaddr=bytes.fromhex(ext.mac.replace(':', '')), xid=5)
                    / DHCP(options=[('message-type', 'discover'), 'end']))
SPEC = net.spec([DISCOVER + [{'wait_ms': 80}], ext.arp('10.0.1.254'),
    ext.udp(net.hosts[1], link=ext.ether(net.hosts[1].mac)),
    net.hosts[1].udp(ext, link=net.hosts[1].ether(ext.mac)), ext.solicit('fd01::ff'),
    ext.ping('10.0.1.254')],
                nb=[
                'lsp-add s1 ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown -- '
                'lsp-set-options ln network_name=phys',
                    '--id=@h create ha_chassis chassis_name=hv1 priority=10 -- --id=@g create '
                    'ha_chassis_group name=hagrp ha_chassis=@h',
                    'lsp-add s1 ext -- lsp-set-type ext external -- lsp-set-addresses ext "%s '
                    '10.0.1.66 fd01::66" ' % mac(0x66),
                    '--id=@d create DHCP_Options cidr=10.0.1.0/24 options:server_id=10.0.1.254 '
                    'options:server_mac=00:00:00:00:ff:01 options:lease_time=3600 -- set '
                    'logical_switch_port ext dhcpv4_options=@d'], **PHYSICAL)
