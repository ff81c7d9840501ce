# SPDX-License-Identifier: Apache-2.0
"""Where sluice differs from the reference on purpose: expected_differences.json.

Every entry has what differs, the reason and the text that supports it. It forgives a difference
  * by "same_after": [PATTERN, REPLACEMENT], if both sides' frames are equal once rewritten so; or
  * by "reference" and "sluice", patterns that all frames of the step on that port (joined by a space)
    match, each side its own;
  * by "pair", a pattern for the reference's frames, " > " and sluice's;
all optionally for one "case" and for ports that match "port" only.
"""
import functools
import json
import os
import re

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'expected_differences.json')


@functools.lru_cache(None)
def entries():
    with open(PATH) as file:
        return json.load(file)


def forgives(entry, port, left, right):
    if not re.fullmatch(entry.get('port', '.*'), port):
        return False
    if 'same_after' in entry:
        pattern, replacement = entry['same_after']
        rewritten = [[re.sub('^' + pattern + '$', replacement, frame) for frame in side]
                     for side in (left, right)]
        return rewritten[0] == rewritten[1]
    if 'pair' in entry:
        return bool(re.fullmatch(entry['pair'], ' > '.join(map(' '.join, (left, right)))))
    return all(re.fullmatch(entry[side], ' '.join(frames))
               for side, frames in (('reference', left), ('sluice', right)))


def reason(difference, name=None):
    """What a difference (compare.py) of the case `name` is, if it is one of those; else None."""
    _, _, port, left, right = difference
    return next((entry['what'] for entry in entries()
                 if entry.get('case', name) == name and forgives(entry, port, left, right)), None)


def is_expected(difference, name=None):
    return reason(difference, name) is not None
