# SPDX-License-Identifier: Apache-2.0
"""A TCP connection that opens again: the one difference that no text of Open vSwitch tells.

Open vSwitch 3.1 lets the closed connection expire but keeps its twin, the one by which answers are
found, until the next sweep, some seconds later. With NAT the new connection gets another port;
without, the SYN is neither new nor established to flows, which drop it where an ACL says so. sluice
forgets both at once: the port is free again, and the SYN is new.
"""
from choices import flow_of
from compare import mask_checksums

WHY = 'the reference keeps the NAT port of a connection that opens again'
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16


def tcp_flags(frame):
    """The flags of a TCP packet over IP without tags or options, else 0."""
    flow = flow_of(frame)
    if not flow or flow[0] != 'tcp':
        return 0
    at = 14 + (20 if frame[24:28] == '0800' else 40)
    return int(frame[2 * at + 26:2 * at + 28] or '0', 16)


def _without_source_port(frame):
    at = 2 * (14 + (20 if frame[24:28] == '0800' else 40))
    return mask_checksums(frame)[:at] + '....' + mask_checksums(frame)[at + 4:], frame[at:at + 4]


def is_reopened(steps, number, left, right):
    """Whether step `number` of sluice's opens a closed connection again, and the reference has lost
    it, or the frames of the two sides differ in nothing but the source port, which is the sender's
    own in sluice's."""
    given = steps[number]['in']
    if not isinstance(given, list) or len(left) > 1 or len(right) != 1:
        return False
    flow = flow_of(given[1])
    if tcp_flags(given[1]) & (_SYN | _ACK) != _SYN:
        return False
    closed = any(isinstance(step['in'], list) and flow_of(step['in'][1]) == flow
                 and tcp_flags(step['in'][1]) & (_FIN | _RST) for step in steps[:number])
    if not closed or not left:
        return closed
    theirs, their_port = _without_source_port(left[0])
    own, own_port = _without_source_port(right[0])
    return theirs == own and own_port == flow[3][:4] != their_port
