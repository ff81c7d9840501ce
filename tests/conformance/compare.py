# SPDX-License-Identifier: Apache-2.0
"""Judges two outputs of the same scenario, frame by frame."""
import struct

GENEVE, VXLAN, STT = 6081, 4789, 7471


def checksum(data):
    """The Internet checksum (RFC 1071); 0 over data that carries a correct one."""
    data += b'\0' * (len(data) & 1)
    total = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def mask_tunnel_noise(frame):
    """Masks what two encapsulators may choose differently, in a frame given as hex.

    Outer IPv4 id, outer source port, outer checksums (only correct ones: a wrong one stays and shows
    up as a difference), and STT's TCP-like frame identifier.
    """
    data = bytearray.fromhex(frame)
    try:
        ethertype, ip = struct.unpack_from('>H', data, 12)[0], 14
        if ethertype == 0x8100:
            ethertype, ip = struct.unpack_from('>H', data, 16)[0], 18
        if ethertype == 0x0800:
            protocol, l4 = data[ip + 9], ip + (data[ip] & 15) * 4
            addresses = data[ip + 12:ip + 20]
        elif ethertype == 0x86dd:
            protocol, l4 = data[ip + 6], ip + 40
            addresses = data[ip + 8:ip + 40]
        else:
            return frame
        port = struct.unpack_from('>H', data, l4 + 2)[0]
        if protocol == 17 and port in (GENEVE, VXLAN):
            _mask_udp_checksum(data, l4, bytes(addresses))
        elif not (protocol == 6 and port == STT):
            return frame
        if ethertype == 0x0800:
            if checksum(bytes(data[ip:l4])) == 0:
                data[ip + 10:ip + 12] = b'\0\0'
            data[ip + 4:ip + 6] = b'\0\0'
        data[l4:l4 + 2] = b'\0\0'
        if protocol == 6:
            data[l4 + 16:l4 + 18] = b'\0\0'
    except (IndexError, struct.error):
        pass    # too short to be a tunnel packet: compared as it is
    return data.hex()


def _mask_udp_checksum(data, l4, addresses):
    if data[l4 + 6:l4 + 8] == b'\0\0':
        return
    pseudo_header = addresses + struct.pack('>HH', 17, len(data) - l4)
    if checksum(pseudo_header + bytes(data[l4:])) == 0:
        data[l4 + 6:l4 + 8] = b'\0\0'


def frames_of(out, port, ordered, ignore):
    frames = [f[1] if isinstance(f, list) else f for f in out.get(port, [])]
    frames = [mask_tunnel_noise(f) for f in frames if f not in ignore]
    return frames if ordered else sorted(frames)


def compare(a, b, any_order=(), ignore=()):
    """Differences as (step number, input, port, frames of a, frames of b).

    `any_order` names ports on which the frames of one step have no defined order; True means all.
    `ignore` lists frames that timers send, not packets: they may appear anywhere.
    """
    differences = []
    for number, (x, y) in enumerate(zip(a['steps'], b['steps'])):
        for port in sorted(set(x['out']) | set(y['out'])):
            ordered = any_order is not True and port not in (any_order or ())
            left, right = [frames_of(side['out'], port, ordered, ignore) for side in (x, y)]
            if left != right:
                differences.append((number, x['in'], port, left, right))
    if len(a['steps']) != len(b['steps']):
        differences.append((-1, 'number of steps', '', [str(len(a['steps']))],
                            [str(len(b['steps']))]))
    return differences
