# SPDX-License-Identifier: Apache-2.0
"""Two hypervisors whose underlays are joined by two cables with a bond at each end: sluice on one side,
Open vSwitch with its own LACP on the other. And streams of many flows, of which every packet counts."""
import json
import signal
import subprocess
import sys

from network1 import NetLab
from ovnlab import netlab
from udp_stream import UdpStream

CABLES = ('u0', 'u1')
FLOWS = 32

_RELAY = '''
import select, signal, socket, sys
LACP = b"\\x88\\x09"
quiet = False
def toggle(*_):
    global quiet
    quiet = not quiet
signal.signal(signal.SIGUSR1, toggle)
ends = []
for name in sys.argv[1:]:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((name, 0))
    ends.append(s)
print("ready", flush=True)
while True:
    for s in select.select(ends, [], [])[0]:
        try:
            frame = s.recv(65536)
            if not (quiet and frame[12:14] == LACP):
                ends[1 - ends.index(s)].send(frame)
        except OSError: pass
'''


class Cable:
    """The first cable, by way of a relay that can lose LACPDUs and nothing else."""

    def __init__(self, lab, hosts):
        self.ns, name = lab.wire, CABLES[0]
        for host, end in zip(hosts, 'ab'):
            lab.connect(host.ns, name, lab.wire, 'relay-' + end, 1500)
        self.process = lab.wire.popen(sys.executable, '-c', _RELAY, 'relay-a', 'relay-b',
                                      stdout=subprocess.PIPE)
        lab.helpers.append(self.process)
        self.process.stdout.readline()

    def set_link(self, state):
        for end in 'ab':
            self.ns.run('ip', 'link', 'set', 'relay-' + end, state)

    def toggle_lacp(self):
        self.process.send_signal(signal.SIGUSR1)


class Flows(UdpStream):
    """Of many flows; `finish` returns (sent, lost)."""

    def __init__(self, source, target):
        super().__init__(source, target, per_second=400, flows=FLOWS)

    def finish(self):
        sent, received, _ = super().finish()
        return sent, sent - received


class BondedSluice(netlab.SluiceHypervisor):
    def start(self, *options):
        self.program = netlab.find_program('sluiced', self.lab.sluiced)
        self.spawn(*options)
        self.vsctl('--may-exist', 'add-br', 'br-int', '--', 'set', 'bridge', 'br-int', 'fail-mode=secure', '--',
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
        # Not in one transaction: what was under LACP would never be enabled again without.
        self.vsctl('--if-exists', 'del-port', 'bond0')
        self.vsctl('add-bond', 'br-phys', 'bond0', *CABLES, *settings)


netlab.KINDS.update({'bonded-sluice': BondedSluice, 'bonded-ovs': BondedOvs})


def bonded_pair(lab):
    """([sluice's hypervisor, Open vSwitch's], the first cable); the bonds are still to be made."""
    hosts = [lab.hypervisor('hv1', '192.168.50.100', 'bonded-sluice'),
             lab.hypervisor('hv2', '192.168.50.101', 'bonded-ovs')]
    lab.connect(hosts[0].ns, CABLES[1], hosts[1].ns, CABLES[1], 1500)
    return hosts, Cable(lab, hosts)


__all__ = ['CABLES', 'BondedSluice', 'Flows', 'NetLab', 'bonded_pair']
