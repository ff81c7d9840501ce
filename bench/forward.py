# SPDX-License-Identifier: Apache-2.0
"""sluice alone: the data path of a Southbound file in one process, without any server.

What `bench/run compare` measures, minus the incumbent and the control plane: the quick way to see
whether a change of the data path helps.
"""
import glob
import gzip
import os
import shutil
import subprocess
import tempfile

from ovnlab.tools import find_program
from scenarios import HERE, Scenario

NEEDED_MB = 1500    # of hugepages


def program(name, given=None):
    return find_program(name, given)


def southbound(scenario, folder):
    path = os.path.join(folder, scenario.sb + '.sb.db')
    with gzip.open(os.path.join(HERE, 'data', scenario.sb + '.sb.db.gz')) as packed:
        with open(path, 'wb') as out:
            shutil.copyfileobj(packed, out)
    return path


def port_options(scenario, spec_of):
    """Options naming the scenario's ports; spec_of(name, spec) gives driver and arguments."""
    options = []
    for kind, name, spec in scenario.ports:
        driver = spec_of(name, spec)
        if not kind.endswith('phys'):
            options += ['--port', '%s=%s,iface-id=%s' % (name, driver, name)]
        elif name == 'underlay':
            options += ['--underlay', '%s=%s,ip=172.16.0.1/24' % (name, driver)]
        else:
            options += ['--port', '%s=%s,physnet=%s' % (name, driver, name)]
    for ip, mac in scenario.neigh:
        options += ['--neighbor', '%s=%s' % (ip, mac)]
    return options


def device_options(scenario, pcaps):
    """The same with the scenario's sources and sinks. What answers once is a file that ends: its first
    burst is read after the first burst of what it answers, and it is a sink afterwards."""
    def spec_of(name, spec):
        how, _, stream = spec.partition(':')
        mac = ',mac=02:00:00:00:aa:01' if name == 'underlay' else ''
        if how == 'rx':
            return 'pcap,rx_pcap=%s,infinite_rx=1%s' % (pcaps[stream][0], mac)
        if how == 'once':
            return 'pcap,rx_pcap=%s%s' % (pcaps[stream][0], mac)
        return 'null,no-rx=1' + mac
    return port_options(scenario, spec_of)


def huge_free():
    for path in glob.glob('/sys/kernel/mm/hugepages/*/free_hugepages'):
        size_kb = int(path.split('hugepages-')[1].split('kB')[0])
        with open(path) as file:
            if int(file.read()) * size_kb >= NEEDED_MB * 1024:
                return True
    return False


def bench_command(args, scenario, flows, folder, *more):
    """sluice-bench for one point."""
    pcaps = scenario.make_pcaps(flows, folder)
    command = [program('sluice-bench', args.sluice_bench), '--sb',
               southbound(scenario, folder), '--chassis', 'hv1', '--seconds',
               str(args.seconds), '--repeat', str(args.repeat), '--scenario', scenario.name,
               '--flows', str(flows), '--mbufs', str(max(65535, 2 * flows + 16384)),
               '--memory-mb', str(1024 + flows * 5 // 1024)]
    command += ['--huge'] if huge_free() else []
    command += device_options(scenario, pcaps)
    answered = [spec for _, _, spec in scenario.ports if spec.startswith('once')]
    command += ['--warm-ms', str(500 + (flows // 20 if answered else 0))]
    for port in scenario.count:
        command += ['--count', port]
    return command + list(more)


def before_others():
    """Called in a child that is going to poll: whatever else runs can only take away."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        with open('/proc/self/autogroup', 'w') as file:
            file.write('-20')
    except OSError:
        pass            # not root, or a kernel without autogroups


def measure(args, name, flows, *more):
    """The line that sluice-bench prints."""
    with tempfile.TemporaryDirectory(prefix='sluice-bench.') as folder:
        command = bench_command(args, Scenario(name), flows, folder, *more)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                              preexec_fn=before_others)
        if done.returncode:
            raise SystemExit('%s: exit status %d' % (' '.join(command[:3]), done.returncode))
        return done.stdout.strip()


def run(args):
    from compare import points_of
    for name, flows in points_of(args.points):
        more = ['--cores', str(args.core), '--drops'] + (['--no-cache'] if args.no_cache else [])
        if args.capture is not None:
            more += ['--capture=' + args.capture] if args.capture else ['--capture']
        print(measure(args, name, flows, *more), flush=True)
    return 0
