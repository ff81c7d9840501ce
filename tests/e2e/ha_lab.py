# SPDX-License-Identifier: Apache-2.0
"""A network behind a group of gateways: vm1 on hv1, a router whose outside port lives on the best of
gw1, gw2, gw3, and a host outside on the physical network that the gateways share.

    vm1 -- hv1 == wire (tunnels, BFD) == gw1, gw2, gw3 -- ext (physical network) -- outside
"""
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from ovnlab.netlab import UNDERLAY_MTU, VM_MTU, NetLab, Vm  # noqa: E402

GATEWAYS = {'gw1': 30, 'gw2': 20, 'gw3': 10}
NORTHBOUND = '''
set NB_Global . options:bfd-min-rx=100 options:bfd-min-tx=100 options:bfd-mult=3
ls-add in -- ls-add out -- lr-add r
lrp-add r r-in 40:44:00:00:00:fe 10.0.0.254/24 -- lrp-add r r-out 40:44:00:00:01:fe 172.16.0.1/24
lsp-add in in-r -- lsp-set-type in-r router -- lsp-set-addresses in-r router
lsp-set-options in-r router-port=r-in
lsp-add out out-r -- lsp-set-type out-r router -- lsp-set-addresses out-r router
lsp-set-options out-r router-port=r-out
lsp-add out phys -- lsp-set-type phys localnet -- lsp-set-addresses phys unknown
lsp-set-options phys network_name=phys
lsp-add in vm1 -- lsp-set-addresses vm1 "40:44:00:00:00:01 10.0.0.11"
'''

_RECEIVER = '''
import collections, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
s.bind(("0.0.0.0", 9999)); s.settimeout(10)
print("ready", flush=True)
seen = collections.Counter()
try:
    while True:
        n = int(s.recv(200).split()[0])
        if n < 0: break
        seen[n] += 1
except TimeoutError: pass
print(" ".join("%d:%d" % one for one in sorted(seen.items())))
'''

_SENDER = '''
import select, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((sys.argv[1], 9999))
n, gap, due = 0, float(sys.argv[2]), time.monotonic()
while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
    try: s.send(b"%d " % n + b"x" * 60)
    except OSError: pass
    # No bursts after a pause of this process: a packet stands for its share of time.
    n += 1; due = max(due + gap, time.monotonic() - gap)
time.sleep(1)
for _ in range(3):
    try: s.send(b"-1")
    except OSError: pass  # the first one was enough: nobody listens any more
print(n)
'''


class Stream:
    """Numbered datagrams; finish() says how many were sent, lost, and came more than once."""

    def __init__(self, source, target, per_second):
        pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
        self.receiver = target.ns.popen(sys.executable, '-c', _RECEIVER, **pipes)
        self.receiver.stdout.readline()
        self.sender = source.ns.popen(sys.executable, '-c', _SENDER, target.ip,
                                      str(1.0 / per_second), **pipes)
        self.helpers = source.ns.lab.helpers
        self.helpers += [self.receiver, self.sender]

    def finish(self):
        sent = int(self.sender.communicate('stop\n', timeout=30)[0])
        words = self.receiver.communicate(timeout=30)[0].split()
        seen = dict(tuple(map(int, word.split(':'))) for word in words)
        for process in (self.receiver, self.sender):
            self.helpers.remove(process)
        missing = [n for n in range(sent) if n not in seen]
        return sent, missing, sum(count - 1 for count in seen.values())


class Changes(threading.Thread):
    """Rows that come and go in the Southbound database, a batch in each transaction."""

    BATCH = 50

    def __init__(self, lab, per_second):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect('%s/central/db.sock' % lab.folder)
        self.datapath = lab.sbctl('--bare', '--columns=_uuid', 'find', 'Datapath_Binding',
                                  'external_ids:name=r').strip()
        self.pause_s = self.BATCH / per_second
        self.going, self.rows, self.error = True, 0, ''

    def transact(self, operations):
        message = {'id': self.rows, 'method': 'transact', 'params': ['OVN_Southbound', *operations]}
        self.socket.sendall(json.dumps(message).encode())
        text, decoder = '', json.JSONDecoder()
        while True:
            text += self.socket.recv(1 << 20).decode()
            try:
                answer = decoder.raw_decode(text)[0]
                break
            except ValueError:
                continue
        bad = [one for one in answer['result'] if one and 'error' in one]
        self.error = self.error or (str(bad) if bad or answer['error'] else '')
        self.rows += len(operations)

    def run(self):
        insert = [{'op': 'insert', 'table': 'MAC_Binding', 'row': {
            'logical_port': 'r-out', 'ip': '172.16.0.%d' % (150 + n),
            'mac': '40:44:00:00:99:%02x' % n, 'datapath': ['uuid', self.datapath]}}
                  for n in range(self.BATCH)]
        delete = [{'op': 'delete', 'table': 'MAC_Binding',
                   'where': [['ip', '==', '172.16.0.%d' % (150 + n)]]} for n in range(self.BATCH)]
        due = time.monotonic()
        while self.going:
            for batch in (insert, delete):
                self.transact(batch)
                due = max(due + self.pause_s, time.monotonic() - self.pause_s)
                time.sleep(max(0, due - time.monotonic()))

    def finish(self):
        self.going = False
        self.join()
        self.socket.close()
        return self.rows


class Pulse(threading.Thread):
    """How long this machine made somebody wait who wanted to sleep for 5 ms. BFD of 3 x 100 ms says
    nothing of gateways where processes stand still for as long."""

    MOST_S = 0.05

    def __init__(self):
        super().__init__(daemon=True)
        self.going, self.worst_s = True, 0
        self.start()

    def run(self):
        while self.going:
            before = time.monotonic()
            time.sleep(0.005)
            self.worst_s = max(self.worst_s, time.monotonic() - before)

    def was_calm(self):
        self.going = False
        self.join()
        return self.worst_s < self.MOST_S


class HaLab(NetLab):
    def build(self, kinds=()):
        """The whole network. `kinds`: chassis -> kind, where it is not sluice."""
        kinds = dict(kinds)
        self.start_central()
        for line in NORTHBOUND.strip().splitlines():
            self.nbctl(*shlex.split(line))
        self.wire.run('ip', 'link', 'add', 'ext', 'type', 'bridge', 'stp_state', '0')
        self.wire.run('ip', 'link', 'set', 'ext', 'up')
        host = self.hypervisor('hv1', '192.168.50.1', kinds.get('hv1', 'sluice'))
        for number, (name, priority) in enumerate(GATEWAYS.items(), 11):
            gateway = self.hypervisor(name, '192.168.50.%d' % number, kinds.get(name, 'sluice'))
            self.plug_outside(gateway)
            self.nbctl('lrp-set-gateway-chassis', 'r-out', name, str(priority))
        self.vm1 = self.vm('vm1', host, '40:44:00:00:00:01', '10.0.0.11/24', gateway='10.0.0.254')
        self.outside = Vm(self.namespace('outside'), None, 'outside', '40:44:00:00:01:01',
                          ('172.16.0.100/24',))
        self.connect(self.outside.ns, 'eth0', self.wire, 'to-outside', VM_MTU)
        self.wire.run('ip', 'link', 'set', 'to-outside', 'master', 'ext')
        for words in (('link', 'set', 'eth0', 'address', self.outside.mac),
                      ('address', 'add', '172.16.0.100/24', 'dev', 'eth0'),
                      ('route', 'add', '10.0.0.0/24', 'via', '172.16.0.1')):
            self.outside.ns.run('ip', *words)
        self.wait_up(['vm1'])

    def plug_outside(self, gateway):
        self.connect(gateway.ns, 'eth2', self.wire, 'ext-' + gateway.name,
                     UNDERLAY_MTU)
        self.wire.run('ip', 'link', 'set', 'ext-' + gateway.name, 'master', 'ext')
        words = ['--', 'set', 'bridge', 'br-ex', 'datapath_type=netdev'] * (gateway.kind == 'ovs')
        gateway.vsctl('add-br', 'br-ex', *words, '--', 'add-port', 'br-ex', 'eth2', '--', 'set',
                      'Open_vSwitch', '.', 'external-ids:ovn-bridge-mappings=phys:br-ex')

    def active(self):
        """The chassis that has claimed the router's outside port, by the database."""
        uuid = self.sbctl('--bare', '--columns=chassis', 'find', 'Port_Binding',
                          'logical_port=cr-r-out').strip()
        return self.sbctl('--bare', 'get', 'Chassis', uuid, 'name').strip('"\n') if uuid else ''

    def kill(self, host):
        """As if the power had gone."""
        os.kill(host.main.process.pid, signal.SIGKILL)
        self.daemons.remove(host.main)
        host.main.process.wait()

    def flaps(self, *names):
        """What BFD said of tunnels that went down, by the logs."""
        found = []
        for name in names:
            with open(self.hypervisors[name].main.log) as log:
                found += [name + ': ' + line.strip() for line in log if 'BFD down' in line]
        return found
