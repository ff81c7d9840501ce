# SPDX-License-Identifier: Apache-2.0
"""Frames that two implementations made of the same packets: equal but for what is free to differ.

Free are the outer Geneve header's identification, source port and checksum value (not its presence),
the backend that a load balancer picks (a set, and every pick must be one of the backends), and the
source port that SNAT picks (a set without repetition for one peer). Every checksum inside must be
right, so nothing hides behind what is masked.
"""
import struct

GENEVE = struct.pack('!H', 6081)
BACKEND_OF = {'s6b', 's6c'}         # scenarios in which the destination is chosen
PORT_OF = {'s6a', 's6d'}            # scenarios in which the source port is chosen


def read_pcap(path, most=None):
    with open(path, 'rb') as file:
        data = file.read()
    at, out = 24, []
    while len(data) - at >= 16 and (most is None or len(out) < most):
        length = struct.unpack_from('=I', data, at + 8)[0]
        if at + 16 + length > len(data):
            break               # cut off while it was written
        out.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return out


def is_geneve(frame):
    return frame[12:14] == b'\x08\x00' and frame[23] == 17 and frame[36:38] == GENEVE


def without_outer_freedom(frame):
    if not is_geneve(frame):
        return frame
    checksum = b'\0\0' if frame[40:42] == b'\0\0' else b'CS'
    return (frame[:18] + b'\0\0' + frame[20:24] + b'\0\0' + frame[26:34] + b'\0\0' + frame[36:40]
            + checksum + frame[42:])


def of_packets(frame):
    """False for what a switch says of itself: its kernel's multicast, its search for neighbours."""
    return not (frame[12:14] == b'\x86\xdd' and frame[0:2] == b'\x33\x33') and (
        frame[12:14] != b'\x08\x06')


def _ones(data):
    data += b'\0' * (len(data) & 1)
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def checksum_error(frame):
    """'' when all checksums of an IPv4 frame are right, tunnels included."""
    if frame[12:14] != b'\x08\x00':
        return ''
    ip = frame[14:]
    header = (ip[0] & 15) * 4
    length = struct.unpack_from('!H', ip, 2)[0]
    payload, proto = ip[header:length], ip[9]
    if _ones(ip[:header]) != 0xffff:
        return 'IP checksum'
    pseudo = ip[12:20] + struct.pack('!HH', proto, len(payload))
    if proto == 6 and _ones(pseudo + payload) != 0xffff:
        return 'TCP checksum'
    if proto == 17 and payload[6:8] != b'\0\0' and _ones(pseudo + payload) != 0xffff:
        return 'UDP checksum'
    if is_geneve(frame):
        inner = checksum_error(payload[8 + 8 + (payload[8] & 63) * 4:])
        return inner and 'inner ' + inner
    return ''


class Sample:
    """The distinct frames of one side, with choices kept apart."""

    def __init__(self, scenario, frames):
        self.frames, self.choices, self.problems = set(), set(), []
        picks = {}
        for frame in set(frames):
            if not of_packets(frame):
                continue
            error = checksum_error(frame)
            if error:
                self.problems.append('wrong %s: %s' % (error, frame.hex()))
            frame = without_outer_freedom(frame)
            if scenario in BACKEND_OF:
                self.choices.add(frame[30:34])
                peer, pick = frame[26:30] + frame[34:36], frame[30:34]
                frame = frame[:24] + b'\0\0' + frame[26:30] + b'BACK' + frame[34:50] + b'\0\0' + frame[52:]
            elif scenario in PORT_OF:
                peer, pick = frame[30:34] + frame[34:38], frame[34:36]
                frame = frame[:34] + b'SP' + frame[36:50] + b'\0\0' + frame[52:]
                self.choices.add(peer)
            else:
                peer = None
            if peer is not None and picks.setdefault((peer, frame), pick) != pick:
                self.problems.append('two choices for one connection: ' + frame.hex())
            self.frames.add(frame)


def differences(scenario, ours, theirs):
    """Lines that say what is different; none when both are the same. Each is a list of frames."""
    a, b = Sample(scenario, ours), Sample(scenario, theirs)
    out = ['sluice: ' + p for p in a.problems] + ['reference: ' + p for p in b.problems]
    out += ['missing ' + f.hex() for f in sorted(b.frames - a.frames)]
    out += ['unexpected ' + f.hex() for f in sorted(a.frames - b.frames)]
    if scenario in BACKEND_OF and not out and a.choices - b.choices:
        # With a hundred flows the reference has picked every backend at least once.
        out.append('unknown backends: ' + ' '.join(c.hex() for c in a.choices - b.choices))
    if scenario in PORT_OF and len(a.choices) < len(a.frames):
        out.append('%d connections share %d translations' % (len(a.frames), len(a.choices)))
    return out, len(a.frames), len(b.frames)
