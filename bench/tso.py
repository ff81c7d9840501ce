# SPDX-License-Identifier: Apache-2.0
"""TCP of guests with TSO across Geneve: what one core carries from a guest to the wire and from the
wire to a guest, and in both taken together.

The guest is bench/tso_guest on a vhost-user socket, the wire a null device (there) and a preloaded
capture file (back). The incumbent runs with userspace-tso-enable=true, as its operator would
have it for such guests. Where it refuses large frames (Open vSwitch 3.1 drops what would have to be
tunnelled) its guests have to send packets of the tunnel's MTU with all checksums; that is measured
as well, and what it does best is what it is compared with. Before anything is counted some frames are
recorded and looked at: checksums, lengths, sequence. The sink compares a frame in 4 MB byte by byte.
"""
import collections
import os
import statistics
import struct
import subprocess
import time

import compare
import frames
from incumbent import Incumbent
from ovnlab.tools import ROOT
from rig import Cores, Hugepages, Rig, tsc_hz
from scenarios import Scenario, _fold, _sum16, write_pcap
from sides import PlannedPort
from sluice import Sluice

SEGMENT = 1402              # TCP payload of a full packet: 1500 - 58 of tunnel - 40 of IP and TCP
MTU = 1500
STATUS = ('is_up', 'mode', 'frames', 'bytes', 'checked', 'bad', 'longest')
QUIET, LARGE, SMALL = 0, 1, 2
MODES = {LARGE: 'large', SMALL: 'small'}

Line = collections.namedtuple('Line', 'way side mode gbps detail')


class Guest:
    """One bench/tso_guest and the words it shares."""

    def __init__(self, rig, options, home, sends):
        self.socket = '%s/%s.vhost' % (rig.folder, home)
        self.status = '%s/%s.status' % (rig.folder, home)
        build = os.environ.get('SLUICE_BUILD', ROOT + '/build')
        program = options.tso_guest or os.path.abspath(build) + '/bench/tso_guest'
        if not os.access(program, os.X_OK):
            raise SystemExit('no %s: ninja -C %s bench/tso_guest' % (program, build))
        self.process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', '--', *rig.cores.on_rest(), program, self.socket,
             self.status, 'send' if sends else 'receive', str(options.payload), str(SEGMENT)],
            start_new_session=True)
        rig.wait(lambda: os.path.exists(self.socket) and os.path.exists(self.status), 'tso_guest')

    def prefer(self):
        """Before everything else of its core, so that it is never what limits."""
        try:
            with open('/proc/%d/autogroup' % self.process.pid, 'w') as file:
                file.write('-20')
        except OSError:
            pass                # a kernel without autogroups
        os.setpriority(os.PRIO_PROCESS, self.process.pid, -20)

    def end(self):
        self.process.kill()     # also when it is stopped
        self.process.wait()

    def read(self):
        with open(self.status, 'rb') as file:
            return dict(zip(STATUS, struct.unpack('=%dQ' % len(STATUS), file.read(8 * len(STATUS)))))

    def set_mode(self, mode):
        with open(self.status, 'r+b') as file:
            file.seek(8 * STATUS.index('mode'))
            file.write(struct.pack('=Q', mode))


class TsoSide:
    """What both sides do differently from other scenarios: their VIF is a vhost-user port."""

    guest = None

    def plug_words(self, port, devargs):
        if port.how != 'guest':
            return super().plug_words(port, devargs)
        return ['--may-exist', 'add-port', port.bridge, port.port, '--', 'set', 'Interface', port.port,
                'type=dpdkvhostuserclient', 'options:vhost-server-path=' + self.guest.socket,
                'external-ids:iface-id=' + port.name]


class TsoIncumbent(TsoSide, Incumbent):
    def start_switch(self, per_port_pools=False):
        self.vsctl('--no-wait', 'init', '--', 'set', 'Open_vSwitch', '.',
                   'other_config:userspace-tso-enable=true')
        super().start_switch(per_port_pools)


class TsoSluice(TsoSide, Sluice):
    pass


class TsoScenario(Scenario):
    """s2c or s3 with a guest where the VIF's device was."""

    def __init__(self, name):
        super().__init__(name)
        self.ports = [(kind, port, 'guest' if kind == 'vif' else spec)
                      for kind, port, spec in self.ports]


def segments(payload):
    """A stretch of the stream as the wire has it: Geneve, all checksums."""
    length = 8 * payload
    eth = bytes.fromhex('020000000102' '020000000101' '0800')
    geneve = struct.pack('!BBHIHBBI', 2, 0x40, 0x6558, 1 << 8, 0x0102, 0x80, 1, 1 << 16 | 2)
    for number, start in enumerate(range(0, length, SEGMENT)):
        data = bytes((o * 7 + (o >> 8) * 13 + 1) & 0xff
                     for o in range(start, min(start + SEGMENT, length)))
        addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
        tcp = struct.pack('!HHIIBBHHH', 4000, 80, start, 1, 0x50, 0x10, 65535, 0, 0)
        check = _fold(_sum16(addresses) + 6 + len(tcp) + len(data) + _sum16(tcp + data))
        tcp = tcp[:16] + struct.pack('!H', check) + tcp[18:]
        inner = eth + ip_header(addresses, number, len(tcp) + len(data), 6) + tcp + data
        outer = bytes([172, 16, 0, 2, 172, 16, 0, 1])
        udp_length = 8 + len(geneve) + len(inner)
        udp = struct.pack('!HHHH', 40000, 6081, udp_length, 0)
        check = _fold(_sum16(outer) + 17 + udp_length + _sum16(udp + geneve + inner)) or 0xffff
        udp = udp[:6] + struct.pack('!H', check)
        yield (bytes.fromhex('02000000aa01' '02000000aa02' '0800') +
               ip_header(outer, 0, udp_length, 17) + udp + geneve + inner)


def ip_header(addresses, number, length, proto):
    head = struct.pack('!BBHHHBBH', 0x45, 0, 20 + length, number & 0xffff, 0x4000, 64, proto, 0)
    return head[:10] + struct.pack('!H', _fold(_sum16(head + addresses))) + addresses


def judge_wire(path, payload):
    """What is wrong with recorded frames; their number."""
    seen, problems, expected = 0, [], None
    for frame in frames.read_pcap(path, 20000):
        if not frames.is_geneve(frame):
            continue
        seen += 1
        inner = frame[34 + 8 + 8 + (frame[42] & 63) * 4:]
        error = frames.checksum_error(frame)
        sequence = struct.unpack_from('!I', inner, 38)[0]
        data = len(inner) - 54
        if error:
            problems.append(error)
        if len(frame) > MTU + 14:
            problems.append('%d bytes' % len(frame))
        if expected is not None and sequence not in (expected, 0):
            problems.append('sequence %d, not %d' % (sequence, expected))
        expected = (sequence + data) % (8 * payload)
    return seen, problems


class Half:
    """One direction with both sides up."""

    def __init__(self, rig, options, way):
        self.rig, self.options, self.way = rig, options, way
        self.scenario = TsoScenario('s2c' if way == 'there' else 's3')
        path = rig.home('packets') + '/fwd.pcap'
        self.packets = write_pcap(path, segments(options.payload))
        self.pcaps = {'fwd': (path, self.packets)}
        kinds = {Incumbent: TsoIncumbent, Sluice: TsoSluice}
        self.sides = [kinds[k](rig, options) for k in compare.sides_of(options)]

    def bring_up(self):
        for side in reversed(self.sides):
            for other in self.sides:
                if other is not side and other.processes:
                    other.freeze()
            side.guest = Guest(self.rig, self.options, side.home, self.way == 'there')
            side.ports = [PlannedPort(i, kind, name, spec, self.pcaps)
                          for i, (kind, name, spec) in enumerate(self.scenario.ports)]
            side.start(self.scenario, side.ports)
            side.processes.append(side.guest)
            side.guest.prefer()
            self.rig.wait(lambda side=side: side.guest.read()['is_up'], 'the guest of ' + side.label,
                          60)
            if getattr(side, 'apply', None):
                side.apply(self.options.setting or 'emc100')
            side.freeze()

    def thaw(self, side, mode):
        side.thaw()
        side.guest.set_mode(mode)
        time.sleep(0.7)

    def check_wire(self, side, mode):
        """Some frames as they leave; their number."""
        port = next(p for p in side.ports if p.physical)
        path = '%s/%s-%s.pcap' % (self.rig.folder, side.home, MODES[mode])
        self.thaw(side, mode)
        side.replug(port, path)
        time.sleep(0.3)
        side.replug(port, 'null')
        side.guest.set_mode(QUIET)
        side.freeze()
        seen, problems = judge_wire(path, self.options.payload)
        os.unlink(path)
        if problems:
            raise RuntimeError('%s, %s: %d of %d frames are wrong: %s' % (
                side.label, MODES[mode], len(problems), seen, ', '.join(problems[:3])))
        return seen

    def turn(self, side, mode):
        """Gbit/s of TCP payload in one window, by the time that the polling thread had its core."""
        self.thaw(side, mode)
        try:
            t0, used, a = time.monotonic(), side.polled_s(), side.guest.read()['bytes']
            if self.way == 'there':
                rate = side.window(['phys0'], self.options.window) * 1e6 * SEGMENT
            else:
                time.sleep(self.options.window)
                rate = (side.guest.read()['bytes'] - a) / (time.monotonic() - t0)
            share = (side.polled_s() - used) / (time.monotonic() - t0)
            return rate * 8 / 1e9 / share
        finally:
            side.guest.set_mode(QUIET)
            side.freeze()

    def measure(self):
        modes = [LARGE, SMALL] if self.way == 'there' else [LARGE]
        windows = collections.defaultdict(list)
        checked = {}
        for side in self.sides:
            for mode in modes if self.way == 'there' else []:
                checked[side, mode] = self.check_wire(side, mode)
        for _ in range(self.options.rounds):
            for mode in modes:
                for side in self.sides:
                    windows[side, mode].append(self.turn(side, mode))
        out = []
        for (side, mode), values in windows.items():
            status = side.guest.read()
            if status['bad']:
                raise RuntimeError('%s: %d of %d frames at the sink are wrong' % (
                    side.label, status['bad'], status['checked']))
            detail = 'min=%.2f max=%.2f checked=%d' % (
                min(values), max(values), checked.get((side, mode), status['checked']))
            if self.way == 'back':
                detail += ' longest=%d' % status['longest']
            word = MODES[mode] if self.way == 'there' else 'segments'
            out.append(Line(self.way, side.label, word, statistics.median(values), detail))
        return out


def both_ways(lines):
    """{side: Gbit/s of one core that does both ways for the same bytes}, by each side's best."""
    best = {}
    for line in lines:
        key = line.side, line.way
        best[key] = max(best.get(key, 0), line.gbps)
    sides = sorted({side for side, _ in best})
    return {side: 1 / (1 / best[side, 'there'] + 1 / best[side, 'back']) for side in sides
            if best.get((side, 'there')) and best.get((side, 'back'))}


def run(options):
    lines = []
    pages = compare.hugepages_for(options, 2, 1000)
    for way in ('there', 'back'):
        with Hugepages(0 if options.no_huge else pages) as huge:
            options.huge = huge.enough()
            if not options.huge and not options.no_huge:
                print('# no %d free hugepages: both run without' % huge.wanted, flush=True)
            with Rig(Cores(options.core, options.rest_core), options.keep) as rig:
                half = Half(rig, options, way)
                try:
                    half.bring_up()
                    for line in half.measure():
                        lines.append(line)
                        print('tso %s %s %s %.2f Gbit/s | %s' % line, flush=True)
                finally:
                    for side in half.sides:
                        side.thaw()
                        if side.guest:
                            side.guest.end()
    total = both_ways(lines)
    for side, gbps in total.items():
        print('tso both %s %.2f Gbit/s a core' % (side, gbps), flush=True)
    if len(total) == 2 and 'sluice' in total:
        other = next(s for s in total if s != 'sluice')
        large = [l.gbps for l in lines if l.way == 'there' and l.mode == 'large' and l.side == other]
        print('tso ratio %.2f to the best of %s; its large frames: %.2f Gbit/s' % (
            total['sluice'] / total[other], other, large[0]), flush=True)
    if options.write:
        write(lines, total)
    return 0


def write(lines, total):
    import report
    rows = [(l.way, l.side, l.mode, '%.2f' % l.gbps, l.detail) for l in lines]
    rows += [('both', side, 'its best', '%.2f' % gbps, '') for side, gbps in total.items()]
    report.put('tso', report.machine() + '\n\n' + report.table(
        ('way', 'side', 'frames', 'Gbit/s a core', 'what was seen'), rows))
