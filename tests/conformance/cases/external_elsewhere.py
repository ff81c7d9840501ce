# SPDX-License-Identifier: Apache-2.0
"""An external port whose HA group names another chassis: no answers here, until the priorities
change."""
from scapy.layers.dhcp import BOOTP, DHCP
from topologies import PHYSICAL, change, pause, routed
from traffic import BROADCAST, IP, UDP, Ether, Host, mac

net = routed([1])
ext = Host('wire', 0x66, '10.0.1.66', 'fd01::66', '00:00:00:00:ff:01')
DISCOVER = ext.send(Ether(src=ext.mac, dst=BROADCAST) / IP(src='0.0.0.0', dst='255.255.255.255')
                    / UDP(sport=68, dport=67) / BOOTP(chaddr=bytes.fromhex(
                        ext.mac.replace(':', '')), xid=5)
                    / DHCP(options=[('message-type', 'discover'), 'end'])) + [{'wait_ms': 80}]
v = net.hosts[1]
PACKETS = [DISCOVER, ext.arp('10.0.1.254'), ext.udp(v, link=ext.ether(v.mac)),
           v.udp(ext, link=v.ether(ext.mac)), ext.solicit('fd01::ff'), ext.ping('10.0.1.254'),
           v.udp(ext, link=v.ether(BROADCAST)), ext.arp(v.ip), v.arp(ext.ip)]
SPEC = net.spec(PACKETS + [change('ha-chassis-group-add-chassis hagrp hv1 30'), pause(500)] + PACKETS
                + [change('ha-chassis-group-remove-chassis hagrp hv1'), pause(500)] + PACKETS,
                nb=['lsp-add s1 ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown -- '
                    'lsp-set-options ln network_name=phys',
                    '--id=@h create ha_chassis chassis_name=hv2 priority=20 -- --id=@g create '
                    'ha_chassis_group name=hagrp ha_chassis=@h -- lsp-add s1 ext -- '
                    'lsp-set-type ext external -- lsp-set-addresses ext "%s 10.0.1.66 fd01::66" '
                    '-- set logical_switch_port ext ha_chassis_group=@g' % mac(0x66),
                    '--id=@d create DHCP_Options cidr=10.0.1.0/24 options:server_id=10.0.1.254 '
                    'options:server_mac=00:00:00:00:ff:01 options:lease_time=3600 -- set '
                    'logical_switch_port ext dhcpv4_options=@d'],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02'}],
                **dict(PHYSICAL, ignore_kinds=['garp', 'rarp', 'na', 'bfd']))
