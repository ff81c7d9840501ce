# SPDX-License-Identifier: Apache-2.0
"""No cliff: what traffic that nobody tuned for does to throughput and latency.

Three questions, each answered by numbers from one sitting:
* every packet a miss: hit case, a cache thrashed by sixteen times its size, no cache at all;
* a tuple space that explodes: the same established traffic with an equal share of packets that no rule
  wants, once all alike, once each with other bits decided, which fills a classifier by masks with masks;
* latency at half and nearly full load, alone and during a thousand publishes a second.
"""
import re
import statistics
import subprocess
import tempfile

import forward
import report
from scenarios import HERE, Scenario
from steps import bench_program, rig_command

STATELESS = ['s1', 's2', 's2c', 's3', 's4']
HIT_FLOWS, MISS_FLOWS, SMALL_CACHE = 1000, 65536, 4096
LINE = re.compile(r'^(\S+) (\S+) (\S+) ([0-9.]+) (\d+)')


def _mpps(text):
    return float(LINE.match(text)[4])


def misses(args):
    """[(scenario, hit, thrashed, walked)] in Mpps."""
    rows = []
    for name in STATELESS:
        core = ['--cores', str(args.core)]
        small = ['--cache-entries', str(SMALL_CACHE)]
        hit = _mpps(forward.measure(args, name, HIT_FLOWS, *core))
        thrashed = _mpps(forward.measure(args, name, MISS_FLOWS, *core, *small))
        walked = _mpps(forward.measure(args, name, MISS_FLOWS, *core, '--no-cache'))
        print('cliff %s hit=%.2f thrashed=%.2f no_cache=%.2f Mpps hit/no_cache=%.2f' % (
            name, hit, thrashed, walked, hit / walked), flush=True)
        rows.append((name, hit, thrashed, walked))
    return rows


def explosion(args):
    """Mpps of the wanted traffic beside unwanted packets: all alike, then all different. sluice once more
    in pairs by itself, for two points apart in time say little about a difference of some percent."""
    import compare
    rows = []
    for name in ('s5n', 's5t'):
        def keep(point, name=name):
            results, _ = point.measure()
            for result in results:
                print(compare.line_of(result), flush=True)
                rows.append((name, result))
        compare.run_point(args, name, HIT_FLOWS, keep)
    pairs = []
    for _ in range(args.rounds):
        alike, different = (_mpps(forward.measure(args, name, HIT_FLOWS, '--cores', str(args.core)))
                            for name in ('s5n', 's5t'))
        pairs.append(different / alike)
    ratio = statistics.median(pairs)
    print('explosion sluice different/alike %.3f | %s' % (
        ratio, ' '.join('%.3f' % p for p in sorted(pairs))), flush=True)
    return rows, ratio


def latencies(args):
    """(lines of numbers, {name: [(us, fraction above)]})"""
    lines, curves = [], {}
    for name in args.latency_scenarios:
        with tempfile.TemporaryDirectory(prefix='sluice-bench.') as folder:
            command = rig_command(bench_program('latency_bench', args.latency_bench), Scenario(name),
                                  HIT_FLOWS, folder, args.core)
            command += ['--histogram', '--seconds', str(args.seconds)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                                  preexec_fn=forward.before_others)
            if done.returncode:
                raise SystemExit('latency_bench %s: exit status %d' % (name, done.returncode))
        bins, title = [], None
        for line in done.stdout.splitlines() + ['latency']:
            words = line.split()
            if words[0] == 'bin':
                bins.append((float(words[1]), int(words[2])))
                continue
            if title and bins:
                curves[title] = tail_of(bins)
            bins = []
            if words[0] == 'latency' and len(words) > 1:
                print(line, flush=True)
                lines.append(words)
                title = '%s %s %s' % (words[1], words[3], words[4])
    return lines, curves


def tail_of(bins):
    total, above = sum(n for _, n in bins), 0
    out = []
    for value, count in sorted(bins, reverse=True):
        above += count
        out.append((value, above / total))
    return out[::-1]


def write_misses(rows):
    report.put('misses', 'Taken on: %s. Every packet a miss, Mpps on one core (%d flows that hit; %d flows '
               'through a cache of %d entries; no cache at all):\n\n' % (
                   report.machine(), HIT_FLOWS, MISS_FLOWS, SMALL_CACHE)
               + report.table(['scenario', 'hit', 'thrashed', 'no cache', 'hit / no cache'], [
                   [n, '%.2f' % h, '%.2f' % t, '%.2f' % w, '%.2f' % (h / w)] for n, h, t, w in rows]))


def write_explosion(rows, ratio):
    words = {'s5n': 'all alike', 's5t': 'each with other bits decided'}
    text = 'Taken on: %s. Established connections of s5 beside as many packets that no rule wants (Mpps ' \
        'that leave):\n\n' % report.machine()
    text += report.table(['unwanted packets', 'implementation', 'Mpps', 'detail'], [
        [words[n], r.impl, '%.3f' % r.mpps, r.detail] for n, r in rows])
    report.put('explosion', text + '\n\nsluice by itself, different over alike in pairs: %.2f.' % ratio)


def write_latency(lines, curves):
    text = 'Taken on: %s. Microseconds from when a packet was due (open loop, one core):\n\n' % (
        report.machine())
    text += report.table(['scenario', 'load', 'publishes', 'p50', 'p99', 'p99.9', 'max', 'lost'], [
        [w[1], w[3][5:] + ' %', w[4][10:], w[5][4:], w[6][4:], w[7][6:], w[8][4:], w[10][5:]]
        for w in lines])
    text += '\n\n"elsewhere": 1000 publishes a second that change nothing for this traffic; "here": each ' \
        'makes every cached program of a datapath stale, in turn.\n\n![latency](latency.svg)'
    report.put('latency', text)
    with open(HERE + '/latency.svg', 'w') as file:
        file.write(report.curves('share of packets slower than', 'microseconds', curves))


def run(args):
    parts = args.parts or ['misses', 'explosion', 'latency']
    for part, measure, write in (('misses', lambda a: (misses(a),), write_misses),
                                 ('explosion', explosion, write_explosion),
                                 ('latency', latencies, write_latency)):
        if part in parts:
            numbers = measure(args)
            if args.write:
                write(*numbers)
    return 0
