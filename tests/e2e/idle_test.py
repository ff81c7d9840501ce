#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An idle node: what sluiced with ten ports costs when nothing happens, and how long the first packet
after a pause takes. Costs are judged by how often threads wake up and by processor time, against a
sluiced that polls; times are only shown."""
import glob
import os
import statistics
import subprocess
import sys
import time

from checks import run
from network1 import NetLab, configure

PORTS = 10
PAUSES = 60

_RECEIVER = '''
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
s.bind(("0.0.0.0", 9997)); s.settimeout(20)
print("ready", flush=True)
while True:
    data, more, _, _ = s.recvmsg(100, 256)
    sent = int(data)
    if sent == 0: break
    seconds, nanoseconds = struct.unpack("qq", more[0][2][:16])
    print(seconds * 10**9 + nanoseconds - sent, flush=True)
'''

_SENDER = '''
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((sys.argv[1], 9997))
for _ in range(int(sys.argv[2])):
    time.sleep(0.1)
    s.send(b"%d" % time.time_ns())
time.sleep(0.2)
s.send(b"0")
'''


def threads(pid):
    """(nanoseconds on a processor, voluntary switches) of all threads together, and of each by name."""
    used, switches, each = 0, 0, {}
    for folder in glob.glob('/proc/%d/task/*' % pid):
        with open(folder + '/schedstat') as file:
            own = int(file.read().split()[0])
        with open(folder + '/status') as file:
            lines = file.read().splitlines()
        switched = [int(line.split()[1]) for line in lines
                    if line.startswith('voluntary_ctxt_switches')][0]
        name = lines[0].split(None, 1)[1]
        old = each.get(name, (0, 0))
        each[name] = (old[0] + own, old[1] + switched)
        used, switches = used + own, switches + switched
    return used, switches, each


def sluiced_pid(host):
    """The daemon itself, below what enters the namespace for it."""
    with open('/proc/%d/comm' % host.main.process.pid) as file:
        assert file.read().strip() == 'sluiced'
    return host.main.process.pid


def cost(host, seconds):
    """(share of a core, wake-ups a second, those of the worker) of sluiced."""
    pid = sluiced_pid(host)
    start, before = time.monotonic(), threads(pid)
    time.sleep(seconds)
    after, took = threads(pid), time.monotonic() - start
    for name in sorted(after[2]):
        own = [a - b for a, b in zip(after[2][name], before[2].get(name, (0, 0)))]
        print('      %-16s %5.2f %% of a core, %6.0f wake-ups a second' % (
            name, own[0] / took / 1e7, own[1] / took))
    worker = after[2]['sluice-w0'][1] - before[2]['sluice-w0'][1]
    return (after[0] - before[0]) / took / 1e9, (after[1] - before[1]) / took, worker / took


def first_packets(source, target):
    """One-way times in us of packets after pauses of 100 ms, from send() to the kernel's time stamp."""
    pipes = {'stdout': subprocess.PIPE, 'text': True}
    receiver = target.ns.popen(sys.executable, '-c', _RECEIVER, **pipes)
    source.ns.lab.helpers.append(receiver)
    receiver.stdout.readline()
    source.ns.run(sys.executable, '-c', _SENDER, target.ip, str(PAUSES))
    times = sorted(int(line) / 1000 for line in receiver.communicate(timeout=30)[0].split())
    return times


def measure(checks, lab, vms, what):
    host = vms[0].hypervisor
    checks.reaches(vms[0], vms[1], count=2)
    times = first_packets(vms[0], vms[1])
    if checks.equal('%s: every first packet arrives' % what, len(times), PAUSES):
        print('      first packet: median %.0f us, p99 %.0f us' % (
            statistics.median(times), times[int(len(times) * 0.99)]))
    time.sleep(3)
    share, wakes, own = cost(host, 6)
    print('      %s: %.2f %% of a core, %.0f wake-ups a second' % (what, share * 100, wakes))
    return share, wakes, own


def restart(lab, host, vms, *options):
    host.stop()
    host.spawn(*options)
    host.address_underlay()
    lab.wait_up([vm.name for vm in vms])
    lab.sync()


def test(checks):
    with NetLab() as lab:
        configure(lab)
        host = lab.hypervisor('hv1', '192.168.50.100')
        vms = [lab.vm('vm%d' % n, host, '40:44:00:00:00:%02x' % n, '192.168.0.%d/24' % (10 + n))
               for n in (1, 2)]
        lab.wait_up([vm.name for vm in vms])
        for n in range(PORTS - 3):
            host.vsctl('add-port', 'br-int', 'tap%d' % n, '--', 'set', 'Interface', 'tap%d' % n,
                       'type=' + ('internal' if n % 2 else 'tap'))
        lab.sync()
        share, wakes, sleeps = measure(checks, lab, vms, 'adaptive')
        # Two threads that wake every 10 ms, and some timers: counted, whatever else the machine does.
        checks.check('adaptive: few wake-ups', wakes < 600, wakes)
        checks.check('adaptive: below 3 % of a core', share < 0.03, share)

        host.vsctl('add-port', 'br-int', 'null0', '--', 'set', 'Interface', 'null0', 'type=null',
                   'options:no-rx=1')
        lab.sync()
        _, _, naps = measure(checks, lab, vms, 'with a port that can only be polled')
        checks.check('then its worker naps: more often, but not more often than every 50 us',
                     2 * sleeps < naps < 22000, (sleeps, naps))
        restart(lab, host, vms, '--idle-sleep-us', '0')
        _, _, never = measure(checks, lab, vms, 'polling')
        checks.check('with --idle-sleep-us 0 it never sleeps', never < 1, never)


if __name__ == '__main__':
    sys.exit(run(test))
