# SPDX-License-Identifier: Apache-2.0
"""A fragment that comes for the third time while its packet is not whole.

Open vSwitch 3.1 holds fragments by zone. The first waits in the first zone that is asked, the second is
invalid there and waits in the next, and the third is invalid in both: where no flow drops what is
invalid it leaves, past all NAT. sluice drops it as it drops the second.
"""
from choices import flow_of

WHY = 'the reference forwards, untranslated, a fragment that comes for the third time'


def is_fragment(frame):
    """Of IPv4 without tags, and not the first: what generated packets have."""
    return frame[24:28] == '0800' and int(frame[40:44] or '0', 16) & 0x1fff != 0


def is_repeated(steps, number, left, right):
    """Whether sluice has lost a fragment that was sent at least twice before."""
    given = steps[number]['in']
    if not isinstance(given, list) or right or not left or flow_of(given[1]) is None:
        return False
    before = sum(step['in'] == given for step in steps[:number])
    return before >= 2 and is_fragment(given[1])
