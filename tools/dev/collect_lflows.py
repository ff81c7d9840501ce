#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Collects the distinct logical flows that OVN writes, as test data for the language.

  collect_lflows.py FILE.gz             runs ovn-northd over tests/data/lflows_topologies.txt
  collect_lflows.py FILE.gz --db DB...  takes the flows of Southbound database files instead

One JSON list a line: pipeline, table, match, actions; sorted. UUIDs (in trigger_event's
load_balancer) become zeros; a few lists that northd writes in the order of its hash tables still
differ from run to run.
"""
import argparse
import gzip
import json
import pathlib
import re
import shlex
import sys

_TESTS = pathlib.Path(__file__).resolve().parents[2] / 'tests'
sys.path.insert(0, str(_TESTS / 'support'))
from ovnlab.processes import Lab  # noqa: E402

_UUID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}')
_ZERO = '00000000-0000-0000-0000-000000000000'


def topologies():
    """Name and command lines of each network of the list; its head tells the format."""
    parts, networks, lines = {}, {}, []
    for line in (_TESTS / 'data' / 'lflows_topologies.txt').read_text().splitlines():
        if line.startswith(('(', '[')):
            lines = (parts if line[0] == '(' else networks).setdefault(line[1:-1], [])
        elif line.startswith('use '):
            lines.extend(parts[line[4:]])
        elif line and line[0] != '#':
            lines.append(line)
    return networks.items()


def from_northd(name, commands):
    """The flows of one network."""
    with Lab(prefix='lflows.') as lab:
        lab.start_central()
        for line in commands:
            words = shlex.split(line)
            if words[0] == 'sbctl':
                lab.sbctl(*words[1:])
            else:
                lab.nbctl(*words)
        lab.sync(wait='sb')
        columns = lab.sbctl('--format=json', '--columns=pipeline,table_id,match,actions', 'list',
                            'Logical_Flow')
        rows = json.loads(columns)['data']
    print('%-26s %5d flows' % (name, len(rows)), file=sys.stderr)
    return {tuple(row) for row in rows}


def from_database(path):
    """The flows of an OVSDB file, compressed or not; its last state."""
    opener = gzip.open if path.endswith('.gz') else open
    flows = {}
    with opener(path, 'rt') as file:
        for line in file:
            if not line.startswith('{'):
                continue
            for uuid, row in json.loads(line).get('Logical_Flow', {}).items():
                if row is None:
                    flows.pop(uuid, None)
                else:
                    flows.setdefault(uuid, {}).update(row)
    return {(row.get('pipeline', 'egress'), row.get('table_id', 0), row.get('match', ''),
             row.get('actions', '')) for row in flows.values()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('output')
    parser.add_argument('--db', nargs='+', default=[])
    args = parser.parse_args()
    flows = set()
    for path in args.db:
        flows |= from_database(path)
    if not args.db:
        for name, commands in topologies():
            flows |= from_northd(name, commands)
    lines = sorted({json.dumps([p, t, m, _UUID.sub(_ZERO, a)], separators=(',', ':'))
                    for p, t, m, a in flows})
    data = ('\n'.join(lines) + '\n').encode()
    with open(args.output, 'wb') as file:
        with gzip.GzipFile(fileobj=file, mode='wb', mtime=0, filename='') as packed:
            packed.write(data)
    print('%d distinct flows, %d bytes' % (len(lines), len(data)), file=sys.stderr)


if __name__ == '__main__':
    main()
