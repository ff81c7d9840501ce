# SPDX-License-Identifier: Apache-2.0
"""The command lines of ref_hv.py and sluice_hv: one scenario in, one JSON out; or a comparison."""
import argparse
import json
import signal
import sys

from compare import compare
from hypervisor import Sluice


def load(path):
    with open(path) as file:
        return json.load(file)


def add_run_arguments(parser):
    parser.add_argument('spec', nargs='?')
    parser.add_argument('--nb')
    parser.add_argument('--ifaces')
    parser.add_argument('--packets')
    parser.add_argument('-o', dest='output')
    parser.add_argument('--keep', action='store_true')
    parser.add_argument('--settle', type=float, default=40)


def read_spec(args):
    spec = load(args.spec) if args.spec else {}
    if args.nb:
        with open(args.nb) as file:
            spec['nb'] = file.read().splitlines()
    if args.ifaces:
        spec['interfaces'] = dict(word.split('=', 1) for word in args.ifaces.split(','))
    if args.packets:
        spec['packets'] = load(args.packets)
    for key in ('interfaces', 'packets'):
        if key not in spec:
            raise SystemExit('the scenario has no "%s"; see --help' % key)
    return spec


def print_comparison(args):
    differences = compare(load(args.a), load(args.b), args.any_order)
    for number, given, port, left, right in differences:
        print('step %d in=%s port %s' % (number, json.dumps(given)[:200], port))
        for frame in left or ['-']:
            print('   A', frame)
        for frame in right or ['-']:
            print('   B', frame)
    print('%d differences' % len(differences))
    return 1 if differences else 0


def main(doc, hypervisors):
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=formatter)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if hypervisors is Sluice:
        add_run_arguments(parser)
        parser.add_argument('--sluiced')
        parser.add_argument('--option', action='append', default=[],
                            help='one more word for the command line of sluiced')
        args = parser.parse_args()
        extra = {'sluiced': args.sluiced, 'options': args.option}
    else:
        commands = parser.add_subparsers(dest='command', required=True)
        run = commands.add_parser('run')
        add_run_arguments(run)
        run.add_argument('--like', metavar='OUT', help='make the choices by hash that sluice made')
        judge = commands.add_parser('compare')
        judge.add_argument('a')
        judge.add_argument('b')
        judge.add_argument('--any-order', action='store_true')
        args = parser.parse_args()
        if args.command == 'compare':
            return print_comparison(args)
        extra = {'like': load(args.like) if args.like else None}
    result = hypervisors(read_spec(args), settle_s=args.settle / 1000.0, keep=args.keep,
                         **extra).go()
    text = json.dumps(result, indent=1) + '\n'
    if args.output:
        with open(args.output, 'w') as file:
            file.write(text)
    else:
        sys.stdout.write(text)
    return 0
