# SPDX-License-Identifier: Apache-2.0
"""The processes of a lab: a temporary directory, daemons in it, and their end.

Each daemon belongs to a `home`, a folder of the lab's directory that holds its sockets, logs and
pidfiles ("central", or the name of a chassis). A daemon gets SIGTERM from the kernel if the lab
itself dies, so nothing outlives it. Only processes that the lab started are ever signalled.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from .unixctl import unixctl

_PATH = os.environ.get('REF_HV_PATH', '/usr/sbin:/usr/bin:/sbin:/bin')
_SCHEMAS = os.environ.get('REF_HV_SCHEMAS')     # a folder with the three schemas of another OVN
SCHEMA = {'nb': (_SCHEMAS or '/usr/share/ovn') + '/ovn-nb.ovsschema',
          'sb': (_SCHEMAS or '/usr/share/ovn') + '/ovn-sb.ovsschema',
          'vs': (_SCHEMAS or '/usr/share/openvswitch') + '/vswitch.ovsschema',
          'vtep': '/usr/share/openvswitch/vtep.ovsschema'}
_RUN_FOLDERS = ['%s_%s' % (program, kind) for program in ('OVS', 'OVN')
                for kind in ('RUNDIR', 'LOGDIR', 'DBDIR', 'SYSCONFDIR')]


def answers(path):
    """Whether somebody listens on a unix socket: its file appears a moment earlier."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except OSError:
            return False
        return True


class LabError(RuntimeError):
    """A command failed, a daemon died, or a wait ran out."""


class Daemon:
    """One running daemon."""

    def __init__(self, home, name, folder, process):
        self.home, self.name, self.process = home, name, process
        self.log = '%s/%s.log' % (folder, name)
        self.ctl = '%s/%s.%d.ctl' % (folder, name, process.pid)

    def alive(self):
        return self.process.poll() is None


class Lab:
    """A temporary directory with daemons. Use as a context manager."""

    keep_on_failure = True      # the logs tell why

    def __init__(self, prefix='ovnlab.', keep=False):
        self.folder = tempfile.mkdtemp(prefix=prefix)
        self.keep = keep
        self.daemons = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and kind not in (KeyboardInterrupt, SystemExit):
            self.keep = self.keep or self.keep_on_failure
        self.stop()

    def home(self, name):
        path = '%s/%s' % (self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def env(self, home):
        env = dict(os.environ, PATH=_PATH, OVS_SYSLOG_METHOD='null', LC_ALL='C',
                   OVS_PKGDATADIR='/usr/share/openvswitch')
        env.update({key: self.home(home) for key in _RUN_FOLDERS})
        env['OVN_NB_DB'] = env['OVN_SB_DB'] = 'unix:%s/central/db.sock' % self.folder
        return env

    def run(self, home, *argv, check=True, timeout=60):
        """Runs a command to its end and returns what it printed."""
        done = subprocess.run(argv, env=self.env(home), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout)
        if check and done.returncode:
            dead = ['%s of %s has died with %d: %s' % (d.name, d.home, d.process.returncode,
                                                       self.last_words(d))
                    for d in self.daemons if not d.alive()]
            raise LabError('\n'.join(['%s: exit status %d: %s' % (
                ' '.join(argv), done.returncode, done.stderr.strip())] + dead))
        return done.stdout

    def daemon(self, home, name, *args, program=None, prefix=()):
        """Starts a daemon in the foreground, with the options that all OVS daemons share."""
        folder = self.home(home)
        argv = ['setpriv', '--pdeathsig', 'TERM', '--', *prefix, program or name, '-vconsole:off',
                '-vsyslog:off', '-vfile:info', '--no-chdir', '--log-file=%s/%s.log' % (folder, name),
                '--pidfile=%s/%s.pid' % (folder, name), *args]
        with open('%s/%s.err' % (folder, name), 'a') as errors:
            process = subprocess.Popen(argv, env=self.env(home), stdin=subprocess.DEVNULL,
                                       stdout=errors, stderr=errors, start_new_session=True)
        daemon = Daemon(home, name, folder, process)
        self.daemons.append(daemon)
        return daemon

    def wait(self, condition, what, timeout=30):
        """Polls until the condition holds; an early death of any daemon ends it with the reason."""
        end = time.time() + timeout
        while not condition():
            for daemon in self.daemons:
                if not daemon.alive():
                    raise LabError('%s of %s died while waiting for %s: %s' % (
                        daemon.name, daemon.home, what, self.last_words(daemon)))
            if time.time() > end:
                raise LabError('timeout waiting for %s (logs in %s)' % (what, self.folder))
            time.sleep(0.005)

    def last_words(self, daemon):
        """The end of what a daemon said."""
        text = ''
        for path in (daemon.log, daemon.log[:-4] + '.err'):
            if os.path.exists(path):
                with open(path, errors='replace') as file:
                    text += ''.join(file.readlines()[-5:])
        return text.strip() or 'it said nothing'

    def database(self, home, name, *kinds):
        """An ovsdb-server of new databases on HOME/NAME.sock."""
        folder = self.home(home)
        files = ['%s/%s.db' % (folder, kind) for kind in kinds]
        for kind, file in zip(kinds, files):
            if not os.path.exists(file):
                self.run(home, 'ovsdb-tool', 'create', file, SCHEMA[kind])
        daemon = self.daemon(home, 'ovsdb-server', '--remote=punix:%s/%s.sock' % (folder, name),
                             *files)
        self.wait(lambda: answers('%s/%s.sock' % (folder, name)), home + ' database')
        return daemon

    def start_central(self):
        """One ovsdb-server for both OVN databases, and ovn-northd."""
        self.database('central', 'db', 'nb', 'sb')
        remote = 'unix:%s/central/db.sock' % self.folder
        self.run('central', 'ovn-nbctl', 'init')
        self.run('central', 'ovn-sbctl', 'init')
        self.daemon('central', 'ovn-northd', '--ovnnb-db=' + remote, '--ovnsb-db=' + remote)

    def nbctl(self, *args):
        return self.run('central', 'ovn-nbctl', '-t', '20', *args)

    def sbctl(self, *args):
        return self.run('central', 'ovn-sbctl', '-t', '20', *args)

    def vsctl(self, chassis, *args):
        return self.run(chassis, 'ovs-vsctl', '-t', '20',
                        '--db=unix:%s/%s/db.sock' % (self.folder, chassis), *args)

    def sync(self, wait='hv'):
        """Returns when northd (wait='sb') or every chassis (wait='hv') has caught up."""
        self.run('central', 'ovn-nbctl', '-t', '60', '--wait=' + wait, 'sync', timeout=70)

    def wait_up(self, ports, timeout=30):
        """Waits until the Port_Binding of each port says up: its flows are in place."""
        def up():
            text = self.sbctl('--format=csv', '--no-headings', '--columns=logical_port', 'find',
                              'Port_Binding', 'up=true')
            return set(ports) <= {line.strip().strip('"') for line in text.splitlines()}
        self.wait(up, 'ports up: ' + ', '.join(sorted(ports)), timeout)

    def end(self, daemon, *exit_args, timeout=5):
        """Ends one daemon: by its exit command, else by signals. Returns its exit status."""
        if daemon in self.daemons:
            self.daemons.remove(daemon)
        self._ask_to_exit(daemon, exit_args)
        return self._reap(daemon, timeout)

    def _ask_to_exit(self, daemon, exit_args=()):
        try:
            unixctl(daemon.ctl, 'exit', *exit_args, timeout=3)
        except (OSError, RuntimeError):
            if daemon.alive():
                daemon.process.terminate()

    def _reap(self, daemon, timeout):
        try:
            return daemon.process.wait(timeout)
        except subprocess.TimeoutExpired:
            sys.stderr.write('%s of %s did not exit in %d s: killed\n' % (
                daemon.name, daemon.home, timeout))
            daemon.process.kill()
            return daemon.process.wait()

    def stop(self):
        """Ends all daemons, newest first, and removes the directory unless it is to be kept."""
        # The databases die with the lab: no need to leave them tidy.
        leavers = ('ovn-controller', 'sluiced')
        for daemon in reversed(self.daemons):
            self._ask_to_exit(daemon, ['--restart'] if daemon.name in leavers else [])
        for daemon in reversed(self.daemons):
            self._reap(daemon, 5)
        self.daemons = []
        if self.keep:
            sys.stderr.write('kept %s\n' % self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
