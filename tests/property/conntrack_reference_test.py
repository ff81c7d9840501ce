#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Differential test: conntrack of the real Open vSwitch (its userspace datapath) against ours.

  conntrack_reference_test.py REPLAY [--packets N] [--seed N] [--keep DIR]

Random packets, TCP with sequence numbers near what is expected, random pauses on a stopped clock,
go through ct() actions in a private ovs-vswitchd with dummy devices, and through REPLAY
(conntrack_replay). What must be equal for every packet: ct_state, ct_mark, ct_label and the packet
after NAT, the quoted one of ICMP errors included. Ranges of several addresses or ports are left
out: there the choice is a secret hash on both sides.
"""
import argparse
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from scapy.all import (ICMP, IP, SCTP, TCP, UDP, Ether, ICMPv6DestUnreach, ICMPv6EchoReply,
                       ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, Raw)

ZONE = 7
OTHER = 8
RUNS = 4    # of the reference, at most


def v6(n):
    return 'fd00::%x' % n


def hex_of(address):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    return socket.inet_pton(family, address).hex()


# Steps as (zone, words); what both sides are told is made of them.
PROGRAMS = [
    [(ZONE, [])],
    [(ZONE, ['commit'])],
    [(ZONE, ['nat'])],
    [(ZONE, ['commit', 'src=10.9.9.9'])],
    [(ZONE, ['commit', 'src=10.9.9.9:7000'])],
    [(ZONE, ['commit', 'dst=10.0.0.2'])],
    [(ZONE, ['commit', 'dst=10.0.0.2:80'])],
    [(ZONE, ['commit', 'src=0.0.0.0'])],
    [(ZONE, []), (ZONE, ['commit', 'mark=0x5/0xf'])],
    [(ZONE, ['nat']), (ZONE, ['commit', 'mark=0x70/0xf0', 'label=0x3/0x3'])],
    [(ZONE, ['nat']), (ZONE, ['commit', 'dst=10.0.0.2:80']), (ZONE, ['commit', 'mark=0x1/0x1'])],
    [(ZONE, ['nat']), (OTHER, ['commit', 'src=10.9.9.8'])],
    [(ZONE, ['nat']), (ZONE, ['nat'])],
    [(ZONE, []), (OTHER, [])],
    [(ZONE, ['commit']), (ZONE, []), (ZONE, ['nat'])],
]
PROGRAMS6 = [
    [(ZONE, [])],
    [(ZONE, ['commit'])],
    [(ZONE, ['nat'])],
    [(ZONE, ['commit', 'src=fd00::99'])],
    [(ZONE, ['commit', 'dst=fd00::2:80'])],
    [(ZONE, ['nat']), (ZONE, ['commit', 'mark=0x70/0xf0', 'label=0x3/0x3'])],
]
WEIGHTS = [3, 3, 8, 3, 1, 2, 2, 1, 3, 3, 2, 2, 1, 1, 1]


def split_range(word):
    """kind, address, port or '' of src=A:P; IPv6 with a port is written fd00::2:80."""
    kind, value = word.split('=')
    if value.count(':') > 1:
        if value.startswith('fd00::2:'):
            return kind, 'fd00::2', value.rsplit(':', 1)[1]
        return kind, value, ''
    address, _, port = value.partition(':')
    return kind, address, port


def ovs_step(zone, words, table):
    """ct() of a step as ovs-ofctl wants it."""
    parts = ['zone=%d' % zone, 'table=%d' % table]
    marks = []
    for word in words:
        if word in ('commit', 'nat'):
            parts.append(word)
        elif word.startswith(('src=', 'dst=')):
            kind, address, port = split_range(word)
            text = '[%s]' % address if ':' in address and port else address
            parts.append('nat(%s=%s%s)' % (kind, text, ':' + port if port else ''))
        else:
            name, value = word.split('=')
            marks.append('set_field:%s->ct_%s' % (value, name))
    if marks:
        parts.append('exec(%s)' % ','.join(marks))
    return 'ct(%s)' % ','.join(parts)


def our_step(zone, words):
    out = []
    for word in words:
        if word.startswith(('src=', 'dst=')):
            kind, address, port = split_range(word)
            out.append('%s=%s%s' % (kind, hex_of(address), ':' + port if port else ''))
        else:
            out.append(word)
    return '%d:%s' % (zone, ','.join(out))


class Reference:
    """ovs-vswitchd in a directory of its own, with a stopped clock."""

    def __init__(self, folder):
        self.folder = folder
        self.children = []
        self.env = dict(os.environ, OVS_RUNDIR=folder, OVS_LOGDIR=folder, OVS_DBDIR=folder,
                        OVS_SYSCONFDIR=folder)
        self.tool('ovsdb-tool', 'create', folder + '/conf.db',
                  '/usr/share/openvswitch/vswitch.ovsschema')
        self.start('ovsdb-server', '--remote=punix:%s/db.sock' % folder, folder + '/conf.db')
        self.wait(folder + '/db.sock')
        self.ctl = folder + '/vswitchd.ctl'
        self.tool('ovs-vsctl', '--db=unix:%s/db.sock' % folder, '--no-wait', 'init')
        self.start('ovs-vswitchd', '--enable-dummy=override', '--disable-system',
                   '--unixctl=' + self.ctl, 'unix:%s/db.sock' % folder)
        self.wait(self.ctl)
        self.tool('ovs-vsctl', '--db=unix:%s/db.sock' % folder, 'add-br', 'br0', '--', 'set', 'bridge',
                  'br0', 'datapath_type=dummy', 'fail_mode=secure', '--', 'add-port', 'br0', 'p1',
                  '--', 'set', 'interface', 'p1', 'type=dummy', 'ofport_request=1', '--', 'add-port',
                  'br0', 'p2', '--', 'set', 'interface', 'p2', 'type=dummy', 'ofport_request=2',
                  'options:tx_pcap=%s/out.pcap' % folder)
        self.flows()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.ctl)
        self.rpc('time/stop')

    def flows(self):
        lines = []
        for base, family, programs in ((0, 'ip', PROGRAMS), (64, 'ipv6', PROGRAMS6)):
            for number, program in enumerate(programs):
                for at, (zone, words) in enumerate(program):
                    to = at + 1 if at + 1 < len(program) else 9
                    lines.append('table=%d,%s,dl_dst=02:00:00:00:00:%02x,actions=%s' % (
                        at, family, base + number, ovs_step(zone, words, to)))
        lines.append('table=9,actions=move:NXM_NX_CT_STATE[0..7]->NXM_OF_ETH_SRC[0..7],'
                     'move:NXM_NX_CT_MARK[]->NXM_OF_ETH_SRC[8..39],'
                     'move:NXM_NX_CT_LABEL[0..31]->NXM_OF_ETH_DST[0..31],output:2')
        path = self.folder + '/flows'
        with open(path, 'w') as file:
            file.write('\n'.join(lines) + '\n')
        self.tool('ovs-ofctl', 'add-flows', 'unix:%s/br0.mgmt' % self.folder, path)

    def tool(self, *words):
        subprocess.run(words, env=self.env, check=True, stdout=subprocess.DEVNULL)

    def start(self, *words):
        with open('%s/%s.log' % (self.folder, words[0]), 'w') as log:
            self.children.append(subprocess.Popen(words, env=self.env, stdout=log, stderr=log))

    def wait(self, path):
        for _ in range(200):
            if os.path.exists(path):
                return
            time.sleep(0.05)
        raise SystemExit('no %s: see %s' % (path, self.folder))

    def rpc(self, method, *params):
        self.sock.sendall(json.dumps({'id': 0, 'method': method, 'params': params}).encode())
        text = b''
        while True:
            text += self.sock.recv(65536)
            try:
                reply = json.loads(text)
                break
            except ValueError:
                continue
        if reply['error']:
            raise SystemExit('%s: %s' % (method, reply['error']))
        return reply['result']

    def frames(self):
        with open(self.folder + '/out.pcap', 'rb') as file:
            data = file.read()
        out, at = [], 24
        while at + 16 <= len(data):
            size = struct.unpack_from('<I', data, at + 8)[0]
            out.append(data[at + 16:at + 16 + size])
            at += 16 + size
        return out

    def close(self):
        for child in reversed(self.children):
            child.terminate()
            child.wait()


class Traffic:
    """Random packets between few hosts, each TCP conversation with its own idea of numbers."""

    def __init__(self, rng):
        self.rng = rng
        self.seq = {}
        self.recent = {False: [], True: []}

    def tcp(self, a, b):
        r = self.rng
        key, back = (a, b), (b, a)
        self.seq.setdefault(key, r.randrange(1 << 32))
        self.seq.setdefault(back, r.randrange(1 << 32))
        flags = r.choices(['S', 'SA', 'A', 'PA', 'FA', 'R', 'RA', 'F', 'SF', '', 'SR', 'AU'],
                          [14, 12, 20, 10, 6, 2, 2, 1, 1, 1, 1, 1])[0]
        size = r.choice([0, 0, 0, 1, 10, 1000]) if 'S' not in flags else 0
        seq, ack = self.seq[key], self.seq[back]
        if r.random() < 0.1:
            seq += r.choice([-1, 1, -3000, 3000, -70000, 70000, 1 << 20, -(1 << 20), 1 << 31])
        if r.random() < 0.1:
            ack += r.choice([-1, 1, -3000, 3000, -70000, 70000, 1 << 20, 1 << 31])
        if r.random() < 0.02:
            ack = 0
        options = r.choice([[], [('WScale', r.randrange(16))], [('NOP', None), ('WScale', 7)],
                            [('MSS', 1460), ('SAckOK', b''), ('NOP', None), ('WScale', 2)]])
        segment = TCP(sport=a[1], dport=b[1], flags=flags, seq=seq % 2**32,
                      ack=ack % 2**32 if 'A' in flags else 0,
                      window=r.choice([0, 1, 1000, 65535]), options=options if 'S' in flags else [])
        if r.random() < 0.85:
            self.seq[key] = (seq + size + ('S' in flags) + ('F' in flags)) % 2**32
        if 'S' in flags and r.random() < 0.3:
            self.seq[key] = r.randrange(1 << 32)
        return segment / Raw(b'x' * size)

    def spoil(self, packet):
        """The frame, rarely with a wrong checksum."""
        frame = bytearray(bytes(packet))
        if self.rng.random() < 0.02:
            at = self.rng.randrange(14, len(frame))
            frame[at] ^= 1 << self.rng.randrange(8)
            if at < 34:       # a broken IP header would not be taken for IP
                frame = bytearray(bytes(packet))
        return bytes(frame)

    def hosts(self, is_v6):
        """Two ends; every second time ones that have talked lately, either way round."""
        r = self.rng
        recent = self.recent[is_v6]
        if recent and r.random() < 0.6:
            a, b = r.choice(recent)
            return (a, b) if r.random() < 0.5 else (b, a)
        pair = self.strangers(is_v6)
        recent.append(pair)
        del recent[:-6]
        return pair

    def strangers(self, is_v6):
        r = self.rng
        names = ([v6(1), v6(2), v6(3), 'fd00::99'] if is_v6
                 else ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.9.9.9', '10.9.9.8'])
        a, b = r.sample(names, 2)
        return (a, r.choice([80, 1000, 300, 5000, 5001, 7000])), \
               (b, r.choice([80, 1000, 300, 5000, 5001, 7000]))

    def inside(self, is_v6, a, b):
        r = self.rng
        kind = r.choices(['tcp', 'udp', 'echo', 'reply', 'sctp', 'esp', 'odd', 'port0'],
                         [40, 20, 10, 8, 3, 2, 3, 1])[0]
        if kind == 'tcp':
            return self.tcp(a, b)
        if kind == 'udp':
            return UDP(sport=a[1], dport=b[1]) / Raw(b'u' * r.randrange(9))
        if kind == 'port0':
            return UDP(sport=0, dport=b[1])
        if kind == 'sctp':
            return SCTP(sport=a[1], dport=b[1]) / Raw(b's' * 8)
        if kind in ('echo', 'reply'):
            # One identifier a pair: a clash behind NAT is where we go further than the reference.
            ends = [int(str(x[0]).replace(':', '.').split('.')[-1]) % 90 for x in (a, b)]
            number = ends[0] * 100 + ends[1] if r.random() < 0.6 else ends[1] * 100 + ends[0]
            if is_v6:
                return (ICMPv6EchoRequest if kind == 'echo' else ICMPv6EchoReply)(id=number)
            return ICMP(type=r.choice([8, 8, 13, 15]) if kind == 'echo' else r.choice([0, 0, 14, 16]),
                        id=number)
        if kind == 'esp':
            return Raw(b'e' * 20)
        return ICMPv6ND_NS(tgt=v6(1)) if is_v6 else ICMP(type=r.choice([9, 10, 17]))

    def packet(self, is_v6):
        r = self.rng
        a, b = self.hosts(is_v6)
        ip = IPv6 if is_v6 else IP

        def header(src, dst, body):
            h = ip(src=src, dst=dst)
            if isinstance(body, Raw):
                setattr(h, 'nh' if is_v6 else 'proto', 50)
            return h / body
        body = self.inside(is_v6, a, b)
        if r.random() < 0.12:     # an error about such a packet, to its sender mostly
            quoted = bytes(header(a[0], b[0], body))[:r.choice([200, 200, 40 if is_v6 else 28, 30])]
            to = a[0] if r.random() < 0.9 else b[0]
            error = ICMPv6DestUnreach() if is_v6 else ICMP(type=r.choice([3, 3, 11, 12, 4, 5]))
            return header(r.choice([b[0], v6(3) if is_v6 else '10.0.0.3']), to,
                          error / Raw(quoted))
        return header(a[0], b[0], body)


def describe(frame):
    """What conntrack_replay prints, read from a frame of the reference."""
    state, mark = frame[11], int.from_bytes(frame[7:11], 'big')
    label = int.from_bytes(frame[2:6], 'big')
    text = '%02x %08x %08x' % (state, mark, label)
    return text + tuples(frame[14:], frame[12:14] == b'\x86\xdd', True)


def tuples(ip, is_v6, outer):
    if is_v6:
        proto, src, dst, body = ip[6], ip[8:24], ip[24:40], ip[40:]
    else:
        proto, src, dst, body = ip[9], ip[12:16], ip[16:20], ip[(ip[0] & 15) * 4:]
    first = second = 0
    inner = ''
    if proto in (6, 17) and len(body) >= 4:
        first, second = struct.unpack_from('!HH', body)
    elif proto == (58 if is_v6 else 1) and len(body) >= 6:
        second = body[0]
        if second in ((128, 129) if is_v6 else (0, 8, 13, 14, 15, 16)):
            first = struct.unpack_from('!H', body, 4)[0]
        elif outer and second in ((1, 2, 3, 4) if is_v6 else (3, 4, 5, 11, 12)):
            inner = tuples(body[8:], is_v6, False) if len(body) >= (48 if is_v6 else 28) else ''
    return ' %s %s %d %d %d%s' % (src.hex(), dst.hex(), proto, first, second, inner)


def same(ours, theirs):
    # Errors that cannot be tracked are not read as far as their quotes.
    if ours == theirs:
        return True
    a, b = ours.split(), theirs.split()
    return a[:8] == b[:8] and len(a) == 8 and int(a[0], 16) & 0x10 != 0


def generate(args):
    """The scenario: (pause, frame, steps) of every packet."""
    rng = random.Random(args.seed)
    traffic = Traffic(rng)
    for _ in range(args.packets):
        pause = rng.choices([0, 1, 500, 20000, 31000, 46000, 61000, 901000, 86401000],
                            [300, 200, 100, 10, 5, 5, 5, 1, 0.3])[0]
        is_v6 = rng.random() < 0.2
        programs = PROGRAMS6 if is_v6 else PROGRAMS
        number = rng.choices(range(len(programs)), WEIGHTS[:len(programs)])[0]
        frame = traffic.spoil(
            Ether(src='02:00:00:00:01:00', dst='02:00:00:00:00:%02x' % (number + 64 * is_v6)) /
            traffic.packet(is_v6))
        yield pause, frame, programs[number]


def play(args, attempt):
    """The script, what the reference made of it, what ours did."""
    folder = '%s/%d' % (args.keep, attempt) if args.keep else tempfile.mkdtemp(prefix='ct_ref_')
    os.makedirs(folder, exist_ok=True)
    reference = Reference(folder)
    script, now = [], 1000000
    try:
        for pause, frame, steps in generate(args):
            if pause:
                now += pause
                reference.rpc('time/warp', str(pause), str(pause))
            reference.rpc('netdev-dummy/receive', 'p1', frame.hex())
            script.append('%d %s %s' % (now, frame.hex(), ' '.join(
                our_step(*step) for step in steps)))
        reference.rpc('time/warp', '100', '100')
    except (ConnectionError, BrokenPipeError):
        print('the reference died after %d packets' % len(script))
    finally:
        theirs = [describe(f) for f in reference.frames()]
        reference.close()
    ours = subprocess.run([args.replay], input='\n'.join(script) + '\n', text=True, check=True,
                          stdout=subprocess.PIPE).stdout.splitlines()
    for name, lines in (('script', script), ('reference', theirs), ('ours', ours)):
        if args.keep:
            with open('%s/%s' % (folder, name), 'w') as file:
                file.write('\n'.join(lines) + '\n')
    if not args.keep:
        shutil.rmtree(folder)
    if len(ours) != len(script) or len(theirs) < min(len(script), 200):
        raise SystemExit('%d packets, %d from the reference, %d from ours' % (
            len(script), len(theirs), len(ours)))
    return script, theirs, ours


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('replay')
    parser.add_argument('--packets', type=int, default=4000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--keep')
    args = parser.parse_args()
    # The reference itself is not always of one mind when its clock jumps, on a busy machine twice at
    # the same packet: what differs counts when it differs in every run.
    for attempt in range(RUNS):
        script, theirs, ours = play(args, attempt)
        wrong = [n for n, (a, b) in enumerate(zip(ours, theirs)) if not same(a, b)]
        if attempt:
            wrong = [n for n in wrong if n in before]
        if not wrong:
            break
        before = set(wrong)
    for number in wrong[:5]:
        print('packet %d: %s\n  ours      %s\n  reference %s' % (
            number, script[number], ours[number], theirs[number]))
    states = {}
    for text in theirs:
        states[text[:2]] = states.get(text[:2], 0) + 1
    print('%d packets, %d differ; ct_state seen: %s' % (len(theirs), len(wrong), ' '.join(
        '%s=%d' % item for item in sorted(states.items()))))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
