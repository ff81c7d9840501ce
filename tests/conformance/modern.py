#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Networks that OVN 26.03 compiled and forwarded: sluice must accept every flow and forward
equally.

modern.py [NAME...] [--sluiced PATH] [--jobs N] [--settle MS] [--keep DIR]

tests/data/modern has Southbound databases and, per packet, what came out of the real hypervisor
(README.md there). Each database is served by ovsdb-server as it is, without any northd; sluiced
is hv1. Prints a table like run.py. What pending.json names is played only on request.
"""
import argparse
import concurrent.futures
import gzip
import json
import os
import sys
import time

from compare import compare, words_of
from hypervisor import Sluice
from purpose import is_expected

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(os.path.dirname(HERE), 'data', 'modern')


def names():
    return sorted(f[:-len('.json.gz')] for f in os.listdir(DATA) if f.endswith('.json.gz'))


def recorded(name):
    """(SPEC, OUT) of one network."""
    with gzip.open('%s/%s.json.gz' % (DATA, name)) as file:
        both = json.load(file)
    return both['spec'], both['out']


class Recorded(Sluice):
    """sluiced on a Southbound database that is finished."""

    def __init__(self, name, spec, **kwargs):
        super().__init__(dict(spec, nb=[]), **kwargs)
        self.name = name
        self.rejected = []

    def start_central(self):
        home = self.home('central')
        with gzip.open('%s/%s.sb.db.gz' % (DATA, self.name)) as file:
            with open(home + '/sb.db', 'wb') as copy:
                copy.write(file.read())
        self.database('central', 'db', 'sb')

    def start(self):
        self.start_central()
        self.hub.start()
        chassis = self.chassis[0]
        self.start_chassis(chassis, chassis.get('mac') or '02:aa:00:00:00:01')
        for remote in self.remote:
            self.control(chassis['name'], 'tnl/neigh/set', 'br-phys', remote['ip'],
                         remote.get('mac', '02:bb:00:00:00:01'))
        self.plug_interfaces()
        self.wait(self.is_installed, 'flows of all ports')
        self.pcaps = self.open_pcaps()
        status = json.loads(self.control(chassis['name'], 'sluice/status'))
        self.rejected = status['flow_errors']
        time.sleep(self.settle_s)
        return self.collect()

    def is_installed(self):
        text = self.vsctl(self.chassis[0]['name'], '--bare', '--columns=name', 'find', 'Interface',
                          'external_ids:ovn-installed=true')
        return {i['name'] for i in self.interfaces if i.get('iface_id')} <= set(text.split())


def run_network(name, args):
    spec, expected = recorded(name)
    lab = Recorded(name, spec, sluiced=args.sluiced, settle_s=args.settle / 1000.0)
    try:
        out = lab.go()
    except RuntimeError as error:
        return name, 0, ['%s' % error], set()
    if args.keep:
        for suffix, content in (('spec', spec), ('a', expected), ('b', out)):
            with open('%s/%s.%s.json' % (args.keep, name, suffix), 'w') as file:
                json.dump(content, file, indent=1)
    detail = ['rejected flow: ' + text for text in lab.rejected]
    differences = [d for d in compare(expected, out, any_order=True, **words_of(spec))
                   if not is_expected(d)]
    for number, given, port, left, right in differences:
        detail.append('step %d in=%s port %s' % (number, json.dumps(given)[:400], port))
        detail += ['   recorded %s' % frame for frame in left or ['(nothing)']]
        detail += ['   sluice   %s' % frame for frame in right or ['(nothing)']]
    return name, len(spec['packets']), detail, {d[0] for d in differences}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('networks', nargs='*')
    parser.add_argument('--sluiced')
    parser.add_argument('--jobs', type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument('--settle', type=float, default=20)
    parser.add_argument('--keep', metavar='DIR')
    args = parser.parse_args()
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
    with open(HERE + '/pending.json') as file:
        waiting = json.load(file)
    wanted = args.networks or [name for name in names() if name not in waiting]
    failed = 0
    print('%-24s %8s %12s' % ('network', 'packets', 'different'), flush=True)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, packets, detail, steps in pool.map(lambda n: run_network(n, args), wanted):
            failed += bool(detail)
            print('%-24s %8d %12d' % (name, packets, len(steps)), flush=True)
            for line in detail:
                print('    ' + line)
    print('%d passed, %d failed' % (len(wanted) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
