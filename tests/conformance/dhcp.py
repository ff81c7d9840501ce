# SPDX-License-Identifier: Apache-2.0
"""DHCP clients for scenarios, and the configuration lines that give a port its options."""
import ipaddress
import shlex

from traffic import BROADCAST, IP, UDP, Ether, IPv6, Raw

DISCOVER, REQUEST, DECLINE, RELEASE, INFORM = 1, 3, 4, 7, 8


def bootp(chaddr, op=1, htype=1, hlen=6, hops=0, xid=0x1234abcd, secs=0, flags=0, ciaddr='0.0.0.0',
          siaddr='0.0.0.0', giaddr='0.0.0.0', sname=b'', file=b'', cookie=b'\x63\x82\x53\x63',
          options=((53, b'\1'),), pad=0, end=b'\xff'):
    """A BOOTP message (RFC 2131) with DHCP options (code, value) after `pad` pad options."""
    def address(text):
        return ipaddress.IPv4Address(text).packed
    head = bytes([op, htype, hlen, hops]) + xid.to_bytes(4, 'big') + secs.to_bytes(2, 'big')
    head += flags.to_bytes(2,
        'big') + address(ciaddr) + bytes(4) + address(siaddr) + address(giaddr)
    head += bytes.fromhex(chaddr.replace(':', '')) + bytes(10) + sname.ljust(64, b'\0')
    head += file.ljust(128, b'\0') + cookie + bytes(pad)
    return head + b''.join(bytes([code, len(value)]) + value for code, value in options) + end


class Client4:
    """What a host's DHCPv4 client sends."""

    def __init__(self, host):
        self.host = host

    def raw(self, payload, src='0.0.0.0', dst='255.255.255.255', eth=BROADCAST, eth_src=None):
        return self.host.send(Ether(src=eth_src or self.host.mac, dst=eth) / IP(src=src, dst=dst)
                              / UDP(sport=68, dport=67) / Raw(payload))

    def message(self, kind, want=None, extra=(), chaddr=None, src='0.0.0.0', dst='255.255.255.255',
                eth=BROADCAST, eth_src=None, **fields):
        """A message of this type; `want` is the requested address."""
        options = [(53, bytes([kind]))]
        if want:
            options.append((50, ipaddress.IPv4Address(want).packed))
        return self.raw(bootp(chaddr or self.host.mac, options=options + list(extra), **fields),
                        src, dst, eth, eth_src)


def dhcp_options(cidr, values, *ports, column='dhcpv4_options'):
    """The nb line that makes a row of DHCP_Options and gives it to ports."""
    words = ' '.join('options:%s=%s' % (key, shlex.quote('"%s"' % value.replace('"', '\\"')))
                     for key, value in values.items())
    line = '--id=@d create dhcp_options cidr=%s %s' % (shlex.quote('"%s"' % cidr), words)
    return [line + ''.join(' -- set logical_switch_port %s %s=@d' % (port, column)
        for port in ports)]


class Client6:
    """What a host's DHCPv6 client sends (RFC 8415); options are (code, value)."""

    def __init__(self, host, link_local, duid=None):
        self.host, self.source = host, link_local
        self.duid = duid if duid is not None else (
            b'\0\3\0\1' + bytes.fromhex(host.mac.replace(':', '')))

    def payload(self, kind, options=(), xid=0x123456):
        return bytes([kind]) + xid.to_bytes(3, 'big') + b''.join(
            code.to_bytes(2, 'big') + len(value).to_bytes(2, 'big') + value for code,
            value in options)

    def raw(self, payload, src=None, dst='ff02::1:2', eth='33:33:00:01:00:02', eth_src=None, **udp):
        return self.host.send(Ether(src=eth_src or self.host.mac, dst=eth)
                              / IPv6(src=src or self.source, dst=dst)
                              / UDP(**{'sport': 546, 'dport': 547, **udp}) / Raw(payload))

    def message(self, kind, extra=(), iaid=7, client=True, addresses=(), server=None, **words):
        """A message with a client identifier and, unless iaid is None, an IA_NA."""
        options = [(1, self.duid)] if client else []
        if server:
            options.append((2, b'\0\3\0\1' + bytes.fromhex(server.replace(':', ''))))
        if iaid is not None:
            inner = b''.join(b'\0\5\0\x18' + ipaddress.IPv6Address(a).packed + bytes(8)
                             for a in addresses)
            options.append((3, iaid.to_bytes(4, 'big') + bytes(8) + inner))
        return self.raw(self.payload(kind, options + list(extra), words.pop('xid', 0x123456)),
            **words)
