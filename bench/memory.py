# SPDX-License-Identifier: Apache-2.0
"""What a connection and a cached program cost in memory, as the kernel counts it."""
import subprocess

import report
from steps import bench_program


def run(args):
    program = bench_program('memory_bench', args.memory_bench)
    done = subprocess.run([program, str(args.connections)], stdout=subprocess.PIPE, text=True)
    print(done.stdout, end='')
    if done.returncode:
        raise SystemExit('memory_bench: exit status %d' % done.returncode)
    rows = []
    for line in done.stdout.splitlines():
        _, what, count, each, total = line.split()
        rows.append([what.replace('_', ' ').replace(',', ', '), report.count_of(int(count)), each, total])
    if args.write:
        report.put('memory', report.table(['what', 'how many', 'bytes each', 'MB in all'], rows))
    return 0
