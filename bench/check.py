# SPDX-License-Identifier: Apache-2.0
"""Speed that is not bought with wrong packets: frames of sluice against those of the incumbent.

Recorded: sluice-replay forwards 100 flows, data/NAME.out.pcap are the frames that Open vSwitch with
OVN sent for the same (no server, no root). Live: both hypervisors run the scenario on the same
Southbound and what leaves the counted port is recorded from both.
"""
import os
import subprocess
import tempfile
import time

import forward
from frames import differences, read_pcap
from scenarios import HERE, Scenario

FLOWS = 100
LOOPS, RECORD_S = 20, 20     # recorded: so often each flow, or so many seconds
MOST_FRAMES = 200000    # of a recording that are looked at


def recorded_scenarios():
    return sorted(f[:-len('.out.pcap')] for f in os.listdir(HERE + '/data') if f.endswith('.out.pcap'))


def report(name, ours, theirs, how):
    found, got, want = differences(name, ours, theirs)
    print('%s: %s, %d frames, %d of the reference, %d differences' % (
        name, how, got, want, len(found)), flush=True)
    for line in found[:6]:
        print('  ' + line)
    return not found and got > 0


def against_recording(args, name):
    with tempfile.TemporaryDirectory(prefix='sluice-bench.') as folder:
        scenario = Scenario(name)
        pcaps = scenario.make_pcaps(FLOWS, folder)
        command = [forward.program('sluice-replay', args.sluice_replay), '--quiet', '--sb',
                   forward.southbound(scenario, folder), '--chassis', 'hv1']
        command += forward.port_options(scenario, lambda port, _: 'dummy,mac=02:00:00:00:aa:01'
                                        if port == 'underlay' else 'dummy')
        for _, port, spec in scenario.ports:
            how, _, stream = spec.partition(':')
            if how == 'rx':
                command += ['--in', '%s=%s' % (port, pcaps[stream][0])]
        out = os.path.join(folder, 'out.pcap')
        command += ['--out', '%s=%s' % (scenario.count[0], out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return report(name, read_pcap(out), read_pcap('%s/data/%s.out.pcap' % (HERE, name)),
                      'recorded')


def _record(point, side):
    """What leaves the first counted port of one side, for a moment."""
    path = os.path.join(point.rig.home('packets'), side.home + '.out.pcap')
    port = next(p for p in point.ports if p.port == point.counted[0])
    side.thaw()
    side.replug(port, path)
    end = time.monotonic() + RECORD_S
    while side.counters()[1].get(port.port, (0, 0))[1] < LOOPS * FLOWS and time.monotonic() < end:
        time.sleep(0.05)
    side.vsctl('del-port', port.port)
    side.freeze()
    return read_pcap(path, MOST_FRAMES)


def live_point(point):
    ours, theirs = None, None
    for side in point.sides:
        if side.home == 'sluice':
            ours = _record(point, side)
        else:
            theirs = _record(point, side)
    return report(point.scenario.name, ours, theirs, 'live')


def live(args, name):
    from compare import run_point
    args.setting = args.setting or 'emc100'
    return run_point(args, name, FLOWS, live_point)


def run(args):
    names = args.scenarios or recorded_scenarios()
    good = [live(args, name) if args.live else against_recording(args, name) for name in names]
    print('%d passed, %d failed' % (sum(good), len(good) - sum(good)))
    return 0 if all(good) else 1
