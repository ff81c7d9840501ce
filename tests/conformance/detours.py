# SPDX-License-Identifier: Apache-2.0
"""An ICMP error that is lost because it takes another next hop than the packets it is about.

Routes with several next hops choose by hash, and an ICMP error has other fields than the conversation
it quotes. When the ports of both are tracked, the zone of the error's port knows nothing of the
conversation, and the error is invalid there. Both implementations do this to the same share of
conversations, but not to the same ones: hashes differ.
"""
from choices import flow_of, is_icmp

WHY = 'an ICMP error takes another next hop than its conversation, by hash'
_ERRORS = {'0800': (3, 11, 12), '86dd': (1, 2, 3, 4)}


def quoted_flow(frame):
    """Of the packet that an ICMP error without tags and options quotes, else None."""
    kind = frame[24:28]
    at = 2 * (14 + (20 if kind == '0800' else 40))
    if not is_icmp(frame) or int(frame[at:at + 2] or '0', 16) not in _ERRORS.get(kind, ()):
        return None
    return flow_of(frame[:28] + frame[at + 16:])


def next_hops(steps, number, flow, ports):
    """Those of `ports` that packets of the flow left by before the step."""
    return {port for step in steps[:number] for port in ports
            if any(flow_of(frame) == flow for frame in step['out'].get(port, ()))}


def is_detoured(sides, number, left, right, alternatives):
    """Whether one of the two sides has lost this error for that reason: the other has sent it where
    it had sent the conversation."""
    given = sides[0][number]['in']
    quoted = quoted_flow(given[1]) if isinstance(given, list) else None
    if not quoted or len(left) + len(right) != 1:
        return False
    kind, source, target, ports = quoted
    flow = (kind, target, source, ports[4:] + ports[:4])
    sender, loser = sides if left else reversed(sides)
    for members in (choice.get('ports', ()) for choice in alternatives):
        left_by = {port for port in members if sender[number]['out'].get(port)}
        if left_by and left_by <= next_hops(sender, number, flow, members) \
                and next_hops(loser, number, flow, members):
            return True
    return False
