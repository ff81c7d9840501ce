# SPDX-License-Identifier: Apache-2.0
"""A failing scenario made small: drops packets, then configuration, as long as it still fails.

A scenario fails by packets that differ, or by a side that gives up; the smaller one has to fail in
the same way, so that a network which nobody accepts is no reproduction of a lost packet.
"""
import copy
import re


def way(verdict):
    """How a scenario fails, without the numbers and paths of the run; None when it does not."""
    if verdict.is_good():
        return None
    return re.sub(r'[^a-z :]|/\S*', '', verdict.failure.lower()) or 'packets differ'


def shrink(spec, fleet, name):
    """A smaller SPEC that fails on `fleet` as this one does, or None if this one does not."""
    verdict = fleet.judge(spec, name)
    if verdict.is_good():
        return None
    quick = copy.copy(fleet)
    quick.runs = 1          # what is left at the end is judged in full

    def fails(trial, judges=quick):
        return way(judges.judge(trial, name)) == way(verdict)

    first = min((d[0] for d in verdict.unexplained), default=-1)
    small = dict(spec)
    if not verdict.explained and 0 <= first < len(spec['packets']) - 1:
        trial = dict(spec, packets=spec['packets'][:first + 1])
        if fails(trial):
            small = trial
    for key in ('packets', 'nb', 'packets'):
        small[key] = reduce(small[key], lambda items: fails(dict(small, **{key: items})))
    return small if fails(small, fleet) else spec


def reduce(items, fails):
    """What is left when ever smaller runs of items are dropped as long as `fails`."""
    size = max(1, len(items) // 2)
    while True:
        at = 0
        while at < len(items):
            trial = items[:at] + items[at + size:]
            if trial and fails(trial):
                items = trial
            else:
                at += size
        if size == 1:
            return items
        size //= 2
