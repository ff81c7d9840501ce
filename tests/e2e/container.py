# SPDX-License-Identifier: Apache-2.0
"""A container inside a VM, as a process: it answers pings that reach the VM's interface with its tag.

The kernel need not know VLANs for this. `nsenter ... python3 container.py INTERFACE TAG MAC`
"""
import socket
import struct
import sys

SOL_PACKET, PACKET_AUXDATA, VLAN_VALID = 263, 8, 1 << 4


def tag_of(ancillary):
    """The kernel takes the tag off the frame and hands it over beside it."""
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack_from('=IIIHHHH', data)
            if status & VLAN_VALID:
                return tci & 0xfff
    return None


def checksum(data):
    total = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def echo_reply(frame):
    """The answer to an IPv4 echo request without options, else None."""
    if frame[12:15] != b'\x08\x00\x45' or frame[23] != 1 or frame[34] != 8:
        return None
    size = struct.unpack_from('>H', frame, 16)[0]
    body = bytearray(frame[34:14 + size])
    body[0:4] = b'\0\0\0\0'
    struct.pack_into('>H', body, 2, checksum(bytes(body) + b'\0' * (len(body) & 1)))
    ip = frame[14:26] + frame[30:34] + frame[26:30]     # swapped addresses: same checksum
    return frame[6:12], ip + bytes(body)


def main(interface, tag, mac):
    own = bytes.fromhex(mac.replace(':', ''))
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.bind((interface, 0))
    print('ready', flush=True)
    while True:
        frame, ancillary, _, address = sock.recvmsg(65536, 256)
        if address[2] == socket.PACKET_OUTGOING or frame[:6] != own or tag_of(ancillary) != tag:
            continue
        reply = echo_reply(frame)
        if reply:
            sock.send(reply[0] + own + struct.pack('>HH', 0x8100, tag) + b'\x08\x00' + reply[1])


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
