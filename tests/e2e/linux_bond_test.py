#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""LACP against Linux' bonding driver (mode 802.3ad), which runs in a virtual machine: the kernel of the
machine need not have it. The machine's two cards are taps that sluiced's bond has as members; packets
go between the guest and the host's kernel, whose leg on the bond is the bridge's local interface."""
import re
import subprocess
import sys
import os
import time

from bond_lab import CABLES, BondedSluice, NetLab
from checks import SKIPPED, run
from ovnlab import guest
from ovnlab.guest import Guest, NoGuest

HOST, GUEST = '192.168.50.100', '192.168.50.7'
ADDRESSES = ['192.168.50.%d' % n for n in range(100, 116)]
SYSTEM = '02:00:00:00:be:01'
BOND = '/sys/class/net/bond0/bonding'

_SENDER = '''
import select, socket, sys, time
flows = []
for i in range(32):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 20000 + i)); s.setblocking(False)
    flows.append(s)
n, due = 0, time.monotonic()
while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
    try: flows[n % 32].sendto(b"x" * 60, (sys.argv[1], 9996)); n += 1
    except OSError: pass
    due = max(due + 0.01, time.monotonic() - 0.1)
time.sleep(1)
print(n)
'''


class BondedGuest(Guest):
    """A virtual machine with a tap for each cable, in the namespace of a hypervisor."""

    def start(self, ns, timeout_s=120):
        cards = []
        for n, cable in enumerate(CABLES):
            cards += ['-netdev', 'tap,id=n%d,ifname=%s,script=no,downscript=no,vhost=off' % (n, cable),
                      '-device', 'virtio-net-pci,netdev=n%d,mac=52:54:00:00:00:%02x,romfile=,'
                      'speed=10000,duplex=full' % (n, n)]
        with open('%s/%s.qemu.log' % (self.lab.folder, self.name), 'ab') as log:
            self.process = ns.popen(
                'setpriv', '--pdeathsig', 'KILL', '--', 'qemu-system-x86_64', '-display', 'none',
                '-no-reboot', '-nodefaults', '-machine', 'q35,accel=tcg', '-cpu', 'max', '-m', '192',
                '-kernel', self.kernel, '-initrd', self.ramdisk, '-append',
                'console=ttyS0 quiet panic=-1', '-chardev',
                'socket,id=console,path=%s,server=on,wait=off' % self.console_path, '-serial',
                'chardev:console', *cards, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.lab.helpers.append(self.process)
        self.lab.wait(self.attach, 'QEMU of ' + self.name)
        self.read_until('guest is up', timeout_s)

    def bond(self, mode, *settings):
        """A new bond0 over both cards."""
        lines = ['ip link set bond0 down 2>/dev/null; echo -bond0 > /sys/class/net/bonding_masters '
                 '2>/dev/null', 'echo +bond0 > /sys/class/net/bonding_masters',
                 'echo %s > %s/mode' % (mode, BOND), 'echo 50 > %s/miimon' % BOND]
        lines += ['echo %s > %s/%s' % (value, BOND, name) for name, value in settings]
        for card in ('eth0', 'eth1'):
            lines += ['ip link set %s down' % card, 'echo +%s > %s/slaves' % (card, BOND)]
        lines += ['ip addr add %s/24 dev bond0' % GUEST, 'ip link set bond0 up']
        for line in lines:
            self.run(line)

    def status(self):
        return self.run('cat /proc/net/bonding/bond0')[1]

    def datagrams(self):
        """How many came, to a port that nobody listens on."""
        return int(re.findall(r'^Udp: \d+ (\d+)', self.run('cat /proc/net/snmp')[1], re.M)[0])


class Stream:
    """Datagrams of 32 flows from the host's kernel to the guest, all counted."""

    def __init__(self, vm, ns):
        self.vm, self.before = vm, vm.datagrams()
        self.started = time.time()
        self.sender = ns.popen(sys.executable, '-c', _SENDER, GUEST, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        vm.lab.helpers.append(self.sender)

    def finish(self):
        """(sent, lost, seconds)"""
        sent = int(self.sender.communicate('stop\n', timeout=60)[0])
        return sent, sent - (self.vm.datagrams() - self.before), time.time() - self.started


def spread(host, what):
    return [host.members()[cable][what] for cable in CABLES]


def is_negotiated(host):
    report = host.report()
    return report['lacp_status'] == 'negotiated' and all(m['enabled'] for m in report['members'])


def lacp(checks, host, vm):
    vm.bond('802.3ad', ('lacp_rate', 'fast'), ('xmit_hash_policy', 'layer3+4'))
    checks.within('LACP with Linux is negotiated', lambda: is_negotiated(host), 60)
    time.sleep(3)
    status = vm.status()
    checks.check('Linux sees us in both members',
                 status.count('system mac address: ' + SYSTEM) == 2, status)
    checks.equal('and has them in one aggregator',
                 len(set(re.findall(r'Aggregator ID: (\d+)', status)[-2:])), 1)
    # Activity, timeout, aggregation, synchronized, collecting, distributing: 0x3f, on both sides.
    checks.equal('all bits are set on both sides', re.findall(r'port state: (\d+)', status),
                 ['63'] * 4)
    checks.equal('Linux answers pings', vm.ping(HOST, 3), 3)

    before = spread(host, 'rx_packets'), spread(host, 'tx_packets')
    stream = Stream(vm, host.ns)
    vm.run('for a in %s; do ping -c 2 -W 5 $a > /dev/null & done; wait' % ' '.join(ADDRESSES), 60)
    sent, lost, _ = stream.finish()
    checks.equal('nothing is lost', lost, 0)
    ours = [b - a for a, b in zip(before[1], spread(host, 'tx_packets'))]
    theirs = [b - a for a, b in zip(before[0], spread(host, 'rx_packets'))]
    checks.check('we spread over both', min(ours) > sent / 10, ours)
    checks.check('Linux spreads over both', min(theirs) > 8, theirs)


def failures(checks, host, vm):
    for what, fail, mend in (
            ('our link goes', lambda: host.ns.run('ip', 'link', 'set', 'u0', 'down'),
             lambda: host.ns.run('ip', 'link', 'set', 'u0', 'up')),
            ('its card stops, LACPDUs with it', lambda: vm.run('ip link set eth0 down'),
             lambda: vm.run('ip link set eth0 up'))):
        stream = Stream(vm, host.ns)
        time.sleep(1)
        fail()
        checks.within('%s: the member is out' % what, lambda: not host.members()['u0']['enabled'])
        time.sleep(4)       # Linux needs as long to notice
        checks.equal('%s: pings go on' % what, vm.ping(HOST, 3), 3)
        mend()
        checks.within('%s and comes back' % what, lambda: is_negotiated(host), 60)
        time.sleep(1)
        sent, lost, seconds = stream.finish()
        # Three seconds of LACPDUs that do not come, half of the flows, and as much again as grace.
        checks.check('%s: loss is bounded' % what, lost < 4 * sent / seconds,
                     '%d of %d in %.0f s' % (lost, sent, seconds))
        print('      %s: %d of %d packets lost in %.1f s' % (what, lost, sent, seconds))


def active_backup(checks, host, vm):
    # The bond goes on with whom it has; Linux begins with its first card.
    host.bond('bond_mode=active-backup', 'other_config:lacp-system-id="%s"' % SYSTEM,
              'other_config:bond-primary=u0')
    vm.bond('active-backup')
    checks.within('active-backup on both sides: pings pass', lambda: vm.ping(HOST, 1) == 1, 60)
    ours = [n for n, m in host.members().items() if m['active']][0]
    vm.run('echo eth%s > %s/active_slave' % (ours[1], BOND))
    checks.within('over the same cable', lambda: vm.ping(HOST, 1) == 1, 30)


def test(checks):
    build = os.environ.get('SLUICE_BUILD', 'build')
    guest.MODULES += ('tls', 'bonding')
    try:
        files = guest.image(os.path.abspath(build) + '/guest-image-bond')
    except NoGuest as why:
        print('skipped: %s' % why)
        sys.exit(SKIPPED)
    with NetLab() as lab:
        lab.start_central()
        host = lab.hypervisor('hv1', HOST, 'bonded-sluice')
        host.address_underlay = lambda: None        # the kernel's leg has the addresses
        vm = BondedGuest(lab, files, 'linux', 'unused', '')
        vm.start(host.ns)
        vm.run('insmod /lib/tls.ko; insmod /lib/bonding.ko max_bonds=0')
        for cable in CABLES:
            host.ns.run('ip', 'link', 'set', cable, 'up')
        host.bond('bond_mode=balance-tcp', 'lacp=active', 'other_config:lacp-time=fast',
                  'other_config:lacp-system-id="%s"' % SYSTEM)
        checks.within("the bridge's local interface is there", lambda: host.ns.run(
            'ip', 'link', 'show', 'br-phys', check=False), 20)
        for address in ADDRESSES:
            host.ns.run('ip', 'address', 'add', address + '/24', 'dev', 'br-phys')
        host.ns.run('ip', 'link', 'set', 'br-phys', 'up')
        lacp(checks, host, vm)
        failures(checks, host, vm)
        active_backup(checks, host, vm)
        vm.stop()


if __name__ == '__main__':
    sys.exit(run(test))
