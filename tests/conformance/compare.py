# SPDX-License-Identifier: Apache-2.0
"""Judges two outputs of the same scenario, frame by frame."""
import re
import struct

_UUID = re.compile('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
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


def _ether_ip(data):
    """(ethertype, offset of what follows it), past 802.1Q tags."""
    at = 12
    while data[at:at + 2] == b'\x81\x00':
        at += 4
    return struct.unpack_from('>H', data, at)[0], at + 2


def _is_garp(data):
    kind, at = _ether_ip(data)
    return kind == 0x0806 and data[at + 14:at + 18] == data[at + 24:at + 28]


def _is_icmp6(data, *types):
    kind, at = _ether_ip(data)
    if kind != 0x86dd:
        return False
    l4 = at + 40
    if data[at + 6] == 0:       # MLD comes behind a hop-by-hop header
        return data[l4] == 58 and data[l4 + (data[l4 + 1] + 1) * 8] in types
    return data[at + 6] == 58 and data[l4] in types


def _is_igmp_query(data):
    kind, at = _ether_ip(data)
    return kind == 0x0800 and data[at + 9] == 2 and data[at + (data[at] & 15) * 4] == 0x11


def _is_bfd(data):
    """BFD, as it is or in a Geneve tunnel."""
    kind, at = _ether_ip(data)
    if kind != 0x0800 or data[at + 9] != 17:
        return False
    port, payload = data[at + 22:at + 24], at + 28
    if port == b'\x17\xc1':
        return _is_bfd(data[payload + 8 + (data[payload] & 63) * 4:])
    return port == b'\x0e\xc8'


KINDS = {
    'garp': _is_garp,       # announcements, with ARP's or RARP's type
    'rarp': lambda data: _ether_ip(data)[0] == 0x8035,
    'na': lambda data: _is_icmp6(data, 136) and data[0] == 0x33,
    'ra': lambda data: _is_icmp6(data, 134) and data[0] == 0x33,
    'igmp_query': _is_igmp_query,
    'mld_query': lambda data: _is_icmp6(data, 130),
    'bfd': _is_bfd,
    # Probes of the service monitor where options:svc_monitor_mac says so: random ports and numbers.
    'probe': lambda data: data[6:12] == bytes.fromhex('00000000fe01'),
}


def is_kind(frame, kinds):
    """Whether a frame (hex) is one of those that timers send: names of KINDS."""
    data = bytes.fromhex(frame)
    try:
        return any(KINDS[kind](data) for kind in kinds)
    except (IndexError, struct.error):
        return False


def mask_checksums(frame):
    """Zeroes the checksums of IP and of the transport behind it where they are right."""
    data = bytearray.fromhex(frame)
    try:
        kind, at = _ether_ip(data)
        if kind == 0x0800:
            l4, protocol, addresses = at + (data[at] & 15) * 4, data[at + 9], data[at + 12:at + 20]
            if checksum(bytes(data[at:l4])) == 0:
                data[at + 10:at + 12] = b'\0\0'
            end = at + struct.unpack_from('>H', data, at + 2)[0]
        elif kind == 0x86dd:
            l4, protocol, addresses = at + 40, data[at + 6], data[at + 8:at + 40]
            end = l4 + struct.unpack_from('>H', data, at + 4)[0]
        else:
            return frame
        place = {6: 16, 17: 6, 58: 2}.get(protocol)
        if place is not None and len(data) >= l4 + place + 2:
            pseudo = bytes(addresses) + struct.pack('>HH', protocol, end - l4)
            if checksum(pseudo + bytes(data[l4:end])) == 0:
                data[l4 + place:l4 + place + 2] = b'\0\0'
    except (IndexError, struct.error):
        pass
    return data.hex()


class Judge:
    """Brings one step's output into the form that is compared.

    any_order     ports on which the frames of one step have no defined order; True means all
    ignore        frames that timers send, not packets: they may appear anywhere
    ignore_kinds  the same by kind, see KINDS
    alternatives  choices by hash, which two implementations make differently: each is
                  {"ports": [...], "words": [[hex...]...]}, one list of words (MAC, address, port) per
                  member; every member is written as the first one
    """

    def __init__(self, any_order=(), ignore=(), ignore_kinds=(), alternatives=()):
        self.any_order, self.ignore, self.ignore_kinds = any_order, set(ignore), list(ignore_kinds)
        self.alternatives = list(alternatives)

    def port_name(self, port):
        for choice in self.alternatives:
            if port in choice.get('ports', ()):
                return '|'.join(choice['ports'])
        return port

    def canonical(self, frame):
        frame = mask_tunnel_noise(frame)
        if self.alternatives:
            frame = mask_checksums(frame)
        for choice in self.alternatives:
            first = choice['words'][0]
            for member in choice['words'][1:]:
                for own, canonical in zip(member, first):
                    frame = frame.replace(own, canonical)
        return frame

    def output(self, out):
        """{port: frames} as compared."""
        result = {}
        for port, frames in out.items():
            if port.startswith(('sb:', 'log:')):
                result[port] = [_UUID.sub('<uuid>', text) for text in frames]
                if port.startswith('sb:'):      # in the order of what is left of them
                    result[port].sort()
                continue
            hexes = [f[1] if isinstance(f, list) else f for f in frames]
            kept = [self.canonical(f) for f in hexes
                    if f not in self.ignore and not (self.ignore_kinds
                                                     and is_kind(f, self.ignore_kinds))]
            if kept:
                result.setdefault(self.port_name(port), []).extend(kept)
        for port, frames in result.items():
            grouped = '|' in port
            if grouped or self.any_order is True or port in (self.any_order or ()):
                frames.sort()
        return result


def inconsistent(side, members):
    """Steps that got another output than the very same frame just before: a choice must stick."""
    found, seen = [], {}
    for number, step in enumerate(side['steps']):
        given = step['in']
        if not isinstance(given, list):
            seen = {}           # configuration or time may change what comes out
            continue
        key = tuple(given[:2])
        ports = sorted(members & set(step['out']))
        if seen.setdefault(key, ports) != ports:
            found.append((number, given, 'consistency', [' '.join(seen[key]) or '-'],
                          [' '.join(ports) or '-']))
    return found


def compare(a, b, any_order=(), ignore=(), ignore_kinds=(), alternatives=()):
    """Differences as (step number, input, port, frames of a, frames of b); words as in Judge."""
    judge = Judge(any_order, ignore, ignore_kinds, alternatives)
    differences = []
    for number, (x, y) in enumerate(zip(a['steps'], b['steps'])):
        left, right = judge.output(x['out']), judge.output(y['out'])
        for port in sorted(set(left) | set(right)):
            if left.get(port, []) != right.get(port, []):
                differences.append((number, x['in'], port, left.get(port, []),
                                    right.get(port, [])))
    if alternatives:
        members = {port for choice in alternatives for port in choice.get('ports', ())}
        known = {d[0] for d in inconsistent(a, members)}
        differences += [d for d in inconsistent(b, members) if d[0] not in known]
    if len(a['steps']) != len(b['steps']):
        differences.append((-1, 'number of steps', '', [str(len(a['steps']))],
                            [str(len(b['steps']))]))
    return differences


def words_of(spec):
    """What a scenario says about how it is judged."""
    return {key: spec[key] for key in ('any_order', 'ignore', 'ignore_kinds', 'alternatives')
            if key in spec}
