# SPDX-License-Identifier: Apache-2.0
"""A machine outside with an external port, seen by two chassis: the one of the HA group answers
DHCP and ARP for the router, the other one keeps silent."""
from scapy.layers.dhcp import BOOTP, DHCP
from traffic import BROADCAST, IP, UDP, Ether, Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

GW = '00:00:00:00:ff:01'
ext = Host('wire', 0x66, '10.0.1.66', 'fd01::66', GW)
a, b = Host('v1', 1, '10.0.1.1', 'fd01::1', GW), Host('w2', 2, '10.0.1.2', 'fd01::2', GW)
DISCOVER = ext.send(Ether(src=ext.mac, dst=BROADCAST) / IP(src='0.0.0.0', dst='255.255.255.255')
                    / UDP(sport=68, dport=67) / BOOTP(chaddr=bytes.fromhex(
                        ext.mac.replace(':', '')), xid=5)
                    / DHCP(options=[('message-type', 'discover'), 'end']))
SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['lr-add r', 'ls-add s'] + router_port('r', 's', GW, '10.0.1.254/24 fd01::ff/64')
    + localnet('s', 'ln', 'phys', 12)
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.1.%d fd01::%d' % (mac(n), n, n)) for n in (1, 2)],
          [])
    + ['--id=@h create ha_chassis chassis_name=hv2 priority=20 -- --id=@i create ha_chassis '
       'chassis_name=hv1 priority=10 -- --id=@g create ha_chassis_group name=g ha_chassis=@h,@i '
       '-- --id=@d create DHCP_Options cidr=10.0.1.0/24 options:server_id=10.0.1.254 '
       'options:server_mac=%s options:lease_time=3600 -- lsp-add s ext -- lsp-set-type ext '
       'external -- lsp-set-addresses ext "%s 10.0.1.66 fd01::66" -- set logical_switch_port ext '
       'ha_chassis_group=@g dhcpv4_options=@d' % (GW, mac(0x66))],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'}],
    'packets': [
        {'sleep_ms': 4000},     # until BFD between the two is up
        tagged(DISCOVER, 12) + [{'wait_ms': 100}], tagged(ext.arp('10.0.1.254'), 12),
        tagged(ext.solicit('fd01::ff'), 12), tagged(ext.ping('10.0.1.254'), 12),
        tagged(ext.udp(a, link=ext.ether(a.mac)), 12), tagged(ext.udp(b, link=ext.ether(b.mac)), 12),
        a.udp(ext, link=a.ether(ext.mac)), b.udp(ext, link=b.ether(ext.mac)), a.arp('10.0.1.254'),
        b.arp('10.0.1.254'), tagged(ext.arp(a.ip), 12), a.arp(ext.ip), DISCOVER + [{'wait_ms': 60}],
    ],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na', 'bfd'],
}
