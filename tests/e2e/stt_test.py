#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two sluiced speak STT under a real OVN, over IPv4 and IPv6: ping, 64 KB datagrams, packets longer than
the underlay's, TCP. tshark takes every packet for what it is, and TCP super-frames of a VM with TSO
cross uncut."""
import json
import struct
import subprocess

from checks import run
from network1 import NetLab, configure

STT_PORT = 7471
TCP_BYTES = 8000000
UNDERLAYS = {4: ('192.168.50.100', '192.168.50.101'), 6: ('fd00:50::100', 'fd00:50::101')}
VMS = [('vm1', 'hv1', '40:44:00:00:00:01', '192.168.0.11'),
       ('vm2', 'hv2', '40:44:00:00:00:02', '192.168.0.12')]
LONG_MTU = 60000
SUSPECT = ' || '.join(['_ws.malformed'] + [
    'stt.%s.expert' % name for name in ('data_offset_bad', 'version_unknown', 'l4offset_bad', 'mss_bad')])
OFFLOADS = ['tx', 'on', 'sg', 'on', 'tso', 'on', 'gso', 'on']


def populate(lab, underlay):
    vms = []
    for (name, hypervisor, mac, ip), address in zip(VMS, underlay):
        host = lab.hypervisor(hypervisor, address, encap='stt')
        vms.append(lab.vm(name, host, mac, ip + '/24'))
    lab.wait_up([vm.name for vm in vms])
    lab.sync()
    return vms


def long_vm(lab, name, beside, mac, ip):
    """A VM on the hypervisor of another, with packets of nearly 64 KB."""
    lab.nbctl('lsp-add', 'network1', name, '--', 'lsp-set-addresses', name, '%s %s' % (mac, ip))
    vm = lab.vm(name, beside.hypervisor, mac, ip + '/24', plug=False)
    vm.hypervisor.ns.run('ip', 'link', 'set', name, 'mtu', str(LONG_MTU))
    vm.ns.run('ip', 'link', 'set', 'eth0', 'mtu', str(LONG_MTU))
    vm.hypervisor.plug(name, name)
    return vm


def tcp(checks, client, server, reverse):
    """A transfer by iperf3; `reverse`: the server sends."""
    listener = server.ns.popen('iperf3', '-s', '-1', '-p', '5201', stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    server.ns.lab.wait(lambda: ':5201' in server.ns.run('ss', '-ltn'), 'iperf3 server', 10)
    text = client.ns.run('iperf3', '-c', server.ip, '-p', '5201', '-n', str(TCP_BYTES), '-J',
                         *(['-R'] if reverse else []), check=False, timeout=120)
    try:
        listener.wait(10)
    except subprocess.TimeoutExpired:
        listener.kill()
        listener.wait()
    result = json.loads(text or '{}')
    received = result.get('end', {}).get('sum_received', {}).get('bytes', 0)
    checks.check('TCP %s %s %s' % (client.name, 'from' if reverse else 'to', server.name),
                 received >= TCP_BYTES / 4, result.get('error') or '%d received' % received)


def frames(path):
    """Every frame of a capture."""
    with open(path, 'rb') as capture:
        data = capture.read()
    at = 24
    while at < len(data):
        length = struct.unpack_from('<I', data, at + 8)[0]
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def fragments(path):
    """How many outer packets are fragments."""
    count = 0
    for frame in frames(path):
        kind = struct.unpack_from('>H', frame, 12)[0]
        count += (kind == 0x0800 and struct.unpack_from('>H', frame, 20)[0] & 0x3fff != 0
                  or kind == 0x86dd and frame[20] == 44)
    return count


def as_ip4(path, to):
    """The same capture with IPv4 in the place of IPv6: tshark knows STT over IPv4 only."""
    with open(path, 'rb') as capture:
        head = capture.read(24)
    with open(to, 'wb') as out:
        out.write(head)
        for frame in frames(path):
            if frame[12:14] == b'\x86\xdd' and frame[20] == 6:
                rest = frame[54:54 + struct.unpack_from('>H', frame, 18)[0]]
                ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(rest), 0, 0x4000, 64, 6, 0,
                                 frame[34:38], frame[50:54])
                frame = frame[:12] + b'\x08\x00' + ip + rest
            out.write(struct.pack('<IIII', 0, 0, len(frame), len(frame)) + frame)


def segments(path):
    """(total, offset, payload) of every STT segment in a capture, read by hand."""
    for frame in frames(path):
        kind = struct.unpack_from('>H', frame, 12)[0]
        l4 = {0x0800: 34, 0x86dd: 54}.get(kind)
        proto = frame[23] if kind == 0x0800 else frame[20] if l4 else 0
        if proto != 6 or struct.unpack_from('>H', frame, l4 + 2)[0] != STT_PORT:
            continue
        total, offset = struct.unpack_from('>HH', frame, l4 + 4)
        end = 14 + (struct.unpack_from('>H', frame, 16)[0] if l4 == 34
                    else 40 + struct.unpack_from('>H', frame, 18)[0])
        yield total, offset, frame[l4 + 20:end]


def uncut(path):
    """How many frames ask for segmentation (flags P and T, MSS set) and are longer than one segment."""
    count = 0
    for total, offset, payload in segments(path):
        if offset == 0 and len(payload) >= 18:
            flags, _, _, mss = struct.unpack_from('>BBBH', payload, 1)
            count += flags & 0x0a == 0x0a and mss != 0 and total > 2 * mss
    return count


def on_the_wire(checks, lab, path, family):
    """What tshark, its TCP dissector and its STT dissector say of a capture."""
    stt = ['--enable-heuristic', 'stt_ip', '-o', 'ip.try_heuristic_first:TRUE']

    def tshark(*words):
        return lab.run('central', 'tshark', '-r', read, *words).strip()
    read = path
    bad = tshark('-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE', '-Y',
                 'tcp.dstport == 7471 && (tcp.checksum.status == "Bad" || ip.checksum.status == "Bad"'
                 ' || tcp.flags.reset == 1)')
    checks.equal('outer checksums are right, IPv%d' % family, bad, '')
    checks.equal('no outer fragments, IPv%d' % family, fragments(path), 0)
    pieces = list(segments(path))
    if family == 6:
        read = path + '4'
        as_ip4(path, read)
    found = tshark(*stt, '-Y', 'stt', '-T', 'fields', '-e', 'frame.number').splitlines()
    checks.equal('tshark takes all of it for STT, IPv%d' % family, len(found), len(pieces))
    checks.check('frames came in segments, IPv%d' % family,
                 any(offset for _, offset, _ in pieces))
    checks.equal('nothing malformed, IPv%d' % family, tshark(*stt, '-Y', SUSPECT)[:500], '')
    pings = tshark(*stt, '-Y', 'stt && icmp.type == 8', '-T', 'fields', '-e', 'stt.context_id')
    checks.check('pings inside, IPv%d' % family, pings, 'none')
    if pings:
        # vm1 to vm4 are ports 1 to 4 of datapath 1.
        wanted = {a << 40 | b << 24 | 1 for a, b in ((1, 2), (2, 1), (3, 4), (4, 3))}
        got = {int(p.split(',')[0], 16) for p in pings.splitlines() if p}
        checks.equal('context IDs, IPv%d' % family, got, wanted)


def counter(host, name):
    for line in host.control('counter/show', '--all').splitlines():
        words = line.split()
        if words[:1] == [name]:
            return int(words[1].replace(',', ''))
    return 0


def one_family(checks, family):
    with NetLab() as lab:
        configure(lab)
        vm1, vm2 = populate(lab, UNDERLAYS[family])
        path = lab.folder + '/wire.pcap'
        capture = lab.capture(lab.wire, 'to-hv2', path)
        for a, b in ((vm1, vm2), (vm2, vm1)):
            checks.reaches(a, b)
            checks.reaches(a, b, size=1372)
            checks.reaches(a, b, size=65507)    # in fragments of the VM's MTU
        # STT carries what no packet of the underlay could: 60000 bytes unfragmented.
        long1, long2 = [long_vm(lab, *words) for words in
                        (('vm3', vm1, '40:44:00:00:00:03', '192.168.0.13'),
                         ('vm4', vm2, '40:44:00:00:00:04', '192.168.0.14'))]
        lab.wait_up(['vm3', 'vm4'])
        lab.sync()
        checks.reaches(long1, long2, size=LONG_MTU - 28)
        checks.reaches(long2, long1, size=LONG_MTU - 28)
        lab.finish(capture)
        on_the_wire(checks, lab, path, family)

        tcp(checks, vm1, vm2, False)
        tcp(checks, vm1, vm2, True)

        # With TSO in the VMs their TCP is cut nowhere but on the wire.
        for vm in (vm1, vm2):
            vm.ns.run('ethtool', '-K', 'eth0', *OFFLOADS)
            vm.hypervisor.ns.run('ethtool', '-K', vm.name, *OFFLOADS)
        hosts = [vm1.hypervisor, vm2.hypervisor]
        cut = [counter(host, 'super_cut') for host in hosts]
        path = lab.folder + '/tso.pcap'
        capture = lab.capture(lab.wire, 'to-hv2', path)
        tcp(checks, vm1, vm2, False)
        tcp(checks, vm1, vm2, True)
        lab.finish(capture)
        checks.check('super-frames cross uncut, IPv%d' % family, uncut(path) > 50, uncut(path))
        checks.check('every segment fits the underlay, IPv%d' % family,
                     max(len(payload) for _, _, payload in segments(path)) <= 1460)
        checks.equal('nothing was cut in software', [counter(h, 'super_cut') for h in hosts], cut)
        for host in hosts:
            checks.check('super-frames through %s' % host.name, counter(host, 'super_frames') > 50)
            checks.check('%s still runs' % host.name, host.main.alive())


def test(checks):
    for family in sorted(UNDERLAYS):
        one_family(checks, family)


if __name__ == '__main__':
    run(test)
