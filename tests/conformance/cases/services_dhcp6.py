# SPDX-License-Identifier: Apache-2.0
"""DHCPv6 by put_dhcpv6_opts(): every message type, stateful and stateless ports, all options, requests
that are malformed, relayed or not for us.

Left out: options cut off in the middle; the reference reads what lies behind the packet."""
from dhcp import Client6, dhcp_options
from topologies import link_local, routed

net = routed([1, 2, 3, 4])
one, two, three, four = [Client6(net.hosts[n], link_local(net.hosts[n].mac)) for n in (1, 2, 3, 4)]
SERVER = '00:00:00:00:ff:01'
GOOD = one.payload(1, [(1, one.duid), (3, b'\0\0\0\7' + bytes(8))])

SPEC = net.spec([
    *[client.message(kind) for client in (one, two, three, four) for kind in (1, 3, 11)],
    *[one.message(kind) for kind in (0, 2, 4, 5, 6, 7, 8, 9, 10, 12, 13, 255)],
    *[one.message(kind, addresses=['fd01::1'], server=SERVER) for kind in (3, 4, 5, 6, 8, 9, 11)],
    one.message(5, addresses=['fd01::99', 'fd01::1'], server=SERVER), one.message(6, addresses=['fd01::99']),
    one.message(5, server='00:00:00:00:00:99'), two.message(5, server=SERVER), two.message(6),
    *[one.message(kind, client=False) for kind in (1, 3, 11)],
    *[one.message(kind, iaid=None) for kind in (1, 3, 9, 11)],
    one.message(1, iaid=0), one.message(1, iaid=0xffffffff), one.message(1, xid=0xffffff),
    one.message(1, extra=[(14, b'')]), one.message(1, extra=[(39, b'\1\3one\0')]), one.message(1, extra=[(39, b'\0')]),
    one.message(1, extra=[(15, b'\0\4iPXE')]), one.message(1, extra=[(15, b'\0\7PXEClie')]),
    one.message(1, extra=[(15, b'\0')]),
    one.message(1, extra=[(6, b'\0\x17\0\x18'), (8, b'\0\0'), (16, bytes(4)), (25, bytes(12))]),
    one.message(1, extra=[(3, b'\0\0\0\x63' + bytes(8))]), one.message(1, extra=[(1, b'\0\4' + bytes(16))]),
    one.message(1, src='fd01::1'), one.message(1, dst='fe80::200:ff:fe00:ff01', eth=SERVER),
    one.message(1, dst='fd01::ff', eth=SERVER), one.message(1, dst='ff05::1:3', eth='33:33:00:01:00:03'),
    one.message(1, sport=1546), one.message(1, dport=546), one.message(1, chksum=0x1234), one.message(1, chksum=0),
    two.message(1, eth_src=one.host.mac),
    *[one.raw(GOOD[:n]) for n in (0, 1, 3, 4, 6, 8, 12, 18)], one.raw(GOOD + b'\0\6\0\x20'),
    one.raw(GOOD, len=20), one.raw(GOOD, len=9999), one.raw(GOOD + bytes(40)),
    Client6(one.host, one.source, duid=b'').message(1), Client6(one.host, one.source, duid=bytes(128)).message(3),
], nb=dhcp_options('fd01::/64', {'server_id': SERVER, 'dns_server': '{fd01::53, fd01::54}',
                                'domain_search': '"example.org"'}, 'lp1', column='dhcpv6_options')
    + dhcp_options('fd01::/64', {'server_id': SERVER, 'dhcpv6_stateless': 'true', 'dns_server': 'fd01::53'}, 'lp2',
                   column='dhcpv6_options')
    + dhcp_options('fd01::/64', {'server_id': SERVER}, 'lp3', column='dhcpv6_options'))
