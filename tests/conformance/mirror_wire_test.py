#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Copies that mirrors send, as tshark reads them: every one is whole, its checksums are right, the key is
the mirror's, and the frame inside is one that a port sent or got.

That they are the reference's byte for byte is what the cases mirror_gre and mirror_erspan say. Exit status 1
when tshark finds anything else.
"""
import importlib.util
import os
import subprocess
import sys
import tempfile

from hypervisor import Sluice
from scapy.utils import PcapWriter

HERE = os.path.dirname(os.path.abspath(__file__))
KEYS = {'mirror_gre': ('gre.key', {'0x00000005', '0x00000006'}),
        'mirror_erspan': ('erspan.spanid', {'5', '6'})}
OPTIONS = ['-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE']


def copies_of(case):
    """What the case sends to the collector, and what its ports sent and got."""
    loaded = importlib.util.spec_from_file_location(case, '%s/cases/%s.py' % (HERE, case))
    module = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(module)
    steps = Sluice(module.SPEC, settle_s=0.3).go()['steps']
    wire, seen = [], set()
    for step in steps:
        seen.add(step['in'][1])
        for port, frames in step['out'].items():
            if port == 'wire':
                wire += [frame for _, frame in frames]
            else:
                seen.update(frames)
    return wire, seen


def read(path, *fields, display=None):
    words = ['tshark', '-r', path, *OPTIONS, '-T', 'fields', '-E', 'separator=|', '-E', 'occurrence=a']
    words += [word for field in fields for word in ('-e', field)]
    words += ['-Y', display] if display else []
    text = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return [line.split('|') for line in text.splitlines()]


def judge(case, folder):
    wire, seen = copies_of(case)
    copies = [frame for frame in wire if frame[46:48] == '2f']     # GRE
    path = '%s/%s.pcap' % (folder, case)
    with PcapWriter(path) as writer:
        for frame in copies:
            writer.write(bytes.fromhex(frame))
    field, keys = KEYS[case]
    rows = read(path, field)
    bad = read(path, 'frame.number', '_ws.expert.message', display='_ws.malformed || _ws.short || '
               'ip.checksum.status == "Bad" || udp.checksum.status == "Bad"')
    strangers = [frame for frame in copies if not any(frame.endswith(inner) for inner in seen)]
    found = {row[0] for row in rows}
    print('%-16s %d copies, keys %s, %d bad, %d of nobody' % (
        case, len(copies), ' '.join(sorted(found)), len(bad), len(strangers)))
    return len(copies) >= 10 and len(rows) == len(copies) and found == keys and not bad and not strangers


def main():
    with tempfile.TemporaryDirectory() as folder:
        good = [judge(case, folder) for case in KEYS]
    return 0 if all(good) else 1


if __name__ == '__main__':
    sys.exit(main())
