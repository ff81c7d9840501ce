#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two packets that a real OVN was seen to send: sluice must make and take exactly those.

The capture: vm1 pings vm2 across Geneve between 192.168.50.100 and 192.168.50.101. Fed the inner
frames, sluice-replay must emit the captured outer packets, but for IP id, UDP source port and
checksums; fed the captured outer packets, the inner frames to the last byte. The Southbound
database is what ovn-northd makes for the network of the capture.
"""
import os
import struct
import subprocess
import sys

from checks import run
from ovnlab.processes import Lab
from ovnlab.tools import find_program

REQUEST = bytes.fromhex(
    '525400ac675b52540013e0a208004500008ef9b0400040115a94c0a83264c0a832651d7d17c1007ae6a5024065580000'
    '01000102800100010002404400000002404400000001080045000054a3f0400040011551c0a8000bc0a8000c0800c67b'
    '04e31af194d96e5c0000000041a70e0000000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b'
    '2c2d2e2f3031323334353637')
REPLY = bytes.fromhex(
    '52540013e0a2525400ac675b08004500008eb465400040119fdfc0a83265c0a8326425d317c1007ae6a5024065580000'
    '01000102800100020001404400000001404400000002080045000054402600004001b91bc0a8000cc0a8000b0000ce7b'
    '04e31af194d96e5c0000000041a70e0000000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b'
    '2c2d2e2f3031323334353637')
MACS = {1: '52:54:00:13:e0:a2', 2: '52:54:00:ac:67:5b'}
OUTER = 14 + 20 + 8 + 8 + 8     # Ethernet, IPv4, UDP, Geneve, one option
LEGACY = bytes.fromhex('ffff0001')      # class 0xffff, type 0, four bytes: ovn-architecture(7), 2015


def checksum(data):
    data += b'\0' * (len(data) & 1)
    total = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def masked(frame):
    """Without IP id, checksums and UDP source port."""
    return (frame[:18] + b'\0\0' + frame[20:24] + b'\0\0' + frame[26:34] + b'\0\0' + frame[36:40]
            + b'\0\0' + frame[42:])


def outer_checksums_right(frame):
    udp = frame[34:]
    pseudo = frame[26:34] + struct.pack('>HH', 17, len(udp))
    return checksum(frame[14:34]) == 0 and udp[6:8] != b'\0\0' and checksum(pseudo + udp) == 0


def with_right_checksum(frame):
    """The capture was taken before the NIC filled in the outer UDP checksum."""
    udp = frame[34:40] + b'\0\0' + frame[42:]
    value = checksum(frame[26:34] + struct.pack('>HH', 17, len(udp)) + udp) or 0xffff
    return frame[:40] + struct.pack('>H', value) + frame[42:]


def legacy(frame):
    """The same packet with the option form of 2015; not critical, so neither flag is set."""
    return with_right_checksum(frame[:43] + b'\0' + frame[44:50] + LEGACY + frame[54:])


def write_pcap(path, frames):
    with open(path, 'wb') as file:
        file.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(frames):
            file.write(struct.pack('<IIII', number, 0, len(frame), len(frame)) + frame)


def read_pcap(path):
    with open(path, 'rb') as file:
        data = file.read()
    at, frames = 24, []
    while at < len(data):
        length = struct.unpack_from('<I', data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames


def make_southbound(lab):
    """The Southbound of the capture, as a file."""
    lab.start_central()
    lab.nbctl('ls-add', 'network1')
    for number, address in ((1, '192.168.0.11'), (2, '192.168.0.12')):
        lab.nbctl('lsp-add', 'network1', 'vm%d' % number, '--', 'lsp-set-addresses',
                  'vm%d' % number, '40:44:00:00:00:0%d %s' % (number, address))
    for chassis, address in (('worker1', '192.168.50.100'), ('worker2', '192.168.50.101')):
        lab.sbctl('chassis-add', chassis, 'geneve', address)
    lab.sync('sb')
    lab.sbctl('lsp-bind', 'vm1', 'worker1')
    lab.sbctl('lsp-bind', 'vm2', 'worker2')
    lab.sync('sb')
    path = lab.folder + '/sb.db'
    with open(path, 'wb') as file:
        subprocess.run(['ovsdb-client', 'backup', 'unix:%s/central/db.sock' % lab.folder,
                        'OVN_Southbound'], stdout=file, check=True)
    return path


def replay(lab, southbound, worker, port, frames, out, *options):
    address, peer = '192.168.50.10%d/24' % (worker - 1), 3 - worker
    source, target = lab.folder + '/in.pcap', lab.folder + '/out.pcap'
    write_pcap(source, frames)
    subprocess.run([find_program('sluice-replay'), '--quiet', '--sb', southbound, '--chassis',
                    'worker%d' % worker, '--underlay',
                    'eth1=dummy,mac=%s,ip=%s' % (MACS[worker], address),
                    '--neighbor', '192.168.50.10%d=%s' % (peer - 1, MACS[peer]),
                    '--in', '%s=%s' % (port, source), '--out', '%s=%s' % (out, target), *options],
                   check=True)
    return read_pcap(target)


def test(checks):
    with Lab('sluice-seed.') as lab:
        southbound = make_southbound(lab)
        for name, outer, source, target in (('request', REQUEST, 1, 2), ('reply', REPLY, 2, 1)):
            inner = outer[OUTER:]
            sent = replay(lab, southbound, source, 'vm%d' % source, [inner], 'eth1')
            checks.equal('%s: one packet leaves worker%d' % (name, source), len(sent), 1)
            if sent:
                checks.equal('%s: as captured' % name, masked(sent[0]).hex(), masked(outer).hex())
                checks.check('%s: outer checksums are right' % name, outer_checksums_right(sent[0]))
            got = replay(lab, southbound, target, 'eth1', [with_right_checksum(outer)],
                         'vm%d' % target)
            checks.equal('%s: worker%d delivers the inner frame' % (name, target),
                         [f.hex() for f in got], [inner.hex()])
            sent = replay(lab, southbound, source, 'vm%d' % source, [inner], 'eth1',
                          '--legacy-geneve')
            checks.equal('%s: older option form sent' % name,
                         [masked(f)[50:].hex() for f in sent],
                         [masked(legacy(outer))[50:].hex()])
            got = replay(lab, southbound, target, 'eth1', [legacy(outer)], 'vm%d' % target)
            checks.equal('%s: older option form received' % name, [f.hex() for f in got],
                         [inner.hex()])
        damaged = with_right_checksum(REQUEST)
        damaged = damaged[:-1] + bytes([damaged[-1] ^ 1])
        checks.equal('a wrong outer checksum is not delivered',
                     replay(lab, southbound, 2, 'eth1', [damaged], 'vm2'), [])


if __name__ == '__main__':
    sys.exit(run(test))
