# SPDX-License-Identifier: Apache-2.0
"""Incumbent and sluice in turn on the same Southbound and the same packets, in paired windows."""
import collections
import os
import statistics
import time

from incumbent import Incumbent, vswitchd_path
from rig import Cores, Hugepages, Rig, tsc_hz
from scenarios import Scenario
from sides import plan
from sluice import KB_PER_MBUF, Sluice

# What a table of the README shows.
DEFAULT_POINTS = ['s1:1000,100000', 's2:1000,100000', 's2c:1000,100000', 's3:1000,100000',
                  's4:1000,100000', 's5:1000,100000', 's5b:1000,100000', 's6a:1000,100000',
                  's6b:1000,100000', 's6c:1000000', 's6d:1000000']
GLIMPSE_S = 0.6     # a window when settings are tried
SETTLE_S = 0.7      # after a turn begins: connections and caches are touched again

Result = collections.namedtuple('Result', 'scenario flows impl mpps cycles detail')


def points_of(words):
    """['s1:1000,100000', 's2'] -> [('s1', 1000), ('s1', 100000), ('s2', 1000)]"""
    out = []
    for word in words:
        name, _, counts = word.partition(':')
        default = '1000000' if name in ('s6c', 's6d') else '1000'
        out += [(name, int(n)) for n in (counts or default).split(',')]
    return out


def line_of(result):
    return '%s %d %s %.3f %.0f | %s' % result


def hugepages_for(options, sides, flows):
    """2 MB pages that the sides of one point need together."""
    return sides * (options.memory_mb + 256 + 2 * flows * KB_PER_MBUF // 1024) // 2 + 64


class Point:
    """One scenario with one number of flows, both sides up and warm."""

    def __init__(self, rig, options, name, flows, kinds):
        self.rig, self.options, self.flows = rig, options, flows
        self.scenario = Scenario(name)
        self.pcaps = self.scenario.make_pcaps(flows, rig.home('packets'))
        self.tracks = name.startswith(('s5', 's6'))
        self.ports = plan(self.scenario, self.pcaps)
        self.sides = [kind(rig, options) for kind in kinds]
        physical = {p.name: p.port for p in self.ports}
        self.counted = [physical[name] for name in self.scenario.count]

    def bring_up(self):
        # The incumbent last: its conntrack has been seen to fail an assertion after a stop of minutes.
        for side in reversed(self.sides):
            for other in self.sides:
                if other is not side and other.processes:
                    other.freeze()
            side.start(self.scenario, self.ports)
            time.sleep(1)
            side.warm_up(self.ports)
            self.require_traffic(side)
            new_connections = self.scenario.mode == 'cps'
            side.sweep(lambda side=side: self.new_connections(side) if new_connections else
                       side.window(self.counted, GLIMPSE_S), self.flows, self.tracks, new_connections)
            side.freeze()

    def require_traffic(self, side):
        end = time.monotonic() + 10
        before = side.sent(self.counted)[1]
        while side.sent(self.counted)[1] == before:
            if time.monotonic() > end:
                raise RuntimeError('%s: nothing leaves by %s' % (side.label, ', '.join(self.counted)))
            time.sleep(0.2)

    def turn(self, side):
        """One window of one side, the other one stopped."""
        side.thaw()
        try:
            time.sleep(SETTLE_S)
            side.clear_own()
            if self.scenario.mode == 'cps':
                return self.new_connections(side), side.own_cycles()
            return side.window(self.counted, self.options.window), side.own_cycles()
        finally:
            side.freeze()

    def new_connections(self, side):
        """Counts while every packet makes a connection: from an empty table, until three quarters of
        the packets have been seen once."""
        source = next(p for p in self.ports if p.how == 'rx')
        side.replug(source, 'null')
        side.flush_connections()
        end = time.monotonic() + 60
        while side.connections():
            if time.monotonic() > end:
                raise RuntimeError(side.label + ': the connection table does not empty')
            time.sleep(0.1)
        base = side.sent(self.counted)[1]
        side.replug(source, 'device')
        t0, first = side.sent(self.counted)
        while first <= base:
            t0, first = side.sent(self.counted)
        t1, now = t0, first
        while now - base < 0.6 * self.flows and t1 - t0 < 20:
            time.sleep(0.01)
            t1, now = side.sent(self.counted)
        if now - base > self.flows:
            raise RuntimeError('%s: all %d connections were made before the clock was read twice; '
                               'use more' % (side.label, self.flows))
        return (now - first) / (t1 - t0) / 1e6

    def measure(self):
        """Rounds of A B A B ..., so that what the machine does besides hits both alike."""
        windows = {side: [] for side in self.sides}
        details = {}
        for _ in range(self.options.rounds):
            for side in self.sides:
                mpps, details[side] = self.turn(side)
                windows[side].append(mpps)
        results = []
        for side in self.sides:
            median = statistics.median(windows[side])
            detail = 'min=%.3f max=%.3f windows=%d %s' % (
                min(windows[side]), max(windows[side]), len(windows[side]), details[side])
            if self.tracks:
                side.thaw()
                detail += ' conns=%d' % side.connections()
                side.freeze()
            results.append(Result(self.scenario.name, self.flows, side.label, median,
                                  tsc_hz() / median / 1e6 if median else 0, detail))
        return results, self.ratios(windows)

    def ratios(self, windows):
        if len(self.sides) < 2:
            return None
        a, b = (windows[side] for side in self.sides)
        pairs = [ours / theirs for theirs, ours in zip(a, b) if theirs]
        return (min(pairs), statistics.median(pairs), max(pairs)) if pairs else None


def sides_of(options):
    """Which implementations take part."""
    kinds = []
    if options.only != 'sluice':
        if vswitchd_path(options.vswitchd) is None:
            raise SystemExit('no ovs-vswitchd on DPDK: install openvswitch-switch-dpdk, name another '
                             'with --vswitchd or OVS_VSWITCHD, or say --only sluice')
        kinds.append(Incumbent)
    if options.only != 'incumbent':
        kinds.append(Sluice)
    return kinds


def run_point(options, name, flows, use):
    """Brings a point up and calls use(point) on it."""
    kinds = sides_of(options)
    with Hugepages(0 if options.no_huge else hugepages_for(options, len(kinds), flows)) as pages:
        options.huge = pages.enough()
        if not options.huge and not options.no_huge:
            print('# no %d free hugepages: both run without' % pages.wanted, flush=True)
        with Rig(Cores(options.core, options.rest_core), options.keep) as rig:
            point = Point(rig, options, name, flows, kinds)
            try:
                point.bring_up()
                return use(point)
            finally:
                for side in point.sides:
                    side.thaw()


def compare(options, points, say):
    """All points; say(line) for each result. Returns [(results, ratios)]."""
    out = []
    for name, flows in points:
        try:
            results, ratios = run_point(options, name, flows, lambda point: point.measure())
        except (OSError, RuntimeError) as error:
            if options.keep:
                raise
            say('%s %d FAILED %s' % (name, flows, ' '.join(str(error).split())[:300]))
            continue
        for result in results:
            say(line_of(result))
        if ratios:
            say('%s %d ratio %.2f | pairs %.2f..%.2f' % (name, flows, ratios[1], ratios[0], ratios[2]))
        out.append((results, ratios))
    return out


def log_to(path):
    """say() that prints and, when a path is given, appends there."""
    def say(line):
        print(line, flush=True)
        if path:
            with open(path, 'a') as file:
                file.write(line + '\n')
    if path and os.path.exists(path):
        os.remove(path)
    return say
