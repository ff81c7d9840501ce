# SPDX-License-Identifier: Apache-2.0
"""Packets for scenarios, built by scapy, and the words that build topologies.

All content is fixed, so that a scenario is the same on every run. Hosts are numbered: host N
has MAC 50:54:00:00:00:N unless said otherwise.
"""
import logging

logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402,F401
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,  # noqa: E402,F401
                                ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6,
                                IPv6ExtHdrHopByHop)
from scapy.layers.l2 import ARP, Dot1Q, Ether  # noqa: E402,F401
from scapy.layers.sctp import (SCTP, SCTPChunkAbort, SCTPChunkData,  # noqa: E402,F401
                               SCTPChunkInit, SCTPChunkInitAck)
from scapy.packet import Packet, Raw  # noqa: E402,F401

BROADCAST = 'ff:ff:ff:ff:ff:ff'


def mac(number):
    return '50:54:00:00:00:%02x' % number


class Host:
    """An end point: its interface, MAC and addresses, and what it sends."""

    def __init__(self, interface, number, ip=None, ip6=None, gateway_mac=None):
        self.interface, self.mac = interface, mac(number)
        self.ip, self.ip6, self.gateway_mac = ip, ip6, gateway_mac

    def ether(self, to, **fields):
        """The link layer towards a host, a MAC, or (another subnet) the gateway."""
        if isinstance(to, Host):
            target = self.gateway_mac or to.mac
        else:
            target = to
        return Ether(**{'src': self.mac, 'dst': target, **fields})

    def udp(self, to, sport=1000, dport=2000, size=18, link=None, **ip):
        header = {'src': self.ip, 'dst': to.ip, **ip}
        return self.send((link or self.ether(to)) / IP(**header) / UDP(sport=sport, dport=dport)
                         / payload(size))

    def udp6(self, to, sport=1000, dport=2000, size=18, link=None, **ip):
        header = {'src': self.ip6, 'dst': to.ip6, **ip}
        return self.send((link or self.ether(to)) / IPv6(**header) / UDP(sport=sport, dport=dport)
                         / payload(size))

    def tcp(self, to, sport=1000, dport=80, flags='S', **ip):
        header = {'src': self.ip, 'dst': to.ip, **ip}
        return self.send(self.ether(to) / IP(**header)
                         / TCP(sport=sport, dport=dport, flags=flags, seq=1, ack=1))

    def tcp6(self, to, sport=1000, dport=80, flags='S', **ip):
        header = {'src': self.ip6, 'dst': to.ip6, **ip}
        return self.send(self.ether(to) / IPv6(**header)
                         / TCP(sport=sport, dport=dport, flags=flags, seq=1, ack=1))

    def segment(self, to, flags, seq, ack=0, data=b'', sport=1000, dport=80, **fields):
        """A TCP segment with numbers of its own; fields override TCP's."""
        network = (IPv6(src=self.ip6, dst=to.ip6) if to.ip is None
                   else IP(src=self.ip, dst=to.ip))
        return self.send(self.ether(to) / network / TCP(
            sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, **fields) / Raw(data))

    def sctp(self, to, chunk, tag=0, sport=1000, dport=80, **ip):
        """An SCTP packet with one chunk of scapy's."""
        header = {'src': self.ip, 'dst': to.ip, **ip}
        return self.send(self.ether(to) / IP(**header) / SCTP(sport=sport, dport=dport, tag=tag)
                         / chunk)

    def ping(self, to, sequence=1, **ip):
        header = {'src': self.ip, 'dst': to.ip if isinstance(to, Host) else to, **ip}
        link = self.ether(to if isinstance(to, Host) else self.gateway_mac)
        return self.send(link / IP(**header) / ICMP(type=8, id=7, seq=sequence) / payload(32))

    def ping6(self, to, sequence=1, **ip):
        header = {'src': self.ip6, 'dst': to.ip6 if isinstance(to, Host) else to, **ip}
        link = self.ether(to if isinstance(to, Host) else self.gateway_mac)
        return self.send(link / IPv6(**header) / ICMPv6EchoRequest(id=7, seq=sequence,
                                                                  data=bytes(range(32))))

    def arp(self, target, **fields):
        """A request for `target`; fields override the ARP header's."""
        header = {'hwsrc': self.mac, 'psrc': self.ip, 'pdst': target, **fields}
        return self.send(Ether(src=self.mac, dst=BROADCAST) / ARP(**header))

    def arp_reply(self, to_mac, to_ip, **fields):
        header = {'op': 2, 'hwsrc': self.mac, 'psrc': self.ip, 'hwdst': to_mac, 'pdst': to_ip,
                  **fields}
        return self.send(Ether(src=self.mac, dst=to_mac) / ARP(**header))

    def solicit(self, target, lladdr=None, **ip):
        """A neighbour solicitation for `target` to its solicited-node group."""
        low = solicited_node(target)
        header = {'src': self.ip6, 'dst': low, 'hlim': 255, **ip}
        return self.send(Ether(src=self.mac, dst='33:33:' + group_tail(low)) / IPv6(**header)
                         / ICMPv6ND_NS(tgt=target)
                         / ICMPv6NDOptSrcLLAddr(lladdr=lladdr or self.mac))

    def advertise(self, to_mac, to_ip, target=None, lladdr=None, solicited=1, **ip):
        header = {'src': self.ip6, 'dst': to_ip, 'hlim': 255, **ip}
        return self.send(Ether(src=self.mac, dst=to_mac) / IPv6(**header)
                         / ICMPv6ND_NA(tgt=target or self.ip6, R=0, S=solicited, O=1)
                         / ICMPv6NDOptDstLLAddr(lladdr=lladdr or self.mac))

    def send(self, packet):
        """One step of a scenario: the packet enters at this host's interface."""
        return [self.interface, bytes(packet).hex()]


def payload(size):
    return Raw(bytes(i & 0xff for i in range(size)))


def solicited_node(address):
    import ipaddress
    low = ipaddress.IPv6Address(address).packed[-3:]
    return 'ff02::1:ff%02x:%02x%02x' % tuple(low)


def group_tail(address):
    import ipaddress
    return ':'.join('%02x' % b for b in ipaddress.IPv6Address(address).packed[-4:])


def geneve(inner, vni, inport, outport, src_ip, dst_ip, dst_mac, src_mac='02:bb:00:00:00:02',
           option=(0x0102, 0x80), sport=50000, critical=True):
    """An outer packet as OVN sends it between chassis: VNI and one option with both ports."""
    header = bytes([2, 0x40 if critical else 0, 0x65, 0x58]) + vni.to_bytes(3, 'big') + b'\0'
    header += option[0].to_bytes(2, 'big') + bytes([option[1], 1])
    header += (inport << 16 | outport).to_bytes(4, 'big')
    frame = bytes.fromhex(inner[1] if isinstance(inner, list) else inner)
    return ['wire', bytes(Ether(src=src_mac, dst=dst_mac) / IP(src=src_ip, dst=dst_ip, ttl=64,
                                                               flags='DF', id=0)
                          / UDP(sport=sport, dport=6081, chksum=0) / Raw(header + frame)).hex()]


def switch_port(switch, port, addresses, security=None):
    """nb lines for one port of a logical switch."""
    line = 'lsp-add %s %s -- lsp-set-addresses %s %s' % (
        switch, port, port, ' '.join('"%s"' % a for a in ([addresses] if isinstance(
            addresses, str) else addresses)))
    if security is not None:
        line += ' -- lsp-set-port-security %s "%s"' % (port, security)
    return [line]


def router_port(router, switch, router_mac, networks):
    """nb lines that join a logical router and a switch by ROUTER-SWITCH and SWITCH-ROUTER."""
    peer, own = '%s-%s' % (router, switch), '%s-%s' % (switch, router)
    return ['lrp-add %s %s %s %s' % (router, peer, router_mac, networks),
            'lsp-add %s %s -- lsp-set-type %s router -- lsp-set-addresses %s router '
            '-- lsp-set-options %s router-port=%s' % (switch, own, own, own, own, peer)]
