#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sluicectl doctor: a dropping ACL is named with its flow, a port in error with its reason, a flood that
a device does not take by the port; a machine without hugepages, before anything is started."""
import json
import os
import subprocess

from checks import run
from network1 import NetLab, configure, populate
from ovnlab.tools import find_program

FLOOD = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print('go', flush=True)
while True:
    s.sendto(b'x' * 10, (sys.argv[1], int(sys.argv[2])))
'''


def doctor(host, *words):
    done = subprocess.run([find_program('sluicectl'), '--run-dir', host.lab.home(host.name), 'doctor',
                           *words, '-j'], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def named(report, check):
    return [f for f in report['findings'] if f['check'] == check]


def test_host(checks, lab):
    """On a machine of files, and on this one."""
    root = lab.folder + '/machine'
    for path, text in (('/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages', '0'),
                       ('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', '0'),
                       ('/sys/devices/system/cpu/online', '0-1'),
                       ('/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor', 'powersave'),
                       ('/sys/devices/system/clocksource/clocksource0/current_clocksource', 'acpi_pm'),
                       ('/dev/net/tun', '')):
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        with open(root + path, 'w') as file:
            file.write(text + '\n')
    done = subprocess.run([find_program('sluicectl'), 'doctor', '--host', '--root', root, '--cores', '1'],
                          capture_output=True, text=True, timeout=60, check=False)
    checks.equal('warnings end in status 3', done.returncode, 3)
    for text in ('warning  hugepages: none are reserved', 'sysctl -w vm.nr_hugepages',
                 'warning  governor of cores 1: is powersave', 'clock source: is acpi_pm'):
        checks.check('told: ' + text, text in done.stdout, done.stdout)
    done = subprocess.run([find_program('sluiced'), '--check'], capture_output=True, text=True, timeout=60,
                          check=False)
    checks.check('sluiced --check looks at this machine', done.returncode in (0, 3, 4) and
                 'Looked at: hugepages' in done.stdout, done.stdout + done.stderr)


def test_acl(checks, lab, vm1, vm2):
    lab.nbctl('acl-add', 'network1', 'from-lport', '1500', 'ip4 && udp.dst == 4444', 'drop')
    lab.sync()
    rows = lab.sbctl('--bare', '--columns=_uuid,match', 'find', 'logical_flow',
                     'priority=2500').split('\n\n')
    flow = [row.split('\n')[0] for row in rows if 'udp.dst == 4444' in row][0]
    flood = vm1.ns.popen('/usr/bin/python3', '-c', FLOOD, vm2.ip, '4444', stdout=subprocess.PIPE)
    try:
        flood.stdout.readline()
        status, report = doctor(vm1.hypervisor, '--node', '--seconds', '1')
    finally:
        flood.kill()
        flood.communicate()
    found = [f for f in named(report, 'drop') if f['subject'] == 'drop logical_flow']
    checks.check('the drops of an ACL, with its flow', len(found) == 1 and flow in found[0]['text'] and
                 found[0]['severity'] == 'note', report)
    lab.nbctl('acl-del', 'network1')
    lab.sync()


def test_port(checks, lab, vm1):
    host = vm1.hypervisor
    status, report = doctor(host, '--node', '--seconds', '0.5')
    checks.check('nothing is critical while all is well', status in (0, 3), report)
    host.lab.vsctl(host.name, '--no-wait', 'add-port', 'br-int', 'ghost')
    checks.within('a port in error', lambda: named(
        doctor(host, '--node', '--seconds', '0.1')[1], 'port_error'))
    status, report = doctor(host, '--node', '--seconds', '0.1')
    checks.equal('is critical', (status, named(report, 'port_error')[0]['subject']), (4, 'port ghost'))
    host.vsctl('--no-wait', 'del-port', 'br-int', 'ghost')


def test_no_daemon(checks, lab):
    done = subprocess.run([find_program('sluicectl'), '--run-dir', lab.folder, 'doctor'],
                          capture_output=True, text=True, timeout=60, check=False)
    checks.check('without a daemon it says what to do', done.returncode == 1 and
                 '--host needs no daemon' in done.stderr, done.stderr)


def test(checks):
    with NetLab() as lab:
        configure(lab)
        vm1, vm2 = populate(lab)
        checks.reaches(vm1, vm2)
        test_host(checks, lab)
        test_acl(checks, lab, vm1, vm2)
        test_port(checks, lab, vm1)
        test_no_daemon(checks, lab)
        text = subprocess.run([find_program('sluicectl'), '--run-dir', lab.home('hv1'), 'ports'],
                              capture_output=True, text=True, timeout=60, check=False).stdout
        checks.check('ports show who polls their queues', 'cycles/packet' in text and
                     'tx-tcp-checksum' in text, text)


if __name__ == '__main__':
    run(test)
