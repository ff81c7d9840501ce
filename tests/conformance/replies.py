# SPDX-License-Identifier: Apache-2.0
"""What a host answers to a frame that reached it: the reply packet, or an ICMP error about it.

Steps of a scenario that say {"answer": {...}} are filled in from what really came out, so that
a reply fits whatever backend, address or port was chosen on the way (format: ref_hv.py).
"""
import logging

logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,  # noqa: E402
                                ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6)
from scapy.layers.l2 import Dot1Q, Ether  # noqa: E402
from scapy.layers.sctp import SCTP  # noqa: E402
from scapy.packet import Raw  # noqa: E402

_ERRORS4 = {'net': (3, 0), 'host': (3, 1), 'proto': (3, 2), 'port': (3, 3), 'frag': (3, 4),
            'ttl': (11, 0)}


def answer(frame, tcp='SA', size=6, error=None):
    """The answer to `frame` (hex) as hex, or None when such a frame is not answered.

    tcp    flags of a TCP answer; sequence numbers continue those of the frame
    size   bytes of payload of a UDP answer, or of TCP when there is no SYN
    error  "port", "host", "ttl", "frag", ...: an ICMP error about the frame instead
    """
    packet = Ether(bytes.fromhex(frame))
    link = Ether(src=packet.dst, dst=packet.src)
    inner = packet.payload
    if isinstance(inner, Dot1Q):
        link, inner = link / Dot1Q(vlan=inner.vlan), inner.payload
    if not isinstance(inner, (IP, IPv6)) or _is_group(packet.dst):
        return None
    network = type(inner)(src=inner.dst, dst=inner.src)
    body = _error(inner, error) if error else _reply(inner.payload, tcp, size)
    return None if body is None else bytes(link / network / body).hex()


def _is_group(mac):
    return int(mac[:2], 16) & 1


def _reply(payload, flags, size):
    if isinstance(payload, TCP):
        length = len(bytes(payload.payload)) + ('S' in payload.flags) + ('F' in payload.flags)
        own = payload.ack if 'A' in payload.flags else 5000
        data = b'' if 'S' in flags or 'R' in flags else bytes(range(65, 65 + size))
        return TCP(sport=payload.dport, dport=payload.sport, flags=flags, seq=own,
                   ack=payload.seq + length) / Raw(data)
    if isinstance(payload, UDP):
        return UDP(sport=payload.dport, dport=payload.sport) / Raw(bytes(range(97, 97 + size)))
    if isinstance(payload, ICMP) and payload.type == 8:
        return ICMP(type=0, id=payload.id, seq=payload.seq) / payload.payload
    if isinstance(payload, ICMPv6EchoRequest):
        return ICMPv6EchoReply(id=payload.id, seq=payload.seq, data=payload.data)
    if isinstance(payload, SCTP):
        # An INIT ACK without options is enough of an answer for whoever does not speak SCTP.
        return SCTP(sport=payload.dport, dport=payload.sport, tag=payload.tag) / Raw(
            bytes.fromhex('02000014000003e900010000000a000a00000001'))
    return None


def _error(inner, kind):
    quoted = Raw(bytes(inner)[:64])
    if isinstance(inner, IP):
        number, code = _ERRORS4[kind]
        mtu = {'nexthopmtu': 1200} if kind == 'frag' else {}
        return ICMP(type=number, code=code, **mtu) / quoted
    if kind == 'ttl':
        return ICMPv6TimeExceeded() / quoted
    if kind == 'frag':
        return ICMPv6PacketTooBig(mtu=1280) / quoted
    return ICMPv6DestUnreach(code={'net': 0, 'host': 3, 'port': 4}[kind]) / quoted
