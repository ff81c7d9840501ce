# SPDX-License-Identifier: Apache-2.0
"""Two hypervisors whose underlays are joined by two cables with a bond at each end: sluice on one side,
Open vSwitch with its own LACP on the other. And streams of many flows, of which every packet counts."""
import json
import subprocess
import sys
import time

from network1 import NetLab
from ovnlab import netlab

CABLES = ('u0', 'u1')
FLOWS = 32

_RECEIVER = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.bind(("0.0.0.0", 9998)); s.settimeout(10)
print("ready", flush=True)
seen = set()
try:
    while True:
        n = int(s.recv(100).split()[0])
        if n < 0: break
        seen.add(n)
except TimeoutError: pass
print(len(seen), flush=True)
'''

_SENDER = '''
import select, socket, sys, time
flows = []
for i in range(int(sys.argv[3])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 20000 + i)); s.connect((sys.argv[1], 9998)); flows.append(s)
n, due = 0, time.monotonic()
while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
    try: flows[n % len(flows)].send(b"%d " % n + b"x" * 60)
    except OSError: pass
    n += 1; due = max(due + float(sys.argv[2]), time.monotonic() - 0.2)
time.sleep(1.5)
for _ in range(5): flows[0].send(b"-1")
print(n, flush=True)
'''


class Flows:
    """Numbered packets of many flows from one VM to another; `finish` returns (sent, lost)."""

    def __init__(self, source, target, per_second=400):
        pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
        self.receiver = target.ns.popen(sys.executable, '-c', _RECEIVER, **pipes)
        self.receiver.stdout.readline()
        self.sender = source.ns.popen(sys.executable, '-c', _SENDER, target.ip,
                                      str(1.0 / per_second), str(FLOWS), **pipes)
        source.ns.lab.helpers += [self.receiver, self.sender]
        time.sleep(0.5)

    def finish(self):
        sent = int(self.sender.communicate('stop\n', timeout=30)[0])
        received = int(self.receiver.communicate(timeout=30)[0])
        return sent, sent - received


class BondedSluice(netlab.SluiceHypervisor):
    def start(self, *options):
        self.program = netlab.find_program('sluiced', self.lab.sluiced)
        self.spawn(*options)
        self.vsctl('add-br', 'br-int', '--', 'set', 'bridge', 'br-int', 'fail-mode=secure', '--',
                   'add-br', 'br-phys')

    def bond(self, *settings):
        self.vsctl('--if-exists', 'del-port', 'bond0', '--', 'add-bond', 'br-phys', 'bond0', *CABLES,
                   *settings)
        self.address_underlay()

    def report(self):
        return json.loads(self.control('sluice/bonds'))['bonds'][0]

    def members(self):
        return {member['name']: member for member in self.report()['members']}


class BondedOvs(netlab.OvsHypervisor):
    def start(self):
        self.main = self.lab.daemon(self.name, 'ovs-vswitchd', '--disable-system',
                                    'unix:%s/db.sock' % self.lab.home(self.name),
                                    prefix=self.ns.enter)
        self.lab.wait(lambda: netlab.answers(self.main.ctl), 'ovs-vswitchd of ' + self.name)
        for bridge in ('br-int', 'br-phys'):
            self.vsctl('add-br', bridge, '--', 'set', 'bridge', bridge, 'datapath_type=netdev')
        self.vsctl('set', 'bridge', 'br-int', 'fail-mode=secure')
        self.ns.set_ipv6('br-phys', False)
        self.ns.run('ip', 'address', 'add', '%s/%d' % (self.ip, self.prefix_len), 'dev', 'br-phys')
        self.ns.run('ip', 'link', 'set', 'br-phys', 'up')
        self.lab.daemon(self.name, 'ovn-controller', 'unix:%s/db.sock' % self.lab.home(self.name),
                        prefix=self.ns.enter)

    def bond(self, *settings):
        self.vsctl('--if-exists', 'del-port', 'bond0', '--', 'add-bond', 'br-phys', 'bond0', *CABLES,
                   *settings)


netlab.KINDS.update({'bonded-sluice': BondedSluice, 'bonded-ovs': BondedOvs})


def bonded_pair(lab):
    """(sluice's hypervisor, Open vSwitch's); the bonds are still to be made."""
    hosts = [lab.hypervisor('hv1', '192.168.50.100', 'bonded-sluice'),
             lab.hypervisor('hv2', '192.168.50.101', 'bonded-ovs')]
    for cable in CABLES:
        lab.connect(hosts[0].ns, cable, hosts[1].ns, cable, 1500)
    return hosts


__all__ = ['CABLES', 'BondedSluice', 'Flows', 'NetLab', 'bonded_pair']
