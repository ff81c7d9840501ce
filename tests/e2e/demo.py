#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The scenario of tools/demo: shows a ping, the packet on the wire, its stages, and the counters."""
import os
import re
import signal
import subprocess
import sys
import time

from network1 import NetLab, VMS, configure, populate
from ovnlab.processes import LabError
from ovnlab.tools import find_program

BOLD, GREEN, DIM, PLAIN = ('\033[1m', '\033[32m', '\033[2m', '\033[0m') if sys.stdout.isatty() else (
    '', '', '', '')


def heading(text):
    print('\n%s== %s%s' % (BOLD, text, PLAIN), flush=True)


def show(text, indent='   '):
    for line in text.rstrip().splitlines():
        print(indent + line)
    sys.stdout.flush()


def command(text):
    print('%s$ %s%s' % (DIM, text, PLAIN), flush=True)


def expect(what, found, wanted):
    """Stops the demo when it does not show what it claims to show."""
    if found != wanted:
        raise SystemExit('demo failed: %s is %s, not %s' % (what, found, wanted))
    print('%s   ok%s  %s = %s' % (GREEN, PLAIN, what, found), flush=True)


def show_ping(vm, peer):
    command('ping -c 3 %s    # in %s' % (peer.ip, vm.name))
    sent, received, text = vm.ping(peer, count=3)
    show(text)
    if received == 0 or received < sent - 1:    # the first may wait for ARP below
        raise SystemExit('demo failed: %s does not reach %s' % (vm.name, peer.name))


def tshark_fields(lab, path, expression, fields):
    words = sum([['-e', field] for field in fields], [])
    text = lab.run('central', 'tshark', '-r', path, '-Y', expression, '-T', 'fields', *words)
    first = text.splitlines()[0] if text.strip() else ''
    return dict(zip(fields, first.split('\t')))


def show_wire(lab, path):
    """One tunnelled echo request, decoded by tshark."""
    is_request = 'geneve && icmp.type == 8 && ip.dst == %s' % VMS[1][4]
    command('tshark -r wire.pcap -O geneve    # the first echo request of vm1')
    text = lab.run('central', 'tshark', '-r', path, '-Y', is_request, '-O', 'geneve')
    show(text.split('\n\n')[0])
    fields = ['geneve.vni', 'geneve.option.class', 'geneve.option.type',
              'geneve.option.unknown.data']
    found = tshark_fields(lab, path, is_request, fields)
    expect('VNI', int(found.get('geneve.vni') or '0', 0), 1)
    expect('option class', found.get('geneve.option.class'), '0x0102')
    expect('option type', found.get('geneve.option.type'), '0x80')
    data = re.sub('[^0-9a-f]', '', (found.get('geneve.option.unknown.data') or '').removeprefix('0x'))
    expect('option data', data, '00010002')


def inner_frame(lab, path):
    """The first echo request as vm1 sent it, in hex."""
    text = lab.run('central', 'tshark', '-r', path, '-Y', 'icmp.type == 8', '-c', '50', '-x')
    octets = ''
    for line in text.split('\n\n')[0].splitlines():
        octets += re.sub(r'^[0-9a-f]{4,}\s+((?:[0-9a-f]{2} )+).*$', r'\1', line)
    return octets.replace(' ', '')


def show_program(name, *args, shown=None):
    command(shown or ' '.join([name, *args]))
    done = subprocess.run([find_program(name), *args], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30)
    show(done.stdout)
    if done.returncode:
        raise SystemExit('demo failed: %s exited with %d' % (name, done.returncode))


def demo(lab):
    start = time.time()
    heading('A network in OVN: switch network1, vm1 on hypervisor hv1, vm2 on hv2')
    configure(lab)
    vm1, vm2 = populate(lab)
    command('ovn-nbctl show')
    show(lab.nbctl('show'))
    command('ovn-sbctl show')
    show(lab.sbctl('show'))

    heading('The VMs reach each other: vm1 - sluiced of hv1 - Geneve - sluiced of hv2 - vm2')
    wire, inside = lab.folder + '/wire.pcap', lab.folder + '/vm1.pcap'
    captures = [lab.capture(lab.wire, 'to-hv2', wire), lab.capture(vm1.ns, 'eth0', inside)]
    show_ping(vm1, vm2)
    show_ping(vm2, vm1)
    for capture in captures:
        lab.finish(capture)

    heading('One packet between the hypervisors')
    show_wire(lab, wire)

    heading('The same packet in the pipeline of hv1')
    neighbour = tshark_fields(lab, wire, 'geneve', ['eth.dst'])['eth.dst'].split(',')[0]
    show_program('sluice-trace', '--sb', lab.southbound, '--chassis', 'hv1', '--inport', 'vm1',
                 '--underlay', 'eth1=dummy,ip=%s/24' % VMS[0][2],
                 '--neighbor', '%s=%s' % (VMS[1][2], neighbour), '--hex', inner_frame(lab, inside),
                 shown='sluice-trace --sb unix:central/db.sock --chassis hv1 --inport vm1 --hex ...')

    heading('Counters of hv1')
    for topic in ('status', 'ports', 'tunnels', 'flows', 'drops', 'cache'):
        show_program('sluicectl', '--run-dir', lab.home('hv1'), topic, shown='sluicectl ' + topic)
    print('\n%sdone in %.0f s; removing everything%s' % (BOLD, time.time() - start, PLAIN))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for program in ('sluiced', 'sluicectl', 'sluice-trace'):
        find_program(program)
    try:
        with NetLab(prefix='sluice-demo.', keep=bool(os.environ.get('SLUICE_KEEP'))) as lab:
            lab.keep_on_failure = False
            demo(lab)
    except LabError as error:
        raise SystemExit('demo failed: %s (SLUICE_KEEP=1 leaves the logs)' % error) from None
    except KeyboardInterrupt:
        print('\ninterrupted; everything is removed')
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
