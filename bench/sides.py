# SPDX-License-Identifier: Apache-2.0
"""What both sides of a comparison have in common: ports of a scenario, counters, taking turns."""
import os
import signal
import time

from ovnlab.unixctl import unixctl

BRIDGE_MAC = '02:00:00:00:aa:01'
ENCAP_IP = '172.16.0.1'
PCAP_HEADER = 24


class PlannedPort:
    """A port of a scenario: where it goes and which DPDK device it is."""

    def __init__(self, index, kind, name, spec, pcaps):
        self.index, self.kind, self.name = index, kind, name
        how, _, stream = spec.partition(':')
        self.how = how                      # null, rx (endless source) or once
        self.pcap, self.packets = pcaps[stream] if stream else (None, 0)
        if how == 'once':
            self.pcap = thrice(self.pcap)
        self.physical = kind.endswith('phys')
        self.late = kind.startswith('late')
        self.bridge = 'br-phys' if self.physical else 'br-int'
        self.port = 'phys0' if self.physical else name

    def devargs(self, turn=0):
        if self.how == 'null':
            return self.null(turn)
        return 'net_pcap%d%d,rx_pcap=%s%s' % (self.index + 1, turn, self.pcap,
                                              ',infinite_rx=1' if self.how == 'rx' else '')

    def null(self, turn=0):
        return 'net_null%d%d,no-rx=1' % (self.index + 1, turn)

    def preload(self):
        return self.packets if self.how == 'rx' else 0


def thrice(path):
    """The same file three times over: the first answers may meet a connection still being made."""
    with open(path, 'rb') as file:
        data = file.read()
    with open(path + '.thrice', 'wb') as file:
        file.write(data + data[PCAP_HEADER:] * 2)
    return path + '.thrice'


def plan(scenario, pcaps):
    return [PlannedPort(i, kind, name, spec, pcaps)
            for i, (kind, name, spec) in enumerate(scenario.ports)]


class Side:
    """One implementation of the hypervisor. Subclasses start it and read its counters."""

    label = ''
    home = ''

    def __init__(self, rig, options):
        self.rig, self.options = rig, options
        self.processes = []         # what is stopped when the other side has its turn
        self.turns = {}             # port name -> how often its device was replaced
        self.frozen = False

    # ---- the subclass' part
    def start(self, scenario, ports):
        raise NotImplementedError

    def counters(self):
        """(time, {port: (received, sent)})"""
        raise NotImplementedError

    def own_cycles(self):
        """What explains the figure, as text for the end of the line."""
        return ''

    def flush_connections(self):
        unixctl(self.main.ctl, 'dpctl/flush-conntrack', timeout=120)

    def connections(self):
        return int(unixctl(self.main.ctl, 'dpctl/ct-get-nconns').split()[0])

    # ---- common
    def vsctl(self, *args):
        return self.rig.run(self.home, 'ovs-vsctl', '--db=' + self.local, '-t', '120', *args,
                            timeout=130)

    def plug_device(self, port, devargs, preload=0):
        """Adds the port, or gives it another device."""
        self.vsctl(*self.plug_words(port, devargs), *self.preload_words(preload))
        self.wait_open(port)

    def plug_words(self, port, devargs):
        words = ['--may-exist', 'add-port', port.bridge, port.port, '--', 'set', 'Interface',
                 port.port, 'type=dpdk', 'options:dpdk-devargs="%s"' % devargs]
        return words if port.physical else words + ['external-ids:iface-id=' + port.name]

    def preload_words(self, _preload):
        return []

    def wait_open(self, port):
        def opened():
            # Without --no-wait ovs-vsctl has waited for the switch; the error follows at once.
            error = self.vsctl('get', 'Interface', port.port, 'error').strip()
            if error not in ('[]', '""'):
                raise SystemExit('%s: port %s: %s' % (self.label, port.port, error))
            return self.vsctl('get', 'Interface', port.port, 'ofport').strip() not in ('[]', '-1')
        self.rig.wait(opened, 'port %s of %s' % (port.port, self.label), 60)

    def replug(self, port, how):
        """how: 'device' (as the scenario says), 'null', or a path to record what is sent."""
        turn = self.turns[port.name] = self.turns.get(port.name, 0) + 1
        if how == 'device':
            self.plug_device(port, port.devargs(turn), port.preload())
        elif how == 'null':
            self.plug_device(port, port.null(turn))
        elif port.how == 'rx':      # a source that is recorded goes on
            self.plug_device(port, port.devargs(turn) + ',tx_pcap=' + how, port.preload())
        else:
            self.plug_device(port, 'net_pcap%d%d,tx_pcap=%s' % (port.index + 1, turn, how))

    def plug_all(self, ports):
        """Sinks first, so that no source finds its way blocked; late ports hold their place."""
        for port in sorted(ports, key=lambda p: p.preload()):
            late = port.late
            self.plug_device(port, port.null() if late else port.devargs(),
                             0 if late else port.preload())

    def warm_up(self, ports):
        """Ports that come late: the answers that make connections established. The device stays
        afterwards, an ended file: to change it again might forget the connections of its zone."""
        for port in ports:
            if port.late:
                self.replug(port, 'device')
                if port.how == 'once':
                    self._drain(port)

    def _drain(self, port):
        last, now, quiet = -1, 0, 0
        while quiet < 2:
            time.sleep(0.3)
            last, now = now, self.counters()[1].get(port.port, (0, 0))[0]
            quiet = quiet + 1 if now == last and now else 0

    def sent(self, names):
        at, table = self.counters()
        return at, sum(table[name][1] for name in names)

    def window(self, names, seconds):
        """Millions of packets sent per second by these ports."""
        t0, a = self.sent(names)
        time.sleep(seconds)
        t1, b = self.sent(names)
        return (b - a) / (t1 - t0) / 1e6

    def prefer(self):
        """The polling threads before everything else that may run on their core."""
        for process in self.processes:
            try:
                with open('/proc/%d/autogroup' % process.process.pid, 'w') as file:
                    file.write('-20')
            except OSError:
                pass            # a kernel without autogroups
            for task in self._polling(process.process.pid):
                os.setpriority(os.PRIO_PROCESS, int(task), -20)

    def _polling(self, pid):
        """Threads of a process that only may run on the polling core."""
        for task in os.listdir('/proc/%d/task' % pid):
            with open('/proc/%d/task/%s/status' % (pid, task)) as file:
                allowed = [l.split()[1] for l in file if l.startswith('Cpus_allowed_list')]
            if allowed == [str(self.rig.cores.poll)] and int(task) != pid:
                yield task

    def polled_s(self):
        """Seconds that the polling threads have had the core so far."""
        total = 0
        for process in self.processes:
            for task in self._polling(process.process.pid):
                with open('/proc/%d/task/%s/schedstat' % (process.process.pid, task)) as file:
                    total += int(file.read().split()[0])
        return total / 1e9

    def freeze(self):
        for process in self.processes:
            os.kill(process.process.pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self):
        if self.frozen:
            for process in self.processes:
                os.kill(process.process.pid, signal.SIGCONT)
        self.frozen = False
