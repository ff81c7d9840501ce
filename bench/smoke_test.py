#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The mechanics of the benchmarks: everything runs for a moment, numbers are never judged.

smoke_test.py offline      frames, generators, tables and plots; needs no root
smoke_test.py live         sluiced on a served Southbound, counted, stopped and continued; needs root
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), 'tests', 'support')]
import compare              # noqa: E402  (the paths are made above)
import frames               # noqa: E402
import report               # noqa: E402
import scenarios            # noqa: E402

LINE = re.compile(r'^\S+ \d+ \S+ [0-9.]+ \d+( |$)', re.M)
problems = []


def check(what, good, detail=''):
    print('%s %s%s' % ('ok' if good else 'FAILED', what, '' if good else ': %s' % detail))
    if not good:
        problems.append(what)


def bench(*words):
    done = subprocess.run([HERE + '/run', *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120)
    check(' '.join(words), done.returncode == 0, done.stdout[-2000:])
    return done.stdout


def test_generators():
    for name in ('s1', 's3', 's5t', 's6b', 'scale'):
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            first = scenarios.Scenario(name).make_pcaps(50, a)
            second = scenarios.Scenario(name).make_pcaps(50, b)
            for stream, (path, count) in first.items():
                made = frames.read_pcap(path)
                check('%s %s makes the same frames twice' % (name, stream),
                      made == frames.read_pcap(second[stream][0]) and len(made) == count)
                wrong = [frames.checksum_error(f) for f in made if frames.checksum_error(f)]
                check('%s %s has right checksums' % (name, stream), not wrong, wrong[:3])
    st = scenarios.Scenario('s5t').streams['fwd']
    wanted = scenarios.make_flows(st, 10)
    unwanted = scenarios.unwanted_flows('exploding', 500, wanted)
    allowed = [range(*map(int, (lo, int(hi) + 1))) for lo, hi in (
        r.split('-') for r in st['dport'].split(','))]
    hits = [f for f in unwanted if f[0] == wanted[0][0] and f[1] == wanted[0][1]
            and any(f[3] in r for r in allowed)]
    check('unwanted flows are distinct and unwanted', len(set(unwanted)) == 500 and not hits, hits)


def test_judge():
    """Differences that matter are seen; the free ones are not."""
    recorded = frames.read_pcap(HERE + '/data/s2c.out.pcap')
    geneve = [f for f in recorded if frames.is_geneve(f)]
    check('frames equal themselves', frames.differences('s2c', geneve, geneve)[0] == [])
    for at, what in ((63, 'VNI'), (80, 'inner byte')):
        broken = geneve[0][:at] + bytes([geneve[0][at] ^ 1]) + geneve[0][at + 1:]
        check('a wrong %s is seen' % what, frames.differences('s2c', [broken] + geneve[1:], geneve)[0])
    check('a missing frame is seen', frames.differences('s2c', geneve[1:], geneve)[0])
    check('a missing checksum is seen', frames.differences(
        's2c', [geneve[0][:40] + b'\0\0' + geneve[0][42:]] + geneve[1:], geneve)[0])
    snat = frames.read_pcap(HERE + '/data/s6a.out.pcap')
    broken = snat[0][:50] + bytes([snat[0][50] ^ 1]) + snat[0][51:]
    check('a wrong TCP checksum is seen', frames.differences('s6a', [broken] + snat[1:], snat)[0])


def test_report():
    with tempfile.TemporaryDirectory() as folder:
        path = folder + '/README.md'
        with open(path, 'w') as file:
            file.write('before\n<!-- compare begins -->\nold\n<!-- compare ends -->\nafter\n')
        pair = [compare.Result('s1', 1000, impl, mpps, 2600 / mpps, '')
                for impl, mpps in (('ovs-stock', 20.0), ('sluice', 40.0))]
        report.write_compare([(pair, (1.9, 2.0, 2.1))], path)
        report.write_compare([(pair, (1.9, 2.0, 2.1))], path)
        with open(path) as file:
            text = file.read()
        check('the table replaces the one before', text.count('| s1 L2 switch | 1 k | 65 (40.00) |') == 1
              and 'old' not in text and text.startswith('before') and text.endswith('after\n'), text)
        with open(folder + '/compare.svg') as file:
            check('the plot is there', file.read().startswith('<svg'))


def main():
    if sys.argv[1:] == ['live']:
        out = bench('compare', 's6a:64', '--only', 'sluice', '--no-huge', '--memory-mb', '512',
                    '--window', '0.1', '--rounds', '1', '--connections', '20000', '--cache-entries',
                    '4096')
        check('a line was printed', LINE.search(out), out)
        check('its connections are there', 'conns=128' in out, out)
    else:
        test_generators()
        test_judge()
        test_report()
        check('all recorded scenarios pass', '0 failed' in bench('check'))
        out = bench('forward', 's1:64', 's6b:64', '--seconds', '1', '--repeat', '1', '--core', '0')
        check('two lines were printed', len(LINE.findall(out)) == 2, out)
    print('%d problems' % len(problems))
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
