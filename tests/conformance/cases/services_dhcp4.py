# SPDX-License-Identifier: Apache-2.0
"""DHCPv4 by put_dhcp_opts(): every message type, renewals, refusals, the broadcast flag, PXE clients,
relayed, padded and malformed requests; a port without options; a port on another switch."""
from dhcp import Client4, INFORM, REQUEST, DISCOVER, DECLINE, RELEASE, bootp, dhcp_options
from topologies import routed
from traffic import IP, UDP, Dot1Q, Ether, Raw

net = routed([1, 2, 3, 4], [5])
one, two, three, four, five = [Client4(net.hosts[n]) for n in (1, 2, 3, 4, 5)]
OPTIONS = {'server_id': '10.0.1.254', 'server_mac': '00:00:00:00:ff:01', 'lease_time': '3600',
           'router': '10.0.1.254', 'netmask': '255.255.255.0', 'dns_server': '8.8.8.8'}


def broken(**fields):
    """A DISCOVER whose BOOTP header or options are as given."""
    return one.raw(bootp(one.host.mac, **fields))


def on_udp(payload, **udp):
    return one.host.send(Ether(src=one.host.mac, dst='ff:ff:ff:ff:ff:ff')
                         / IP(src='0.0.0.0', dst='255.255.255.255')
                         / UDP(**{'sport': 68, 'dport': 67, **udp}) / Raw(payload))


GOOD = bytes(bootp(one.host.mac, options=[(53, bytes([DISCOVER]))]))

SPEC = net.spec([
    one.message(DISCOVER), one.message(REQUEST, want='10.0.1.1'), one.message(REQUEST, want='10.0.1.77'),
    one.message(REQUEST), one.message(REQUEST, ciaddr='10.0.1.1'), one.message(REQUEST, ciaddr='10.0.1.9'),
    one.message(REQUEST, ciaddr='10.0.1.9', want='10.0.1.1'),
    one.message(REQUEST, ciaddr='10.0.1.1', src='10.0.1.1', dst='10.0.1.254', eth='00:00:00:00:ff:01'),
    one.message(REQUEST, ciaddr='10.0.1.1', src='10.0.1.1', dst='255.255.255.255'),
    one.message(REQUEST, ciaddr='10.0.1.1', src='10.0.1.1', dst='10.0.1.3', eth=three.host.mac),
    one.message(DECLINE, want='10.0.1.1'), one.message(DECLINE), one.message(RELEASE, ciaddr='10.0.1.1'),
    one.message(INFORM, ciaddr='10.0.1.1'), one.message(INFORM, ciaddr='10.0.1.1', flags=0x8000, siaddr='9.9.9.9'),
    one.message(DISCOVER, flags=0x8000), one.message(DISCOVER, flags=0x4000), one.message(DISCOVER, siaddr='1.2.3.4'),
    one.message(REQUEST, want='10.0.1.77', flags=0x8000, siaddr='1.2.3.4'),
    one.message(DISCOVER, giaddr='10.0.9.1', hops=3, secs=77), one.message(DISCOVER, xid=0xffffffff),
    one.message(DISCOVER, extra=[(55, b'\1\3\6\x0f'), (12, b'vm-one'), (61, b'\1' + bytes(6)), (57, b'\5\xdc')]),
    one.message(DISCOVER, extra=[(77, b'iPXE')]), one.message(DISCOVER, extra=[(175, b'\1\1\1')]),
    one.message(DISCOVER, chaddr='50:54:00:00:00:aa'), one.message(DISCOVER, sname=b'x' * 64, file=b'y' * 128),
    *[one.message(kind) for kind in (0, 2, 5, 6, 9, 13, 255)],
    two.message(DISCOVER), two.message(REQUEST, want='10.0.1.1'), two.message(REQUEST, want='10.0.1.2'),
    three.message(DISCOVER), four.message(DISCOVER), five.message(DISCOVER), five.message(REQUEST, want='10.0.2.5'),
    two.message(DISCOVER, chaddr=one.host.mac), two.message(DISCOVER, eth_src=one.host.mac),
    broken(op=2), broken(op=0), broken(cookie=b'\1\2\3\4'), broken(cookie=b''), broken(htype=6), broken(hlen=0),
    broken(options=[]), broken(options=[(53, b'')]), broken(options=[(53, b'\1\1')]),
    broken(options=[(53, b'\1')], end=b''), broken(options=[(53, b'\1')], end=bytes([55, 200, 1])),
    broken(options=[(53, b'\3'), (50, b'\x0a\0')]),
    broken(options=[(53, b'\1'), (53, b'\3'), (50, bytes([10, 0, 1, 1]))]),
    broken(options=[(55, b'\1'), (53, b'\1')], pad=7), broken(options=[(53, b'\1')], end=b'\xff' + bytes(60)),
    on_udp(GOOD[:100]), on_udp(GOOD[:236]), on_udp(GOOD[:239]), on_udp(GOOD[:240]), on_udp(b''), on_udp(GOOD, len=20),
    on_udp(GOOD, len=9999), on_udp(GOOD, chksum=0), on_udp(GOOD, chksum=0x1234), on_udp(GOOD, sport=1068),
    on_udp(GOOD, dport=68), on_udp(GOOD + bytes(700)),
    one.host.send(Ether(src=one.host.mac, dst='ff:ff:ff:ff:ff:ff') / Dot1Q(vlan=7)
                  / IP(src='0.0.0.0', dst='255.255.255.255') / UDP(sport=68, dport=67) / Raw(GOOD)),
    one.host.send(Ether(src=one.host.mac, dst='ff:ff:ff:ff:ff:ff')
                  / IP(src='0.0.0.0', dst='255.255.255.255', ttl=1, tos=0x10, id=7) / UDP(sport=68, dport=67)
                  / Raw(GOOD)),
], nb=dhcp_options('10.0.1.0/24', OPTIONS, 'lp1')
    + dhcp_options('10.0.1.0/24', dict(OPTIONS, lease_time='60', next_server='10.0.1.200'), 'lp2')
    + dhcp_options('10.0.2.0/24', dict(OPTIONS, server_id='10.0.2.254', router='10.0.2.254'), 'lp5'))
