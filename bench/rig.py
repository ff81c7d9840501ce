# SPDX-License-Identifier: Apache-2.0
"""Where two implementations are measured in turn: cores, hugepages, databases, and freezing.

A Rig holds everything that one point of a benchmark needs: a temporary directory with one folder
per implementation ("side"), a copy of the same Southbound database with a server of its own for each,
and the packets. One core belongs to the poll-mode thread under measurement, the other to everything
else. Sides take turns without being restarted: all processes of the side that waits are stopped
(SIGSTOP), so that it costs nothing and forgets nothing.
"""
import glob
import gzip
import os
import shutil
import subprocess

from ovnlab.netlab import Namespace
from ovnlab.processes import Lab, SCHEMA, answers
from scenarios import HERE


HUGE_2M = '/sys/kernel/mm/hugepages/hugepages-2048kB/'


class Cores:
    """Which core polls and which does the rest."""

    def __init__(self, poll=1, rest=0):
        self.poll, self.rest = poll, rest

    def on_rest(self):
        return ['taskset', '-c', str(self.rest)]


class Hugepages:
    """Reserves 2 MB pages for a while; what was there before comes back afterwards."""

    def __init__(self, pages):
        self.wanted, self.before = pages, None

    def _total(self, value=None):
        if value is None:
            with open(HUGE_2M + 'nr_hugepages') as file:
                return int(file.read())
        with open(HUGE_2M + 'nr_hugepages', 'w') as file:
            file.write(str(value))
        return value

    def free(self):
        try:
            with open(HUGE_2M + 'free_hugepages') as file:
                return int(file.read())
        except OSError:
            return 0

    def __enter__(self):
        short = self.wanted - self.free()
        if short > 0:
            try:
                self.before = self._total()
                self._total(self.before + short)
            except OSError:
                self.before = None
        return self

    def enough(self):
        return self.wanted > 0 and self.free() >= self.wanted

    def __exit__(self, *_):
        if self.before is not None:
            self._total(self.before)


def southbound_file(name, path):
    """Unpacks the Southbound database of a scenario: a copy for whoever writes to it."""
    with gzip.open(os.path.join(HERE, 'data', name + '.sb.db.gz')) as packed:
        with open(path, 'wb') as out:
            shutil.copyfileobj(packed, out)


class Rig(Lab):
    """One point of a benchmark: see the top of this file."""

    def __init__(self, cores=None, keep=False):
        if os.geteuid() != 0:
            raise SystemExit('network namespaces and hugepages need root')
        super().__init__('sluice-bench.', keep)
        self.cores = cores or Cores()
        self.namespaces = []
        # Daemons end when we do, but a stopped one does not notice: whatever happens to us, this
        # process sees the pipe close and lets them go on to their end.
        self.started = self.folder + '/started'
        open(self.started, 'w').close()
        self.guard = subprocess.Popen(
            ['sh', '-c', 'cat > /dev/null; kill -s CONT $(cat "$0") 2> /dev/null', self.started],
            stdin=subprocess.PIPE, start_new_session=True)

    def namespace(self, name):
        made = Namespace(self, name)
        self.namespaces.append(made)
        return made

    def pinned(self, home, name, *args, program=None, prefix=()):
        """A daemon on the core that does not poll."""
        daemon = self.daemon(home, name, *args, program=program,
                             prefix=[*self.cores.on_rest(), *prefix])
        with open(self.started, 'a') as file:
            file.write('%d\n' % daemon.process.pid)
        return daemon

    def serve(self, home, database):
        """An ovsdb-server of HOME/DATABASE.db; its other files are in a folder of its own."""
        own = '%s-%s' % (home, database)
        remote = self.home(own) + '/server.sock'
        self.pinned(own, 'ovsdb-server', '--remote=punix:' + remote,
                    '%s/%s.db' % (self.home(home), database))
        self.wait(lambda: answers(remote), '%s database of %s' % (database, home))
        return 'unix:' + remote

    def serve_southbound(self, home, scenario):
        southbound_file(scenario.sb, self.home(home) + '/sb.db')
        return self.serve(home, 'sb')

    def serve_local(self, home):
        self.run(home, 'ovsdb-tool', 'create', self.home(home) + '/vs.db', SCHEMA['vs'])
        return self.serve(home, 'vs')

    def sbctl_at(self, remote, *args):
        return self.run('central', 'ovn-sbctl', '--db=' + remote, '-t', '60', *args).strip()

    def wait_hv(self, remote, chassis='hv1', timeout=90):
        """Until the chassis says that it has caught up with the Southbound as it is now."""
        row = self.sbctl_at(remote, '--bare', '--columns=nb_cfg', 'list', 'SB_Global')
        wanted = int(row or 0) + 1
        self.sbctl_at(remote, 'set', 'SB_Global', '.', 'nb_cfg=%d' % wanted)

        def reached():
            text = self.sbctl_at(remote, '--bare', '--columns=nb_cfg', 'find', 'Chassis_Private',
                                 'name=' + chassis)
            return text and int(text) >= wanted
        self.wait(reached, 'nb_cfg of ' + chassis, timeout)

    def stop(self):
        super().stop()
        self.guard.kill()       # nobody is left to be continued
        self.guard.wait()
        for namespace in reversed(self.namespaces):
            namespace.end()
        self.namespaces = []


def tsc_hz():
    """Frequency of the time stamp counter, which every number in cycles is in."""
    with open('/proc/cpuinfo') as file:
        for line in file:
            if line.startswith('cpu MHz'):
                return float(line.split(':')[1]) * 1e6
    raise SystemExit('/proc/cpuinfo tells no frequency')


def hugepages_free_mb():
    total = 0
    for path in glob.glob('/sys/kernel/mm/hugepages/*/free_hugepages'):
        size_kb = int(path.split('hugepages-')[1].split('kB')[0])
        with open(path) as file:
            total += int(file.read()) * size_kb // 1024
    return total
