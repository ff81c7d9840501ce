# SPDX-License-Identifier: Apache-2.0
"""DHCPv4: discover, request, decline, release, inform, renewal, wrong server, other MACs,
relayed and malformed messages, all kinds of options."""
from scapy.layers.dhcp import BOOTP, DHCP
from topologies import quoted, switched
from traffic import BROADCAST, IP, UDP, Ether, Raw

net = switched(1, 2, 3)
a, b = net.hosts[1], net.hosts[2]
DEFINE = (
    '--id=@d create DHCP_Options cidr=10.0.1.0/24 options:server_id=10.0.1.254 '
    'options:server_mac=00:00:00:00:ff:01 options:lease_time=3600 '
          'options:router=10.0.1.254 options:dns_server="{8.8.8.8,1.1.1.1}" options:domain_name='
          + quoted('example.org') + ' options:mtu=1400 options:netmask=255.255.255.0 '
          'options:ntp_server=10.0.1.9 options:hostname=' + quoted('vm1')
          + ' options:classless_static_route="{30.0.0.0/24,10.0.1.5,0.0.0.0/0,10.0.1.254}" '
          'options:T1=1800 options:T2=3000 options:ip_forward_enable=1 options:default_ttl=60 '
          'options:bootfile_name=' + quoted('pxe.0') + ' options:tftp_server_address=10.0.1.8 '
          '-- set logical_switch_port lp1 dhcpv4_options=@d')
SMALL = (
    '--id=@d create DHCP_Options cidr=10.0.1.0/24 options:server_id=10.0.1.254 '
    'options:server_mac=00:00:00:00:ff:01 options:lease_time=60 options:offerip=10.0.1.77 '
         '-- set logical_switch_port lp2 dhcpv4_options=@d')


def dhcp(host, kind, src='0.0.0.0', dst='255.255.255.255', to=BROADCAST, chaddr=None, words=(),
    extra=(), tail=b'', **bootp):
    head = BOOTP(**{'chaddr': bytes.fromhex((chaddr or host.mac).replace(':', '')), 'xid': 0x1234,
        **bootp})
    options = ([('message-type', kind)] if kind else []) + list(words) + ['end']
    return host.send(Ether(src=host.mac, dst=to) / IP(src=src, dst=dst) / UDP(sport=68, dport=67)
        / head / DHCP(options=options) / Raw(tail)) + [{'wait_ms': 80}]


SERVER, OTHER = ('server_id', '10.0.1.254'), ('server_id', '10.0.1.253')
SPEC = net.spec([
    dhcp(a, 'discover'), dhcp(a, 'request', words=[('requested_addr', '10.0.1.1'), SERVER]),
    dhcp(a, 'request', words=[('requested_addr', '10.0.1.9'), SERVER]),
    dhcp(a, 'request', words=[('requested_addr', '10.0.1.1'), OTHER]),
    dhcp(a, 'request', words=[('requested_addr', '10.0.1.1')]),
    dhcp(a, 'request', src='10.0.1.1', dst='10.0.1.254', to='00:00:00:00:ff:01', ciaddr='10.0.1.1'),
    dhcp(a, 'request', src='10.0.1.1', ciaddr='10.0.1.1'),
    dhcp(a, 'decline', words=[('requested_addr', '10.0.1.1'), SERVER]),
    dhcp(a, 'release', src='10.0.1.1', dst='10.0.1.254', to='00:00:00:00:ff:01', ciaddr='10.0.1.1'),
    dhcp(a, 'inform', src='10.0.1.1', ciaddr='10.0.1.1'),
    dhcp(a, 'discover', flags=0x8000, xid=0xdeadbeef, secs=9),
    dhcp(a, 'discover', words=[('param_req_list', [1, 3, 6, 15, 51])]),
    dhcp(a, 'discover', words=[('client_id', b'\x01abcdef'), ('hostname', b'me')]),
    dhcp(a, 'discover', tail=bytes(64)), dhcp(a, 'discover', op=2), dhcp(a, None), dhcp(a, 9),
    dhcp(a, 'discover', chaddr='50:54:00:00:00:99'), dhcp(a, 'discover', giaddr='10.0.1.5'),
    dhcp(a, 'discover', src='10.0.1.1'),
    dhcp(b, 'discover'), dhcp(b, 'request', words=[('requested_addr', '10.0.1.77'), SERVER]),
    dhcp(b, 'request', words=[('requested_addr', '10.0.1.2'), SERVER]),
    dhcp(net.hosts[3], 'discover'), dhcp(a, 'discover', words=[(55, b'\x96\x42\x43')]),
    a.send(Ether(src=a.mac, dst=BROADCAST) / IP(src='0.0.0.0', dst='255.255.255.255')
    / UDP(sport=68, dport=67) / Raw(b'\x01\x01\x06')) + [{'wait_ms': 80}],
], nb=[DEFINE, SMALL])
