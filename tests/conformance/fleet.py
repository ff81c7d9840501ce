# SPDX-License-Identifier: Apache-2.0
"""Generated scenarios in numbers: each on sluice, then on the reference, and a verdict.

The reference is made to choose as sluice chose (choices.py). A difference is explained only if
  * expected_differences.json has it, or
  * the reference gave the packet up, or died of it, and said so (Reference.excuses), or
  * the packet opens a closed connection again (reopened.py), or
  * it is a fragment that comes for the third time (repeated.py), or
  * it is an ICMP error that a hash leads elsewhere than its conversation (detours.py);
the packets concerned are then taken out and everything is played again, because what follows may
depend on them: the rest must be equal. For any other difference the reference is played again with
the very same input, because it loses a packet now and then on a busy machine: what sluice did in
its only run must then be equal to a whole run of the reference.
"""
import concurrent.futures
import dataclasses
import json
import os
import subprocess
import sys

from compare import compare, words_of
from detours import WHY as DETOUR, is_detoured
from generate import generate
from purpose import reason
from reopened import WHY, is_reopened
from repeated import WHY as REPEATED, is_repeated
from shrink import shrink

HERE = os.path.dirname(os.path.abspath(__file__))
IDLE_S = 25     # Open vSwitch forgets the first connections after 30 s
KINDS = ('equal', 'equal as sets', 'equal in a later run', 'explained', 'UNEXPLAINED')


@dataclasses.dataclass
class Verdict:
    """What came of one scenario."""
    unexplained: list = dataclasses.field(default_factory=list)     # as of compare()
    failure: str = ''               # what a side said that could not play
    explained: dict = dataclasses.field(default_factory=dict)   # kind -> packets taken out
    is_steered: bool = False        # the reference was made to choose as sluice did
    runs: int = 1                   # of the reference with the same packets
    earlier: list = dataclasses.field(default_factory=list)     # differences of those that lost

    def is_good(self):
        return not self.unexplained and not self.failure

    def kind(self):
        if not self.is_good():
            return 'UNEXPLAINED'
        if self.explained:
            return 'explained'
        if self.runs > 1:
            return 'equal in a later run'
        return 'equal as sets' if self.is_steered else 'equal'


class SideFailed(RuntimeError):
    """One side could not play at all."""


class Fleet:
    """Plays SPECs on two commands that take SPEC and -o OUT."""

    rounds = 10     # of taking out what is explained

    def __init__(self, folder, reference, sluice, runs=3):
        self.folder, self.reference, self.sluice, self.runs = folder, reference, sluice, runs

    def judge(self, spec, name):
        verdict = Verdict()
        try:
            for _ in range(self.rounds):
                rest = self.judge_packets(spec, name, verdict)
                if rest is None:
                    return verdict
                spec = rest
            verdict.failure = 'there is no end of explained differences'
        except SideFailed as failure:
            verdict.failure = str(failure)
        return verdict

    def judge_packets(self, spec, name, verdict):
        """One round: None when the verdict stands, else the SPEC without what is explained."""
        own = self.play_in_time(spec, name)
        verdict.is_steered |= any('chosen' in step for step in own['steps'])
        for number in range(1, self.runs + 1):
            verdict.runs = max(verdict.runs, number)
            reference = self.play(self.reference, 'reference', spec, name, own)
            found = self.differences(spec, reference, own)
            explained = {step: why for step, why
                         in self.explain(own, reference, found, spec).items() if step >= 0}
            if not found or explained:
                break
            verdict.earlier += found
        if found and not explained:
            found = self.try_members(spec, name, own, reference, found)
            if not found:
                verdict.is_steered, verdict.runs = True, 1
        for why in explained.values():
            verdict.explained[why] = verdict.explained.get(why, 0) + 1
        if not explained or (len(explained) == len({d[0] for d in found})
                             and not self.has_excuses(reference, explained) and WHY not in explained.values()):
            verdict.unexplained = [d for d in found if d[0] not in explained]
            return None
        return dict(spec, packets=[step for number, step in enumerate(spec['packets'])
                                   if number not in explained])

    def play_in_time(self, spec, name):
        """sluice's run, in less time than the idle connections of a conversation live."""
        for _ in range(self.runs):
            own = self.play(self.sluice, 'sluice', spec, name)
            if own.get('timings_s', {}).get('played', 0) < IDLE_S:
                break
        return own

    def try_members(self, spec, name, own, reference, found):
        """What still differs when the reference makes the choices that cannot be read.

        A choice leaves no trace if nothing comes of it, as when NAT to the chosen backend finds no
        free tuple. So for the first step that differs, members are tried one after the other.
        """
        steps, tried = list(own['steps']), set()
        while found and found[0][0] >= 0:
            at = min(d[0] for d in found)
            if at in tried or 'chosen' in steps[at]:
                break
            tried.add(at)
            for member in reference.get('members', []):
                trial = list(steps)
                trial[at] = dict(steps[at], chosen=[member])
                again = self.differences(spec, self.play(
                    self.reference, 'reference', spec, name, dict(own, steps=trial)), own)
                if not again or min(d[0] for d in again) > at:
                    steps, found = trial, again
                    break
        return found

    @staticmethod
    def has_excuses(reference, steps):
        return any('excuses' in reference['steps'][number] for number in steps)

    @staticmethod
    def explain(own, reference, found, spec):
        """{step: why} of the steps whose every difference is explained."""
        whys, sides = {}, (reference['steps'], own['steps'])
        for difference in found:
            step = difference[0]
            excuses = reference['steps'][step].get('excuses') if step >= 0 else None
            why = 'reference: ' + excuses[0] if excuses else reason(difference)
            if not why and step >= 0 and is_reopened(own['steps'], step, *difference[3:]):
                why = WHY
            if not why and step >= 0 and is_repeated(own['steps'], step, *difference[3:]):
                why = REPEATED
            if not why and step >= 0 and is_detoured(sides, step, *difference[3:],
                                                     spec.get('alternatives', ())):
                why = DETOUR
            whys.setdefault(step, []).append(why)
        return {step: texts[0] for step, texts in whys.items() if all(texts)}

    @staticmethod
    def differences(spec, reference, own):
        if reference.get('died'):       # of the last packet that it played
            last = len(reference['steps']) - 1
            own = dict(own, steps=own['steps'][:last + 1])
            found = compare(reference, own, **words_of(spec))
            return found or [(last, own['steps'][last]['in'], 'none', ['it died'], [])]
        return compare(reference, own, **words_of(spec))

    def play(self, command, side, spec, name, like=None):
        """What came out of one side; `like` is what the other side made of it before."""
        files = ['%s/%s.%s' % (self.folder, name, what) for what in ('json', 'out', 'like')]
        command = [sys.executable, *command, files[0], '-o', files[1]]
        if like:
            command += ['--like', files[2]]
        for path, content in ((files[0], spec), (files[2], like)):
            with open(path, 'w') as file:
                json.dump(content, file)
        try:
            done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            if done.returncode != 0:
                raise SideFailed('%s: %s' % (side, (done.stdout.strip().splitlines()
                                                    or [done.returncode])[-1]))
            with open(files[1]) as file:
                return json.load(file)
        finally:
            for path in files:
                if os.path.exists(path):
                    os.unlink(path)

    def run(self, seeds, count, jobs, report):
        """Judges all seeds; `report(seed, verdict)` in order."""
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            judged = pool.map(lambda seed: self.judge(generate(seed, count), 'gen-%d' % seed),
                              seeds)
            for seed, verdict in zip(seeds, judged):
                report(seed, verdict)


def describe(failure, differences):
    """Lines about what is not explained, the first few."""
    lines = [failure] if failure else []
    for number, given, port, left, right in differences[:4]:
        lines.append('step %d in=%s port %s' % (number, json.dumps(given)[:300], port))
        lines += ['   reference %s' % frame for frame in left or ['(nothing)']]
        lines += ['   sluice    %s' % frame for frame in right or ['(nothing)']]
    if len(differences) > 4:
        lines.append('and %d more' % (len(differences) - 4))
    return lines


class Report:
    """Prints verdicts as they come and counts them."""

    def __init__(self, args, fleet):
        self.args, self.fleet = args, fleet
        self.keep = args.keep or os.getcwd()
        self.seeds, self.packets = {kind: [] for kind in KINDS}, {}

    def __call__(self, seed, verdict):
        kind = verdict.kind()
        self.seeds[kind].append(seed)
        out = sum(verdict.explained.values())
        bad = len({d[0] for d in verdict.unexplained}) or bool(verdict.failure)
        print('%-24s %8d %10d %12d  %s' % ('seed %d' % seed, self.args.packets, out, bad, kind),
              flush=True)
        for why, count in verdict.explained.items():
            self.packets[why] = self.packets.get(why, 0) + count
        if verdict.is_good():
            if verdict.earlier and self.args.verbose:
                print('\n'.join(describe('    an earlier run:', verdict.earlier)))
            return
        for line in describe(verdict.failure, verdict.unexplained):
            print('    ' + line, flush=True)
        if len(self.seeds[kind]) <= self.args.shrink:
            self.leave_small(seed)

    def leave_small(self, seed):
        path = '%s/shrunk-%d.json' % (self.keep, seed)
        spec = shrink(generate(seed, self.args.packets), self.fleet, 'shrink-%d' % seed)
        if spec is None:
            print('    it was gone when played again')
            return
        with open(path, 'w') as file:
            json.dump(spec, file, indent=1)
        print('    shrunk to %d packets and %d lines; play it with:\n    %s/run.py --spec %s'
              % (len(spec['packets']), len(spec['nb']), HERE, path), flush=True)

    def end(self):
        """The summary; the number of failures."""
        print('verdicts: ' + ', '.join('%d %s' % (len(seeds), kind)
                                       for kind, seeds in self.seeds.items()))
        for why, count in sorted(self.packets.items()):
            print('    %d packets taken out: %s' % (count, why))
        bad = self.seeds['UNEXPLAINED']
        print('%d passed, %d failed%s' % (self.args.generated - len(bad), len(bad), ''.join(
            ' %d' % seed for seed in bad[:20])))
        return len(bad)


def play_generated(args, sides, folder):
    """The command behind run.py --generated; the number of failures."""
    fleet = Fleet(folder, *sides)
    report = Report(args, fleet)
    os.makedirs(report.keep, exist_ok=True)
    print('%-24s %8s %10s %12s  %s' % ('scenario', 'packets', 'taken out', 'unexplained',
                                       'verdict'), flush=True)
    fleet.run(range(args.seed, args.seed + args.generated), args.packets, args.jobs, report)
    return report.end()
