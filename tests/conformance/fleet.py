# SPDX-License-Identifier: Apache-2.0
"""Generated scenarios in numbers: both sides of each at the same time, and a failing one made
small.

Shrinking drops packets, then configuration, as long as sluice and the reference still differ,
and writes what is left as a SPEC that anyone can play.
"""
import concurrent.futures
import json
import os
import subprocess
import sys

from compare import compare, words_of
from generate import generate

HERE = os.path.dirname(os.path.abspath(__file__))


class Fleet:
    """Plays SPECs on two commands; `sides` are command lines that take SPEC and -o OUT."""

    def __init__(self, folder, sides, expected):
        self.folder, self.sides = folder, sides
        self.expected = expected    # texts of lines that a purposeful difference must contain

    def play(self, spec, name):
        """The differences, or a text when a side failed.

        The reference loses a packet now and then (about one in a thousand on a busy machine), so a
        difference is believed only if it is there again, or if sluice itself did not do the same
        thing twice.
        """
        earlier = []
        for _ in range(3):
            result = self.play_once(spec, name)
            if isinstance(result, str):
                return result
            reference, own = result
            found = self.differences(spec, reference, own)
            if not found:
                break
            earlier.append(own)
        unsteady = [d for before in earlier for d in self.differences(spec, before, own)]
        return found or unsteady

    def differences(self, spec, left, right):
        return [d for d in compare(left, right, **words_of(spec)) if not self.expected(d)]

    def play_once(self, spec, name):
        """What came out of (reference, sluice), or a text when a side failed."""
        path = '%s/%s.json' % (self.folder, name)
        with open(path, 'w') as file:
            json.dump(spec, file)
        outs = ['%s/%s.%s.json' % (self.folder, name, side) for side in 'ab']
        running = [subprocess.Popen([sys.executable, *side, path, '-o', out], text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                   for side, out in zip(self.sides, outs)]
        said = [process.communicate()[0] for process in running]
        for process, text, side in zip(running, said, ('reference', 'sluice')):
            if process.returncode != 0:
                last = text.strip().splitlines()
                return '%s: %s' % (side, last[-1] if last else process.returncode)
        loaded = []
        for out in outs:
            with open(out) as file:
                loaded.append(json.load(file))
            os.unlink(out)
        os.unlink(path)
        return loaded

    def fails(self, spec, name):
        """Whether the sides differ, for good reasons or because sluice died."""
        result = self.play(spec, name)
        return bool(result) and not (isinstance(result, str) and result.startswith('reference'))

    def shrink(self, spec, name, first=None):
        """A smaller SPEC that still fails. `first` is the first step that differs, if known."""
        steps = spec['packets']
        if first is not None and 0 <= first < len(steps) - 1:
            trial = dict(spec, packets=steps[:first + 1])
            if self.fails(trial, name):
                spec = trial
        for key in ('packets', 'nb'):
            spec = dict(spec, **{key: self.reduce(spec, key, name)})
        return spec

    def reduce(self, spec, key, name):
        """Drops ever smaller runs of entries of spec[key]."""
        items, size = list(spec[key]), max(1, len(spec[key]) // 2)
        while True:
            at = 0
            while at < len(items):
                trial = items[:at] + items[at + size:]
                if (trial or key == 'nb') and self.fails(dict(spec, **{key: trial}), name):
                    items = trial
                else:
                    at += size
            if size == 1:
                return items
            size //= 2

    def run(self, seeds, count, jobs, report):
        """Plays all seeds; `report(seed, result)` in order, where [] means equal."""
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            played = pool.map(lambda seed: self.play(generate(seed, count), 'gen-%d' % seed), seeds)
            for seed, result in zip(seeds, played):
                report(seed, result)


def describe(result):
    """Lines about the differences of one scenario, the first few."""
    if isinstance(result, str):
        return [result]
    lines = []
    for number, given, port, left, right in result[:4]:
        lines.append('step %d in=%s port %s' % (number, json.dumps(given)[:300], port))
        lines += ['   reference %s' % frame for frame in left or ['(nothing)']]
        lines += ['   sluice    %s' % frame for frame in right or ['(nothing)']]
    if len(result) > 4:
        lines.append('and %d more' % (len(result) - 4))
    return lines


def play_generated(args, sides, expected, folder):
    """The command behind run.py --generated; the number of failures."""
    fleet = Fleet(folder, sides, expected)
    keep = args.keep or os.getcwd()
    os.makedirs(keep, exist_ok=True)
    failed = []

    def report(seed, result):
        packets = sum(isinstance(s, list) or 'answer' in s
            for s in generate(seed, args.packets)['packets'])
        bad = 1 if isinstance(result, str) else len({d[0] for d in result})
        print('%-24s %8d %10s %10d %12d' % ('seed %d' % seed, packets, '', packets - bad, bad),
              flush=True)
        if not result:
            return
        failed.append(seed)
        for line in describe(result):
            print('    ' + line)
        if args.shrink and len(failed) <= args.shrink:
            first = None if isinstance(result, str) else min(d[0] for d in result)
            path = '%s/shrunk-%d.json' % (keep, seed)
            spec = fleet.shrink(generate(seed, args.packets), 'shrink-%d' % seed, first)
            with open(path, 'w') as file:
                json.dump(spec, file, indent=1)
            print('    shrunk to %d packets and %d lines; play it with:\n'
                  '    %s/run.py --spec %s' % (len(spec['packets']), len(spec['nb']), HERE, path))

    fleet.run(range(args.seed, args.seed + args.generated), args.packets, args.jobs, report)
    print('%d passed, %d failed%s' % (args.generated - len(failed), len(failed), ''.join(
        ' %d' % seed for seed in failed[:20])))
    return len(failed)
