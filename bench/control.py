# SPDX-License-Identifier: Apache-2.0
"""Control planes side by side: from start until packets flow, and how long a change takes.

s7: 50 switches of 20 ports, a router, 200 ACLs, 100 load balancers, 49 other chassis, 20 local ports.
Each side gets an OVN central of its own, built the same. One local port is an endless source of frames
(of no protocol that ACLs know) to another one of its switch: the first frame that arrives says that
the chassis forwards. Changes are timed at the Southbound: from northd's transaction to the
chassis' acknowledgement, so that northd's share is not in the number.
"""
import os
import statistics
import struct
import time

import report
from compare import log_to, sides_of
from incumbent import Incumbent
from ovnlab.processes import answers
from rig import Cores, Hugepages, Rig
from scenarios import write_pcap
from sides import ENCAP_IP, PlannedPort
from sluice import Sluice
from southbound_watch import SouthboundWatch
from topology import bind, run_script

REMOTES, SWITCHES, PORTS_EACH, LOCAL = 49, 50, 20, 20
SOURCE, SINK = 'lp-0-0', 'lp-0-1'
ETHERTYPE = 0x88b5      # for experiments: no ACL of s7 looks at it


def memory(pid):
    """Resident megabytes beside hugepages."""
    with open('/proc/%d/status' % pid) as file:
        for line in file:
            if line.startswith('VmRSS'):
                return int(line.split()[1]) / 1024
    return 0


def cpu_ms(pid):
    """Of the main thread: polling threads are busy whatever happens."""
    with open('/proc/%d/task/%d/stat' % (pid, pid)) as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf('SC_CLK_TCK')


class CentralSouthbound:
    """Mixed into a side: its Southbound is the rig's OVN central."""

    def southbound_of(self, _scenario):
        return 'unix:%s/central/db.sock' % self.rig.folder


class IncumbentChassis(CentralSouthbound, Incumbent):
    def prepare(self, ports):
        self.southbound = self.southbound_of(None)
        self.local = self.rig.serve_local(self.home)
        self.ns = self.rig.namespace(self.home)
        self.start_switch()
        self.plug_all(ports)

    def launch(self):
        self.ofctl('del-flows', 'br-int')
        begin = time.monotonic()
        self.start_controller()
        return begin

    def end(self):
        self.rig.end(self.controller, timeout=30)

    def memory(self):
        return memory(self.main.process.pid) + memory(self.controller.process.pid)

    def cpu_ms(self):
        return cpu_ms(self.controller.process.pid)


class SluiceChassis(CentralSouthbound, Sluice):
    def prepare(self, ports):
        self.southbound = self.southbound_of(None)
        self.local = self.rig.serve_local(self.home)
        self.ns = self.rig.namespace(self.home)
        self.configure()
        self.add_bridges('--no-wait')
        for port in sorted(ports, key=lambda p: p.preload()):
            self.vsctl('--no-wait', *self.plug_words(port, port.devargs()))

    def launch(self):
        begin = time.monotonic()
        self.spawn(1)
        return begin

    def end(self):
        self.rig.end(self.main, timeout=30)

    def memory(self):
        return memory(self.main.process.pid)

    def cpu_ms(self):
        return cpu_ms(self.main.process.pid)


CHASSIS = {Incumbent: IncumbentChassis, Sluice: SluiceChassis}


class ControlRun:
    """One side from an empty central to the last change."""

    def __init__(self, rig, options, kind, say):
        self.rig, self.options, self.say = rig, options, say
        self.side = CHASSIS[kind](rig, options)
        self.results = {}

    def result(self, key, value, detail=''):
        self.results[key] = value
        self.say('s7 %s %s %s%s' % (key, self.side.label, value, ' | ' + detail if detail else ''))

    def build_central(self):
        rig = self.rig
        rig.start_central()
        run_script(rig, 's7')
        words = []
        for k in range(2, REMOTES + 2):
            words += ['--', 'chassis-add', 'hv%d' % k, 'geneve', '172.16.0.%d' % k]
        rig.sbctl(*words[1:])
        rig.nbctl('--wait=sb', 'sync')
        self.local = ['lp-%d-0' % i for i in range(LOCAL - 1)] + [SINK]
        remote = [p for p in ('lp-%d-%d' % (i, j) for i in range(SWITCHES)
                              for j in range(PORTS_EACH)) if p not in self.local]
        for k in range(REMOTES):
            bind(rig, 'hv%d' % (k + 2), remote[k::REMOTES])
        rig.nbctl('--wait=sb', 'sync')
        self.watch = SouthboundWatch(rig.folder + '/central/db.sock')

    def ports(self):
        """The local ports; the endless source and its sink are among them."""
        frame = bytes.fromhex('020000010001') + bytes.fromhex('020000010000') + struct.pack(
            '!H', ETHERTYPE) + bytes(50)
        path = self.rig.home('packets') + '/source.pcap'
        write_pcap(path, [frame] * 32)
        pcaps = {'source': (path, 32)}
        return [PlannedPort(i, 'vif', name, 'rx:source' if name == SOURCE else 'null', pcaps)
                for i, name in enumerate(self.local)]

    def until_forwarding(self):
        """When the sink has sent its first frame; the socket may not be there yet."""
        end = time.monotonic() + 120
        base = None
        while time.monotonic() < end:
            if base is None and isinstance(self.side, IncumbentChassis):
                base = self.side.counters()[1].get(SINK, (0, 0))[1]
            if answers(self.side.main.ctl):
                at, table = self.side.counters()
                if table.get(SINK, (0, 0))[1] > (base or 0):
                    return at
            time.sleep(0.002)
        raise RuntimeError('nothing is forwarded')

    def start(self, runs=3):
        times = {'forwarding': [], 'acknowledged': [], 'ports_up': []}
        for i in range(runs):
            if i:
                self.side.end()
                self.watch.wait(lambda: not self.watch.up & set(self.local), 'ports down')
            self.rig.nbctl('--wait=sb', 'sync')
            self.watch.forget()
            wanted = self.watch.newest()
            begin = self.side.launch()
            times['forwarding'].append(self.until_forwarding() - begin)
            self.watch.wait(lambda: self.watch.acknowledged(wanted), 'nb_cfg')
            self.watch.wait(lambda: self.watch.up >= set(self.local), 'ports up')
            times['acknowledged'].append(self.watch.acknowledged(wanted) - begin)
            times['ports_up'].append(max(self.watch.up_at[p] for p in self.local) - begin)
        for key, values in times.items():
            self.result('start_until_%s_s' % key, '%.3f' % statistics.median(values),
                        ' '.join('%.3f' % v for v in values))

    def change(self, key, words, count=9):
        """words(i): an ovn-nbctl command. Milliseconds from northd's transaction on."""
        beyond, total, cpu = [], [], 0
        for i in range(count + 1):
            before = self.side.cpu_ms()
            begin = time.monotonic()
            self.rig.nbctl('--wait=hv', *words(i))
            end = time.monotonic()
            number = self.watch.newest()
            self.watch.wait(lambda n=number: self.watch.acknowledged(n), key)
            if i == 0:
                continue        # the first of its kind may make what the others find
            with self.watch.lock:
                beyond.append((self.watch.acknowledged(number) - self.watch.global_cfg[number]) * 1e3)
            total.append((end - begin) * 1e3)
            cpu += self.side.cpu_ms() - before
        self.result(key + '_ms', '%.1f' % statistics.median(beyond),
                    'min %.1f max %.1f of %d; whole command %.0f; chassis cpu %.0f' % (
                        min(beyond), max(beyond), count, statistics.median(total), cpu / count))

    def plug_port(self, count=5):
        """A DPDK port added until Port_Binding says up; the logical port is there already."""
        times = []
        for i in range(count):
            name = 'nw%d' % i
            self.rig.nbctl('--wait=hv', 'lsp-add', 'ls2', name, '--', 'lsp-set-addresses', name,
                           '02:00:00:03:00:%02x 10.0.2.%d' % (i, 100 + i))
            port = PlannedPort(100 + i, 'vif', name, 'null', {})
            begin = time.monotonic()
            self.side.vsctl('--no-wait', *self.side.plug_words(port, port.devargs()))
            self.watch.wait(lambda n=name: n in self.watch.up, name + ' up')
            times.append((self.watch.up_at[name] - begin) * 1e3)
        self.result('port_added_until_up_ms', '%.0f' % statistics.median(times),
                    'min %.0f max %.0f of %d' % (min(times), max(times), count))

    def changes(self):
        self.change('nothing', lambda i: ['sync'])
        self.change('address_added', lambda i: ['add', 'Address_Set', 'as0', 'addresses',
                                                '"10.9.0.%d"' % (i + 1)])
        self.change('acl_added', lambda i: [
            'acl-add', 'pg0', 'to-lport', str(3000 + i),
            'outport == @pg0 && udp.dst == %d' % (5000 + i), 'allow-related'])
        self.change('load_balancer_added', lambda i: [
            'lb-add', 'nlb%d' % i, '10.101.0.%d:80' % (i + 1), '10.0.1.10:8080,10.0.2.11:8080', 'tcp',
            '--', 'ls-lb-add', 'ls3', 'nlb%d' % i])

    def run(self):
        self.build_central()
        self.side.prepare(self.ports())
        self.start(self.options.starts)
        self.changes()
        self.plug_port()
        self.result('memory_MB', '%.0f' % self.side.memory(), '' if self.options.huge else
                    'DPDK memory included: no hugepages')
        self.watch.close()
        return self.results


TITLES = [('start_until_forwarding_s', 'start until the first frame, s', '0.3'),
          ('start_until_acknowledged_s', 'start until acknowledged, s', ''),
          ('start_until_ports_up_s', 'start until all ports are up, s', ''),
          ('nothing_ms', 'nothing changed, acknowledged, ms', ''),
          ('address_added_ms', 'address added, ms', '5'), ('acl_added_ms', 'ACL added, ms', '5'),
          ('load_balancer_added_ms', 'load balancer added, ms', '5'),
          ('port_added_until_up_ms', 'DPDK port added until up, ms', '20'),
          ('memory_MB', 'memory beside hugepages, MB', '100')]


def write(results):
    labels = list(results)
    rows = [[title] + [results[label].get(key, '') for label in labels] + [wanted]
            for key, title, wanted in TITLES]
    report.put('control', 'Taken on: %s. s7; changes from northd\'s transaction to the chassis\' '
               'acknowledgement; encap IP %s.\n\n%s' % (
                   report.machine(), ENCAP_IP, report.table(['', *labels, 'wanted'], rows)))


def run(args):
    say, results = log_to(args.log), {}
    for kind in sides_of(args):
        with Hugepages(0 if args.no_huge else args.memory_mb // 2 + 64) as pages:
            args.huge = pages.enough()
            with Rig(Cores(args.core, args.rest_core), args.keep) as rig:
                done = ControlRun(rig, args, kind, say)
                done.run()
                results[done.side.label] = done.results
    if args.write:
        write(results)
    return 0
