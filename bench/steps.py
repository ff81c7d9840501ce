# SPDX-License-Identifier: Apache-2.0
"""The cost table: cycles per packet of every step, scenario by scenario."""
import os
import subprocess
import tempfile

import forward
import report
from scenarios import Scenario

SCENARIOS = ['s1', 's2', 's2c', 's3', 's4', 's5', 's6a', 's6b']
NOTES = '''The first two lines are the worker's whole turn for a burst (receive to transmit, no driver), with
and without the flow cache; the others are its parts, timed on bursts of 32. Decap is in s3 alone, encap in
s2 and s2c alone; "probe, conntrack, apply, encap" is all that comes after the key of a hit, "apply, encap,
interpreted" what the general interpreter would take for the last part of it.'''


def bench_program(name, given=None):
    """step_bench, latency_bench: built on demand, beside the programs."""
    build = os.environ.get('SLUICE_BUILD') or os.path.join(os.path.dirname(forward.HERE), 'build')
    path = given or os.path.join(os.path.abspath(build), 'bench', name)
    if not os.access(path, os.X_OK):
        raise SystemExit('no %s: run "ninja -C %s bench/%s"' % (path, build, name))
    return path


def rig_command(program, scenario, flows, folder, core):
    """What step_bench and latency_bench need to know of a scenario."""
    pcaps = scenario.make_pcaps(flows, folder)
    command = [program, '--sb', forward.southbound(scenario, folder), '--chassis', 'hv1',
               '--scenario', scenario.name, '--core', str(core)]
    command += forward.port_options(scenario, lambda name, _: 'dummy,mac=02:00:00:00:aa:01'
                                    if name == 'underlay' else 'dummy')
    for _, port, spec in scenario.ports:
        how, _, stream = spec.partition(':')
        if stream:
            command += ['--in' if how == 'rx' else '--answers', '%s=%s' % (port, pcaps[stream][0])]
    if forward.huge_free():
        command.append('--huge')
    return command


def measure(args, name, flows):
    """{step: cycles} in the order of the way."""
    with tempfile.TemporaryDirectory(prefix='sluice-bench.') as folder:
        command = rig_command(bench_program('step_bench', args.step_bench), Scenario(name), flows,
                              folder, args.core) + ['--rounds', str(args.rounds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                              preexec_fn=forward.before_others)
        if done.returncode:
            raise SystemExit('step_bench %s: exit status %d' % (name, done.returncode))
    steps = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if words and words[0] == 'step':
            print(line, flush=True)
            steps[' '.join(words[3:-1])] = float(words[-1])
    return steps


def write(columns):
    """columns: [(scenario, flows, {step: cycles})]"""
    names = []
    for _, _, steps in columns:
        names += [s for s in steps if s not in names]
    rows = [[name] + ['%.0f' % steps[name] if name in steps else '' for _, _, steps in columns]
            for name in names]
    heads = ['cycles per packet'] + ['%s %s' % (s, report.count_of(n)) for s, n, _ in columns]
    report.put('steps', 'Taken on: %s.\n\n%s\n\n%s' % (
        report.machine(), report.table(heads, rows), NOTES))


def run(args):
    from compare import points_of
    words = args.points or ['%s:1000,100000' % name for name in SCENARIOS]
    columns = [(name, flows, measure(args, name, flows)) for name, flows in points_of(words)]
    if args.write:
        write(columns)
    return 0
