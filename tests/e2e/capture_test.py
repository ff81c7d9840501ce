#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sluicectl capture on real hypervisors: pings found by filter and by logical port, inside the tunnel
too; names and reasons in the comments, read by tshark; files that rotate; pipes; capture's end when the
reader dies; and mirrors of the local database. Names and UUIDs are what the databases say."""
import json
import os
import signal
import subprocess
import time

from checks import run
from network1 import NetLab, configure, populate
from ovnlab.tools import find_program


class Capture:
    """A sluicectl capture that runs until end(), with the lines it told."""

    def __init__(self, host, *words, output=None):
        self.host = host
        self.process = subprocess.Popen(
            [find_program('sluicectl'), '--run-dir', host.lab.home(host.name), 'capture', *words],
            stdout=output or subprocess.PIPE, stderr=subprocess.PIPE)
        host.lab.wait(lambda: self.process.poll() is not None or self.is_listed(), 'the capture')

    def is_listed(self):
        return bool(json.loads(self.host.control('sluice/captures'))['captures'])

    def wait(self):
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, (out or b'').decode(), err.decode()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.wait()


def tshark(path, *fields, display=None):
    words = ['tshark', '-r', path, '-T', 'fields', '-E', 'separator=|']
    for field in fields:
        words += ['-e', field]
    words += ['-Y', display] if display else []
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return [line.split('|') for line in done.stdout.splitlines()]


def tally(rows):
    counts = {}
    for row in rows:
        counts[tuple(row)] = counts.get(tuple(row), 0) + 1
    return counts


def test_filter(checks, lab, vm1, vm2):
    path = lab.folder + '/ping.pcapng'
    capture = Capture(vm1.hypervisor, '-w', path, '-i', 'vm1', 'icmp', 'and', 'host', vm2.ip)
    vm1.ns.run('ping', '-n', '-c', '1', '-W', '1', '192.168.0.99', check=False)   # not asked for
    sent, received, text = vm1.ping(vm2, count=4)
    checks.check('ping while captured', sent == received, text)
    status, _, told = capture.end()
    checks.check('Ctrl-C ends the capture', status == 0, told)
    checks.check('the summary counts eight packets', told.startswith('8 packets captured of'), told)
    checks.equal('each echo and each reply, once, where it was', tally(tshark(
        path, 'frame.interface_name', 'icmp.type', 'frame.comment')), {
            ('vm1', '8', 'rx datapath=network1 inport=vm1'): 4,
            ('vm1', '0', 'tx datapath=network1 inport=vm2 outport=vm1'): 4})
    directions = tally(tshark(path, 'frame.packet_flags_direction', 'icmp.type'))
    checks.equal('directions in the flags', directions,
                 {('0x00000001', '8'): 4, ('0x00000002', '0'): 4})
    checks.equal('frames are whole', tally(tshark(path, 'frame.len', 'frame.cap_len')),
                 {('98', '98'): 8})
    seconds = [float(row[0]) for row in tshark(path, 'frame.time_epoch')]
    checks.check('times are now, and in order', abs(seconds[0] - time.time()) < 300 and
                 seconds == sorted(seconds), seconds)


def test_tunnel(checks, lab, vm1, vm2):
    path = lab.folder + '/tunnel.pcapng'
    capture = Capture(vm1.hypervisor, '-w', path, '-l', 'vm2', '-c', '4')
    vm1.ping(vm2, count=2)
    status, _, told = capture.wait()
    checks.check('it ends after as many packets as asked for', status == 0 and
                 told.startswith('4 packets captured'), told)
    checks.equal('packets of a remote port, inside of the tunnel', tally(tshark(
        path, 'frame.interface_name', 'icmp.type', 'geneve.vni', 'frame.comment')), {
            ('eth1', '8', '0x000001', 'tx datapath=network1 inport=vm1 outport=vm2'): 2,
            ('eth1', '0', '0x000001', 'rx datapath=network1 inport=vm2 outport=vm1'): 2})


def test_drops(checks, lab, vm1, vm2):
    lab.nbctl('acl-add', 'network1', 'from-lport', '1500', 'ip4 && udp.dst == 4444', 'drop')
    lab.sync()
    rows = lab.sbctl('--bare', '--columns=_uuid,match,actions', 'find', 'logical_flow',
                     'priority=2500').split('\n\n')
    flows = [row.split('\n')[0] for row in rows if 'udp.dst == 4444' in row]
    checks.equal('northd made one flow of the ACL', len(flows), 1)
    capture = Capture(vm1.hypervisor, '--drops', 'udp')
    script = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); " \
             "[s.sendto(b'x' * 10, ('%s', port)) for port in (4444, 4445, 4444)]" % vm2.ip
    vm1.ns.run('/usr/bin/python3', '-c', script)
    seen = lambda: json.loads(vm1.hypervisor.control('sluice/captures'))['captures'][0]['written'] >= 2
    checks.within('both are captured', seen)
    status, out, told = capture.end()
    lines = out.splitlines()
    checks.equal('two dropped datagrams, the third not', (status, len(lines)), (0, 2))
    for line in lines:
        checks.check('named: the port, the reason, the flow that dropped it',
                     ' vm1 52 bytes drop datapath=network1 inport=vm1 reason=logical_flow flow=%s '
                     'stage=ls_in_acl' % flows[0] in line, line)
    lab.nbctl('acl-del', 'network1')
    lab.sync()
    checks.check('and how many were seen', '2 packets captured' in told, told)


def test_files(checks, lab, vm1, vm2):
    path = lab.folder + '/ring'
    capture = Capture(vm1.hypervisor, '-w', path, '--file-size', '3k', '--files', '3', '-i', 'vm1')
    vm1.ping(vm2, count=40, interval_s=0.01)
    status, _, told = capture.end()
    files = ['%s.%d' % (path, i) for i in range(3)]
    checks.check('a ring of three files', status == 0 and all(map(os.path.exists, files)) and
                 not os.path.exists(path + '.3') and not os.path.exists(path), told)
    sizes = [os.path.getsize(name) for name in files]
    checks.check('none is larger than asked for, but for the last words', max(sizes) <= 3000 + 400, sizes)
    counts = [len(tshark(name, 'icmp.seq', display='icmp')) for name in files]
    checks.check('each can be read alone', all(counts), counts)
    newest = [int(row[0].split(',')[0]) for name in files
              for row in tshark(name, 'icmp.seq', display='icmp')]
    checks.equal('the newest packet is there, the oldest was overwritten',
                 (max(newest), 1 in newest), (40, False))


def test_pipe(checks, lab, vm1, vm2):
    reader = subprocess.Popen(['tshark', '-l', '-r', '-', '-T', 'fields', '-e', 'frame.comment'],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True)
    capture = Capture(vm1.hypervisor, '-w', '-', '-Q', 'rx', '-c', '2', '-l', 'vm1', 'icmp',
                      output=reader.stdin)
    reader.stdin.close()
    reader.stdin = None
    vm1.ping(vm2, count=2)
    status = capture.wait()[0]
    out = reader.communicate(timeout=30)[0]
    checks.equal('tshark at the other end of a pipe', (status, out.splitlines()),
                 (0, ['rx datapath=network1 inport=vm1'] * 2))


def test_ends(checks, lab, vm1, vm2):
    capture = Capture(vm1.hypervisor, '-w', lab.folder + '/killed.pcapng')
    capture.process.kill()
    capture.wait()
    checks.within('a capture whose reader is killed ends', lambda: not capture.is_listed())
    for words, wanted in ((['port', 'and'], 'filter "port and"'), (['-l', 'nobody'], 'no such logical port'),
                          (['-i', 'nowhere'], 'no such port'), (['-d', 'nothing'], 'no such datapath')):
        status, _, told = Capture(vm1.hypervisor, *words).wait()
        checks.check('refused: ' + ' '.join(words), status == 2 and wanted in told, told)
    checks.reaches(vm1, vm2)


def test_mirror(checks, lab, vm1, vm2):
    """Mirrors as ovs-vsctl makes them, at the port that they end at."""
    host = vm1.hypervisor
    tap = lab.namespace('tap')
    lab.connect(tap, 'eth0', host.ns, 'tap', 1500)
    host.vsctl('add-port', 'br-int', 'tap')
    host.vsctl('--', '--id=@p', 'get', 'port', 'vm1', '--', '--id=@o', 'get', 'port', 'tap', '--',
               '--id=@m', 'create', 'mirror', 'name=m', 'select_src_port=@p', 'select_dst_port=@p',
               'output_port=@o', '--', 'set', 'bridge', 'br-int', 'mirrors=@m')
    checks.within('the mirror is ready', lambda: any(
        row['state'] == 'ready' and row['logical_ports'] == ['vm1'] and row['port'] == 'tap'
        for row in json.loads(host.control('sluice/mirrors'))['mirrors']))
    path = lab.folder + '/mirror.pcap'
    process = lab.capture(tap, 'eth0', path, 'icmp')
    sent, received, text = vm1.ping(vm2, count=3)
    lab.finish(process)
    checks.check('ping while mirrored', sent == received, text)
    checks.equal('copies of both ways', tally(tshark(path, 'ip.src', 'ip.dst', 'icmp.type')),
                 {(vm1.ip, vm2.ip, '8'): 3, (vm2.ip, vm1.ip, '0'): 3})
    host.vsctl('set', 'mirror', 'm', 'snaplen=100')
    checks.within('what is not supported is said', lambda: any(
        row['state'].startswith('refused; snaplen is not supported')
        for row in json.loads(host.control('sluice/mirrors'))['mirrors']))
    host.vsctl('clear', 'bridge', 'br-int', 'mirrors', '--', 'del-port', 'br-int', 'tap')
    checks.within('a mirror that goes', lambda: json.loads(
        host.control('sluice/mirrors'))['mirrors'] == [])
    checks.reaches(vm1, vm2)


def test(checks):
    with NetLab() as lab:
        configure(lab)
        vm1, vm2 = populate(lab)
        checks.reaches(vm1, vm2)
        for part in (test_filter, test_tunnel, test_drops, test_files, test_pipe, test_ends,
                     test_mirror):
            part(checks, lab, vm1, vm2)
        for host in lab.hypervisors.values():
            checks.check('%s still runs' % host.name, host.main.alive())


if __name__ == '__main__':
    run(test)
