# SPDX-License-Identifier: Apache-2.0
"""prefix_server.py INTERFACE MAC ADDRESS PREFIX LENGTH: a DHCPv6 server that delegates one prefix (RFC 8415).

It answers SOLICIT, REQUEST, RENEW and REBIND that have an IA_PD, and prints what it did."""
import ipaddress
import socket
import struct
import sys

interface, own_mac, own_ip, prefix, length = sys.argv[1:6]
MAC, IP = bytes.fromhex(own_mac.replace(':', '')), ipaddress.IPv6Address(own_ip).packed
PREFIX = struct.pack('!IIB', 300, 400, int(length)) + ipaddress.IPv6Address(prefix).packed
ANSWER = {1: 2, 3: 7, 5: 7, 6: 7}


def options_of(data):
    found = {}
    while len(data) >= 4:
        code, size = struct.unpack('!HH', data[:4])
        found[code] = data[4:4 + size]
        data = data[4 + size:]
    return found


def option(code, value):
    return struct.pack('!HH', code, len(value)) + value


def checksum(data):
    total = sum(struct.unpack('!%dH' % ((len(data) + 1) // 2), data + b'\0' * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff or 0xffff


def answer(frame):
    """The reply to a request, or None."""
    if frame[12:14] != b'\x86\xdd' or frame[20] != 17 or frame[56:58] != struct.pack('!H', 547):
        return None
    wanted = options_of(frame[66:])
    if frame[62] not in ANSWER or not {1, 25} <= set(wanted):
        return None
    body = bytes([ANSWER[frame[62]]]) + frame[63:66] + option(1, wanted[1]) + option(2, b'\0\3\0\1' + MAC)
    body += option(25, wanted[25][:4] + struct.pack('!II', 2, 200) + option(26, PREFIX))
    udp = struct.pack('!HHHH', 547, 546, len(body) + 8, 0) + body
    pseudo = IP + frame[22:38] + struct.pack('!II', len(udp), 17)
    udp = udp[:6] + struct.pack('!H', checksum(pseudo + udp)) + udp[8:]
    print({1: 'solicit', 3: 'request', 5: 'renew', 6: 'rebind'}[frame[62]], flush=True)
    return (frame[6:12] + MAC + b'\x86\xdd' + b'\x60\0\0\0' + struct.pack('!HBB', len(udp), 17, 64) + IP
            + frame[22:38] + udp)


raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
raw.bind((interface, 0))
print('ready', flush=True)
while True:
    packet, where = raw.recvfrom(2048)
    if where[2] != socket.PACKET_OUTGOING:
        reply = answer(packet)
        if reply:
            raw.send(reply)
