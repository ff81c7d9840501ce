#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Differential test: every scenario on the reference hypervisor and on sluice, packet for
packet.

  run.py [CASE...] [--sluiced PATH] [--option WORD] [--jobs N] [--settle MS] [--keep DIR]
  run.py --part K/N             every Nth case, from the Kth on
  run.py --reference-only [CASE...]   what the reference does, by itself (twice: it must agree)
  run.py --write-specs DIR [CASE...]  the scenarios as SPEC.json files
  run.py --spec FILE...         scenarios from files, as shrinking leaves them
  run.py --generated N [--seed S] [--packets N] [--shrink N] [--verbose]
                                N random topologies from seed S on (generate.py); the first few
                                that differ are made small and left as files

Cases are the files of cases/. Those in pending.json wait for something that is not built yet: they
are played only when named. Expected values come from the Open vSwitch and OVN of this
machine in the same run; nothing is stored. Prints a table, the differing frames, and "N passed,
N failed".
"""
import argparse
import concurrent.futures
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

from compare import compare, words_of
from purpose import is_expected
from fleet import play_generated

HERE = os.path.dirname(os.path.abspath(__file__))


def case_names():
    return sorted(f[:-3] for f in os.listdir(HERE + '/cases') if f.endswith('.py'))


def pending():
    """What is not built yet, by the case that waits for it."""
    with open(HERE + '/pending.json') as file:
        return json.load(file)


def load_spec(name):
    if name.endswith('.json'):
        with open(name) as file:
            return json.load(file)
    path = '%s/cases/%s.py' % (HERE, name)
    if not os.path.exists(path):
        raise SystemExit('no case %s; there are: %s' % (name, ', '.join(case_names())))
    spec = importlib.util.spec_from_file_location('case_' + name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SPEC


def play(command, spec_path, out_path):
    """Runs one side. Returns None, or what it said when it failed."""
    done = subprocess.run([sys.executable, *command, spec_path, '-o', out_path],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if done.returncode == 0 else done.stdout.strip() or 'exit %d' % done.returncode


def run_case(name, folder, sides):
    spec = load_spec(name)
    name = os.path.basename(name).removesuffix('.json')
    spec_path = '%s/%s.json' % (folder, name)
    with open(spec_path, 'w') as file:
        json.dump(spec, file, indent=1)
    # A frame that a busy machine brings late belongs to the wrong step: a difference counts if it is
    # still there when everybody is given more time.
    paths = ['%s/%s.%s.json' % (folder, name, letter) for letter in 'ab']
    like = ['--like', paths[1]] if spec.get('steer') else []
    for patience in ('', '200', '500'):
        extra = ['--settle', patience] if patience else []
        problem = (play(sides[1] + extra, spec_path, paths[1])
                   or play(sides[0] + extra + like, spec_path, paths[0]))
        if problem:
            return {'name': name, 'packets': 0, 'steps': set(), 'detail': [problem], 'ok': False}
        outs = []
        for path in paths:
            with open(path) as file:
                outs.append(json.load(file))
        differences = [d for d in compare(*outs, **words_of(spec)) if not is_expected(d, name)]
        if not differences:
            break
    detail = []
    for number, given, port, left, right in differences:
        detail.append('step %d in=%s port %s' % (number, json.dumps(given)[:400], port))
        detail += ['   reference %s' % frame for frame in left or ['(nothing)']]
        detail += ['   sluice    %s' % frame for frame in right or ['(nothing)']]
    return {'name': name, 'packets': sum(isinstance(s, list) for s in spec['packets']),
            'seen': sum(bool(step['out']) for step in outs[0]['steps']),
            'steps': {d[0] for d in differences}, 'detail': detail, 'ok': not differences}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cases', nargs='*')
    parser.add_argument('--sluiced')
    parser.add_argument('--option', action='append', default=[])
    parser.add_argument('--jobs', type=int, default=min(4, (os.cpu_count() or 1) + 1))
    parser.add_argument('--settle', default='40')
    parser.add_argument('--keep', metavar='DIR', help='leave SPEC and both outputs there')
    parser.add_argument('--reference-only', action='store_true')
    parser.add_argument('--part', metavar='K/N')
    parser.add_argument('--list', action='store_true', help='print the names of the cases')
    parser.add_argument('--write-specs', metavar='DIR')
    parser.add_argument('--spec', nargs='+', default=[], metavar='FILE')
    parser.add_argument('--generated', type=int, metavar='N')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--packets', type=int, default=200)
    parser.add_argument('--verbose', action='store_true',
                        help='also what differed in a run of the reference that lost packets')
    parser.add_argument('--shrink', type=int, default=3, metavar='N')
    args = parser.parse_args()
    waiting = pending()
    names = args.cases + args.spec or [name for name in case_names() if name not in waiting]
    if args.part:
        part, parts = map(int, args.part.split('/'))
        names = names[part - 1::parts]
    if args.list:
        print('\n'.join(names))
        return 0
    if args.write_specs:
        os.makedirs(args.write_specs, exist_ok=True)
        for name in names:
            with open('%s/%s.json' % (args.write_specs, name), 'w') as file:
                json.dump(load_spec(name), file, indent=1)
        return 0
    reference = [HERE + '/ref_hv.py', 'run', '--settle', args.settle]
    sluice = [HERE + '/sluice_hv', '--settle', args.settle]
    if args.sluiced:
        sluice += ['--sluiced', args.sluiced]
    sluice += ['--option=' + word for word in args.option]
    sides = [reference, reference if args.reference_only else sluice]
    failed = 0
    with tempfile.TemporaryDirectory(prefix='conformance.') as temporary:
        folder = args.keep or temporary
        os.makedirs(folder, exist_ok=True)
        if args.generated:
            return 1 if play_generated(args, sides, temporary) else 0
        print('%-24s %8s %10s %10s %12s' % ('case', 'packets', 'delivered', 'equal',
                                            'different'), flush=True)
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for result in pool.map(lambda name: run_case(name, folder, sides), names):
                different = len(result['steps'])
                failed += not result['ok']
                print('%-24s %8d %10d %10d %12d' % (
                    result['name'], result['packets'], result.get('seen', 0),
                    max(0, result['packets'] - different), different), flush=True)
                for line in result['detail']:
                    print('    ' + line)
    print('%d passed, %d failed' % (len(names) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
