# SPDX-License-Identifier: Apache-2.0
"""One to N workers, each with a source of its own, all into one sink.

`scale` has nothing to share but the pipeline; in `scalect` every packet asks the one table of
connections, which is where locks would show.
"""
import os
import re
import subprocess
import tempfile

import forward
import report
from scenarios import Scenario

SCENARIOS = {'scale': 'L2 switch', 'scalect': 'stateful ACLs'}
MOST_WORKERS = 16


def command_for(args, name, workers, folder):
    scenario = Scenario(name)
    scenario.ports = [p for p in scenario.ports if p[1] == 'sink' or int(p[1][3:]) <= workers]
    scenario.streams = {k: v for k, v in scenario.streams.items() if int(k[1:]) <= workers}
    # The more streams, the fewer flows in each: the caches see as much with any number of workers.
    flows = max(1, args.flows // workers)
    cores = [str(core) for core in args.cores[:workers]]
    command = forward.bench_command(args, scenario, flows, folder, '--cores', ','.join(cores))
    at = command.index('--memory-mb') + 1
    command[at] = str(1024 + 256 * workers)
    return command


def measure(args, name, workers):
    with tempfile.TemporaryDirectory(prefix='sluice-bench.') as folder:
        done = subprocess.run(command_for(args, name, workers, folder), stdout=subprocess.PIPE,
                              text=True, preexec_fn=forward.before_others)
        if done.returncode:
            raise SystemExit('sluice-bench: exit status %d' % done.returncode)
    match = re.match(r'\S+ \S+ \S+ ([0-9.]+) (\d+)', done.stdout)
    return float(match[1]), int(match[2])


def run(args):
    usable = sorted(os.sched_getaffinity(0))
    args.cores = args.cores or usable[::-1]     # core 0 last: everything else runs there
    counts = [n for n in (1, 2, 3, 4, 6, 8, 12, 16) if n <= min(len(args.cores), MOST_WORKERS)]
    rows = []
    for name, words in SCENARIOS.items():
        single = None
        for workers in counts:
            mpps, cycles = measure(args, name, workers)
            single = single or mpps
            print('scaling %s workers=%d %.3f Mpps %d cycles x%.2f' % (
                name, workers, mpps, cycles, mpps / single), flush=True)
            rows.append([words, workers, '%.2f' % mpps, cycles, '%.2f' % (mpps / single)])
    if args.write:
        report.put('scaling', 'Taken on: %s. Mpps of all workers, cycles per packet of one.\n\n%s' % (
            report.machine(), report.table(['scenario', 'workers', 'Mpps', 'cycles', 'of one'], rows)))
    return 0
