# SPDX-License-Identifier: Apache-2.0
"""Hypervisors under test: the same scenario played by a reference and by sluice.

A scenario (SPEC, described in ref_hv.py) names chassis, northbound configuration, interfaces
and packets. `Hypervisors` sets everything up, injects the packets one by one and attributes to
each what came out of every port. The two subclasses differ in one thing only: which daemons a
chassis is made of. All ports are in-memory devices, all uplinks meet in one hub, no root or
kernel module is needed.
"""
import json
import os
import shlex
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from ovnlab.processes import Lab, LabError, answers  # noqa: E402
from ovnlab.tools import find_program  # noqa: E402
from ovnlab.unixctl import UnixctlError, unixctl  # noqa: E402
from ovnlab.wire import GrowingPcap, Hub  # noqa: E402

from choices import Recorder, Steering, is_icmp  # noqa: E402
from compare import is_kind  # noqa: E402
from flows import replace_flows  # noqa: E402
from replies import answer  # noqa: E402

NO_TUPLE = 'no free tuple'      # for NAT
DEFAULT_CHASSIS = [{'name': 'hv1', 'encap_ip': '192.168.0.1'}]


class Hypervisors(Lab):
    """One scenario, from the empty directory to the list of outputs."""

    def __init__(self, spec, settle_s=0.04, keep=False):
        super().__init__(prefix='hv.', keep=keep)
        self.spec, self.settle_s = spec, settle_s
        self.chassis = spec.get('chassis') or DEFAULT_CHASSIS
        self.remote = spec.get('remote') or []
        interfaces = spec['interfaces']
        if isinstance(interfaces, dict):
            interfaces = [{'name': k, 'iface_id': v} for k, v in interfaces.items()]
        self.interfaces = [dict({'chassis': self.chassis[0]['name']}, **i) for i in interfaces]
        self.switch = {}        # chassis -> the daemon that has the ports
        self.timings_s, self.last_mark = {}, time.time()
        self.hub = Hub(self.folder)
        self.pcaps = {}
        self.owner = {i['name']: i['chassis'] for i in self.interfaces}
        self.barrier = spec.get('barrier')
        self.to_answer = {}     # what came out last
        self.log_read = {}      # chassis -> lines of its ACL log that were told

    barrier_timeout_s = 10      # a busy machine is no reason to give up

    # What a chassis is made of -----------------------------------------------------------------

    def start_switch(self, chassis):
        """Starts the daemon that owns the ports of a chassis, and returns it."""
        raise NotImplementedError

    def start_controller(self, chassis):
        """Starts what else a chassis needs once its bridges are there."""

    # Set-up ------------------------------------------------------------------------------------

    def mark(self, phase):
        now = time.time()
        self.timings_s[phase] = round(now - self.last_mark, 3)
        self.last_mark = now

    def lines(self, texts, together=False):
        """The scenario's configuration; in a single transaction if it is nothing but nbctl's."""
        if together:
            self.nbctl('--wait=sb', *shlex.split(' -- '.join(texts)))
            return
        for text in texts:
            self.line(text)

    def line(self, text):
        """One line of the scenario's configuration."""
        text = text.strip()
        if not text or text[0] == '#':
            return
        if text == 'sync':
            self.sync()
            return
        words = shlex.split(text)
        tool, _, chassis = words[0].partition(':')
        if tool in ('sb', 'ovn-sbctl'):
            self.sbctl(*words[1:])
        elif tool in ('vs', 'ovs-vsctl'):
            self.vsctl(chassis or self.chassis[0]['name'], *words[1:])
        else:
            # Waiting for northd line by line makes it hand out the same tunnel keys in every run.
            self.nbctl('--wait=sb', *(words[1:] if tool == 'ovn-nbctl' else words))

    def start(self):
        self.start_central()
        self.mark('central_up')
        self.hub.start()
        neighbours = {}     # name -> (tunnel address, MAC)
        for number, chassis in enumerate(self.chassis):
            mac = chassis.get('mac') or '02:aa:00:00:00:%02x' % (number + 1)
            neighbours[chassis['name']] = (chassis['encap_ip'], mac)
            self.start_chassis(chassis, mac)
        for remote in self.remote:
            neighbours[remote['name']] = (remote['ip'], remote.get('mac', '02:bb:00:00:00:01'))
        for chassis in self.chassis:    # native tunnelling does not queue packets for ARP
            for name, (ip, mac) in neighbours.items():
                if name != chassis['name']:
                    self.control(chassis['name'], 'tnl/neigh/set', 'br-phys', ip, mac)
        self.mark('chassis_up')
        for remote in self.remote:
            self.sbctl('chassis-add', remote['name'], remote.get('encap', 'geneve'), remote['ip'])
        self.lines(self.spec.get('nb') or [], self.spec.get('together'))
        self.plug_interfaces()
        self.sync('sb')
        for remote in self.remote:
            for port in remote.get('ports', []):
                self.sbctl('lsp-bind', port, remote['name'])
        self.sync()
        self.wait_up({i['iface_id'] for i in self.interfaces
                      if i.get('iface_id') and i.get('up', True)})
        self.sync()
        if 'flows' in self.spec:
            replace_flows(self, self.spec['flows'], self.spec.get('sb', []))
        self.mark('configured')
        self.pcaps = self.open_pcaps()
        time.sleep(self.settle_s)
        return self.collect()

    def open_pcaps(self):
        return {i['name']: GrowingPcap('%s/%s/%s-tx.pcap' % (self.folder, i['chassis'], i['name']))
                for i in self.interfaces}

    def start_chassis(self, chassis, mac):
        name = chassis['name']
        uplink = self.hub.listen(name)
        self.database(name, 'db', 'vs')
        self.vsctl(name, '--no-wait', 'init')
        self.switch[name] = self.start_switch(name)
        self.wait(lambda: answers(self.switch[name].ctl), self.switch[name].name)
        ids = {'system-id': name, 'hostname': name,
               'ovn-remote': 'unix:%s/central/db.sock' % self.folder,
               'ovn-encap-type': chassis.get('encap_type', 'geneve'),
               'ovn-encap-ip': chassis['encap_ip']}
        if chassis.get('bridge_mappings'):
            ids['ovn-bridge-mappings'] = chassis['bridge_mappings']
        ids.update(chassis.get('external_ids') or {})
        self.vsctl(name, 'add-br', 'br-phys', '--', 'set', 'bridge', 'br-phys',
                   'other-config:hwaddr="%s"' % mac,
                   '--', 'add-port', 'br-phys', 'uplink',
                   '--', 'set', 'Interface', 'uplink', 'options:stream=unix:' + uplink,
                   '--', 'set', 'Open_vSwitch', '.',
                   *['external-ids:%s=%s' % (k, json.dumps(v)) for k, v in ids.items()],
                   '--', 'add-br', 'br-int', '--', 'set', 'bridge', 'br-int', 'fail-mode=secure',
                   'other-config:disable-in-band=true')
        family = '6' if ':' in chassis['encap_ip'] else '4'
        address = '%s/%d' % (chassis['encap_ip'],
                             chassis.get('prefix_len', 64 if family == '6' else 24))
        self.control(name, 'netdev-dummy/ip%saddr' % family, 'br-phys', address)
        self.control(name, 'ovs/route/add', address, 'br-phys')
        self.start_controller(name)

    def plug_interfaces(self):
        for chassis in {i['chassis'] for i in self.interfaces}:
            words = []
            for interface in [i for i in self.interfaces if i['chassis'] == chassis]:
                name = interface['name']
                pcap = '%s/%s/%s' % (self.folder, chassis, name)
                words += ['--', 'add-port', 'br-int', name, '--', 'set', 'Interface', name,
                          'options:tx_pcap=%s-tx.pcap' % pcap,
                          'options:rxq_pcap=%s-rx.pcap' % pcap]
                if interface.get('iface_id'):
                    words.append('external_ids:iface-id=' + json.dumps(interface['iface_id']))
                if interface.get('mac'):
                    words.append('mac="%s"' % interface['mac'])
            self.vsctl(chassis, *words[1:])

    # Packets -----------------------------------------------------------------------------------

    def control(self, chassis, command, *args):
        return unixctl(self.switch[chassis].ctl, command, *args)

    def collect(self):
        out = {name: frames for name, frames in ((n, p.new()) for n, p in self.pcaps.items())
               if frames}
        wire = self.hub.take()
        if wire:
            out['wire'] = [list(entry) for entry in wire]
        return out

    def settle(self, wait_ms=0):
        """What came out, once all that was sent has been dealt with."""
        if self.barrier and not wait_ms:
            out = self.pass_barrier()
            if out is not None:
                return out
        return self.wait_quiet(wait_ms)

    def pass_barrier(self):
        """Sends the barrier's packet after the others; None when no answer comes.

        Whoever builds its answer takes packets in order, so all before are done too. Twice: what came
        of an earlier packet may itself have been handed to the controller.
        """
        port, frame = self.barrier['packet']
        ports = [p for p in self.pcaps if p != port]
        out = {}
        for _ in range(self.barrier.get('times', 2)):
            self.control(self.owner[port], 'netdev-dummy/receive', port, frame)
            end = time.time() + self.barrier_timeout_s
            while not self.pcaps[port].pending():
                if time.time() > end:
                    sys.stderr.write('the barrier does not answer: waiting for silence instead\n')
                    self.barrier = None
                    return None
                time.sleep(0.0005)
            self.pcaps[port].new()
        wire = self.pass_wire_barrier() if 'wire' in self.barrier else self.hub.take()
        if wire is None:
            return None
        for name in ports:
            frames = self.pcaps[name].new()
            if frames:
                out[name] = frames
        if wire:
            out['wire'] = [list(entry) for entry in wire]
        return out

    def pass_wire_barrier(self):
        """Frames that went over the wire before one of ours did."""
        port, frame = self.barrier['wire']
        self.control(self.owner[port], 'netdev-dummy/receive', port, frame)
        mark, wire, end = frame[28:], [], time.time() + self.barrier_timeout_s
        while time.time() < end:
            wire += self.hub.take()
            if any(taken.endswith(mark) for _, taken in wire):
                return [entry for entry in wire if not entry[1].endswith(mark)]
            time.sleep(0.0005)
        sys.stderr.write('the barrier does not get to the wire: waiting for silence instead\n')
        self.barrier = None
        return None

    def wait_quiet(self, wait_ms=0):
        """Collects until nothing new came out for a while."""
        quiet_s, end = max(self.settle_s, wait_ms / 1000.0), time.time() + 5
        last, out = time.time(), {}
        while time.time() - last < quiet_s and time.time() < end:
            if any(p.pending() for p in self.pcaps.values()) or self.hub.log:
                for port, frames in self.collect().items():
                    out.setdefault(port, []).extend(frames)
                last = time.time()
            time.sleep(0.002)
        return out

    def play(self):
        steps = []
        self.before_packets()
        for number, step in enumerate(self.spec['packets']):
            try:
                self.before_step(number)
                done = self.step(step)
                self.after_step(done)
            except (OSError, UnixctlError):
                if not self.has_excused_death():
                    raise
                steps.append({'in': step, 'out': {}, 'excuses': ['it aborts']})
                break
            steps.append(done)
        self.mark('played')
        return steps

    def step(self, step):
        if not isinstance(step, dict):
            return self.inject(*step)
        if 'answer' in step:
            return self.inject_answer(step)
        return self.configure(step)

    def has_excused_death(self):
        """Whether the daemon with the ports died of itself, which explains a difference."""
        return False

    def before_packets(self):
        """Everything is configured, nothing is played yet."""

    def before_step(self, number):
        """Step `number` is about to be played."""

    def after_step(self, done):
        """May add to the record of a step what else is known about it."""

    def inject(self, port, frame, options=None):
        frame = frame.replace(' ', '')
        if port == 'wire':
            self.hub.forward('test', bytes.fromhex(frame))
        else:
            self.control(self.owner[port], 'netdev-dummy/receive', port, frame)
        out = self.settle((options or {}).get('wait_ms', 0))
        if port == 'wire':      # the injected frame itself is not an output
            wire = [entry for entry in out.pop('wire', []) if entry[0] != 'test']
            if wire:
                out['wire'] = wire
        self.remember(out)
        return {'in': [port, frame], 'out': out}

    def remember(self, out):
        """Who got something may answer it; what timers send in between is no reason to forget."""
        kinds, got = self.spec.get('ignore_kinds', ()), {}
        for name, frames in out.items():
            frames = [f for f in frames if not is_kind(f[1] if name == 'wire' else f, kinds)]
            if frames:
                got[name] = frames
        if got:
            self.to_answer = {name: frames for name, frames in got.items() if name != 'wire'}

    def inject_answer(self, step):
        """The receiver of the last frame answers from where it came out."""
        words = dict(step['answer'])
        wanted = words.pop('port', None)
        for port in [wanted] if wanted else sorted(self.to_answer):
            for frame in reversed(self.to_answer.get(port, [])):
                reply = answer(frame, **words)
                if reply:
                    return self.inject(port, reply, step)
        return {'in': step, 'out': {}}

    def configure(self, step):
        """A step that is not a packet: configuration, time, or a look at the Southbound database."""
        for text in step.get('nb', []):
            self.line(text)
        if 'nb' in step:
            self.sync()
        time.sleep(step.get('sleep_ms', 0) / 1000.0)
        out = {} if 'rows' in step or 'acl_log' in step else self.settle()
        if 'rows' in step:
            table, *columns = step['rows']
            rows = self.southbound_rows(table, columns)
            end = time.time() + step.get('until_ms', 0) / 1000.0
            while len(rows) < step.get('at_least', 1) and time.time() < end:
                time.sleep(0.05)
                rows = self.southbound_rows(table, columns)
            out['sb:' + table] = rows
        if 'acl_log' in step:
            for name in sorted(self.switch):
                out['log:' + name] = self.acl_log(name)
        return {'in': step, 'out': out}

    def southbound_rows(self, table, columns):
        text = self.sbctl('--format=csv', '--no-headings', '--data=bare',
                          '--columns=' + ','.join(columns), 'list', table)
        return sorted(text.splitlines())

    def acl_log_file(self, chassis):
        """Where a chassis writes about ACLs that log."""
        raise NotImplementedError

    def acl_log(self, chassis):
        """New lines about ACLs, without time and sequence number."""
        try:
            with open(self.acl_log_file(chassis)) as file:
                lines = [line.strip().split('|', 2)[2].split('|', 2) for line in file
                         if '|acl_log' in line]
        except OSError:
            return []
        seen = self.log_read.get(chassis, 0)
        self.log_read[chassis] = len(lines)
        return ['|'.join(words[1:]) for words in lines[seen:]]

    def complaints(self):
        """What makes the outcome worthless although packets went through: texts, none if all is well."""
        return []

    def go(self):
        with self:
            startup = self.start()
            steps = self.play()
            found = self.complaints()
            if found and not self.spec.get('has_bad_flows'):
                raise LabError('; '.join(found))
        return {'startup': startup, 'steps': steps, 'timings_s': self.timings_s,
                'died': len(steps) < len(self.spec['packets']), **self.more()}

    def more(self):
        """What else is told of a run."""
        return {}

    def stop(self):
        self.hub.stopping = True
        super().stop()
        self.mark('stopped')


class Reference(Hypervisors):
    """ovs-vswitchd with dummy devices, and ovn-controller.

    `like` is what sluice made of the same scenario: then choices by hash are made as sluice did.
    """

    # What it says when it gives a packet up for want of something that is no rule of OVN's.
    excuses = {'Max recirculation depth exceeded': 'recirculation limit',
               'Unable to NAT due to tuple space exhaustion': NO_TUPLE}

    def __init__(self, spec, like=None, **kwargs):
        self.like, self.steering, self.switch_log = like, None, None
        super().__init__(spec, **kwargs)

    def before_packets(self):
        name = self.chassis[0]['name']
        self.switch_log = open(self.home(name) + '/ovs-vswitchd.log', errors='replace')
        self.switch_log.seek(0, os.SEEK_END)
        self.control(name, 'vlog/disable-rate-limit')
        if self.like and self.spec.get('steer'):
            self.steering = Steering(self.home(name) + '/br-int.mgmt', self.env(name),
                                     lambda: self.control(name, 'revalidator/purge'))
            self.steering.read()

    def before_step(self, number):
        chosen = self.like['steps'][number].get('chosen') if self.steering else None
        if chosen:
            self.steering.before(chosen)

    def after_step(self, done):
        said = self.switch_log.read()
        found = sorted({name for text, name in self.excuses.items() if text in said})
        if NO_TUPLE in found and not (isinstance(done['in'], list) and is_icmp(done['in'][1])):
            found.remove(NO_TUPLE)      # of ICMP only, sluice takes another identifier
        if found:
            done['excuses'] = found

    def start_switch(self, chassis):
        return self.daemon(chassis, 'ovs-vswitchd', '--enable-dummy=system', '--disable-system',
                           '--disable-system-route',
                           'unix:%s/db.sock' % self.home(chassis))

    def start_controller(self, chassis):
        self.daemon(chassis, 'ovn-controller', 'unix:%s/db.sock' % self.home(chassis))

    def more(self):
        return {'members': self.steering.members()} if self.steering else {}

    def has_excused_death(self):
        switch = self.switch[self.chassis[0]['name']]
        try:
            switch.process.wait(2)
        except subprocess.TimeoutExpired:
            return False
        return 'assertion' in self.last_words(switch)

    def acl_log_file(self, chassis):
        return self.home(chassis) + '/ovn-controller.log'

    def complaints(self):
        """Flows that ovn-controller cannot parse, or Open vSwitch refuses: then none are installed."""
        found = []
        for name in self.switch:
            with open(self.home(name) + '/ovn-controller.log', errors='replace') as file:
                found += [line.strip() for line in file
                          if 'OpenFlow error' in line or 'error parsing' in line]
        return found[:2]


class Sluice(Hypervisors):
    """sluiced in the place of both."""

    def __init__(self, spec, sluiced=None, options=(), **kwargs):
        self.program = find_program('sluiced', sluiced)
        self.options = list(options)
        self.recorder = None
        super().__init__(spec, **kwargs)

    def start_switch(self, chassis):
        return self.daemon(chassis, 'sluiced', '--db', 'unix:%s/db.sock' % self.home(chassis),
                           '--dummy', '--workers', '1', *self.options, program=self.program)

    def acl_log_file(self, chassis):
        return self.home(chassis) + '/sluiced.log'

    def before_packets(self):
        if self.spec.get('steer'):
            name = self.chassis[0]['name']
            self.recorder = Recorder(lambda: self.control(name, 'dpctl/dump-conntrack'))

    def after_step(self, done):
        if self.recorder and isinstance(done['in'], list):
            chosen = self.recorder.after(done['in'][1])
            if chosen:
                done['chosen'] = chosen

    def settle(self, wait_ms=0):
        for chassis in self.switch:     # a slow machine must not look like a dropped packet
            self.control(chassis, 'sync')
        return super().settle(wait_ms)
