# SPDX-License-Identifier: Apache-2.0
"""Choices by hash: what sluice chose, and a reference that is made to choose the same.

Which backend of a load balancer a connection gets is nobody's promise, so two implementations differ,
and with the backend everything that follows: addresses, the router's MAC, TTL, the port, the
zones that are asked. Instead of masking all that, sluice is played first and its connection table is
read after each packet; the reference is then played with its groups cut down, before each
packet, to the members that sluice took for that packet. Frames are compared as they are. A member
that the reference does not have is nothing it could be made to choose, and shows up as a
difference.
"""
import ipaddress
import re
import struct
import subprocess

_ENTRY = re.compile(r'(\w+),orig=\(src=([^,]+),dst=([^,]+),(.*?)\),reply=\(src=([^,]+),dst=[^,]+,'
                    r'(.*?)\)')
_BUCKET_DST = re.compile(r'nat\(dst=(?:\[([0-9a-f:]+)\]|([0-9.]+)|([0-9a-f:]+))(?::(\d+))?\)')
_PROTOCOLS = {1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6', 132: 'sctp'}


def packed(address):
    return ipaddress.ip_address(address).packed.hex()


def _port(words, name):
    found = re.search(r'\b%s=(\d+)' % name, words)
    return int(found.group(1)) if found else 0


def translated(text):
    """{(protocol, source, destination, ports) of the original direction: (backend, port)} of a dump of
    connections: those whose destination was translated. Addresses and ports are hex."""
    found = {}
    for protocol, source, destination, ports, backend, answers in _ENTRY.findall(text):
        if destination != backend:
            flow = (protocol, packed(source), packed(destination),
                    '%04x%04x' % (_port(ports, 'sport'), _port(ports, 'dport')))
            found.setdefault(flow, set()).add((packed(backend), _port(answers, 'sport')))
    return found


def flow_of(frame):
    """(protocol, source, destination, ports) of a frame in hex; None when it is no IP."""
    data = bytes.fromhex(frame)
    try:
        at = 12
        while data[at:at + 2] == b'\x81\x00':
            at += 4
        kind, at = struct.unpack_from('>H', data, at)[0], at + 2
        if kind == 0x0800:
            protocol, l4, ends = data[at + 9], at + (data[at] & 15) * 4, data[at + 12:at + 20]
        elif kind == 0x86dd:
            protocol, l4, ends = data[at + 6], at + 40, data[at + 8:at + 40]
        else:
            return None
    except (IndexError, struct.error):
        return None
    half = len(ends) // 2
    return (_PROTOCOLS.get(protocol, str(protocol)), ends[:half].hex(), ends[half:].hex(), data[l4:l4 + 4].hex())


def is_icmp(frame):
    flow = flow_of(frame)
    return flow is not None and flow[0].startswith('icmp')


class Recorder:
    """Reads from a connection table what was chosen for each packet."""

    def __init__(self, dump):
        self.dump, self.known = dump, {}

    def after(self, frame):
        """[[backend, port]...] for the packet just played: what is new, and what the packet's own
        connection has (one that opens anew is balanced anew)."""
        now = translated(self.dump())
        chosen = set()
        for flow, members in now.items():
            chosen |= members - self.known.get(flow, set())
        self.known = now
        own = flow_of(frame)
        if own:
            for ports in (own[3], '00000000'):      # an SCTP connection is one of addresses
                chosen |= now.get((*own[:3], ports), set())
        return sorted(map(list, chosen))


class Steering:
    """Cuts the groups of one bridge of the reference down to given members."""

    def __init__(self, bridge, env, purge):
        self.bridge, self.env, self.purge = bridge, env, purge
        self.groups = {}        # text before the buckets -> buckets [(address, port), text]
        self.taken = {}         # text before the buckets -> the members it has now, None: all

    def ofctl(self, *words):
        return subprocess.run(['ovs-ofctl', '-O', 'OpenFlow15', words[0], 'unix:' + self.bridge,
                               *words[1:]], env=self.env, check=True, capture_output=True,
                              text=True).stdout

    def read(self):
        for line in self.ofctl('dump-groups').splitlines():
            head, *buckets = line.strip().split(',bucket=')
            if head.startswith('group_id=') and len(buckets) > 1:
                self.groups[head] = [(self.member(text), text) for text in buckets]

    @staticmethod
    def member(bucket):
        found = _BUCKET_DST.search(bucket)
        if not found:
            return None
        address = found.group(1) or found.group(2) or found.group(3)
        return packed(address), int(found.group(4) or 0)

    @staticmethod
    def is_member(member, chosen):
        return member is not None and any(member[0] == address and (port == member[1] or not port
                                                                    or not member[1])
                                          for address, port in chosen)

    def members(self):
        """All that a choice may be about."""
        return sorted({member for buckets in self.groups.values() for member, _ in buckets
                       if member})

    def before(self, chosen):
        """Makes groups that have some of these members have no others. True if one was changed."""
        changed = False
        for head, buckets in self.groups.items():
            wanted = [text for member, text in buckets if self.is_member(member, chosen)]
            if wanted and self.taken.get(head) != wanted:
                self.ofctl('mod-group', ',bucket='.join([head, *wanted]))
                self.taken[head], changed = wanted, True
        if changed:
            self.purge()        # cached decisions of the datapath
        return changed
