#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when an include breaks the layers: which folder may include which is the table below.

Includes of our own files are quoted and relative to the root of the source. A folder may always include
itself. `check_layers.py --edges` prints the edges there are.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIB = ['lib/base', 'lib/net', 'lib/program', 'lib/rcu', 'lib/stats', 'lib/mailbox', 'lib/json']
NOT_JSON = [layer for layer in LIB if layer != 'lib/json']
CONTROL = ['control/ovsdb', 'control/sb', 'control/vswitch', 'control/chassis', 'control/compile',
           'control/physical', 'control/slowpath', 'control/rpc', 'control/capture']
CHASSIS = ['control', 'control/ovsdb', 'control/sb', 'control/vswitch', 'control/chassis',
           'control/physical']

# Layer: what it may include. The longest matching prefix of a file's path is its layer.
ALLOWED = {
    'lib/base': [],
    'lib/net': ['lib/base'],
    'lib/program': ['lib/base', 'lib/net', 'lib/rcu', 'lib/stats'],
    'lib/rcu': ['lib/base'],
    'lib/stats': ['lib/base'],
    'lib/json': ['lib/base'],
    'lib/mailbox': ['lib/base', 'lib/net', 'lib/program', 'lib/rcu', 'lib/stats'],
    # The three siblings meet in lib and nowhere else.
    'pmd': ['lib/base', 'lib/net', 'lib/program', 'lib/rcu', 'lib/stats'],
    'datapath': NOT_JSON,
    'control': LIB + CONTROL,
    # Inside control: text in, program out; rows in, rows out.
    'control/compile': LIB,
    'control/ovsdb': LIB,
    'control/rpc': LIB,
    'control/capture': LIB + ['control/rpc'],
    'control/sb': LIB + ['control/ovsdb'],
    # What a chassis is (its rows, its ports, its tunnels) is told by three folders that know each other.
    'control/chassis': LIB + CHASSIS + ['control/slowpath'],    # what it is to watch, to announce
    'control/physical': LIB + CHASSIS + ['control/compile'],
    'control/vswitch': LIB + CHASSIS,
    'control/slowpath': LIB + ['control', 'control/compile', 'control/ovsdb', 'control/sb'],
    # Only programs, tests and benches put the siblings together.
    'tools': LIB + ['pmd', 'datapath', 'control'] + CONTROL,
    'bench': LIB + ['pmd', 'datapath', 'control', 'tests', 'tools'] + CONTROL,
    'tests': LIB + ['pmd', 'datapath', 'control', 'tools'] + CONTROL,
}
# Single headers that a layer must not see although it may see their folder: workers do not log or wait.
FORBIDDEN = {'datapath': ['lib/base/log.h', 'lib/base/event_loop.h']}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
SOURCE = ('.h', '.cc', '.c', '.def')


def layer_of(path):
    prefixes = [layer for layer in ALLOWED if path.startswith(layer + '/')]
    return max(prefixes, key=len, default=None)


def sources():
    for top in sorted({layer.split('/')[0] for layer in ALLOWED}):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith(SOURCE):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def problems_of(path, edges):
    own = layer_of(path)
    with open(os.path.join(ROOT, path), errors='replace') as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target, where = match[1], '%s:%d' % (path, number)
            if not os.path.exists(os.path.join(ROOT, target)):
                yield '%s: "%s" is not a file of the source, seen from its root' % (where, target)
                continue
            layer = layer_of(target)
            edges.add((own, layer))
            if layer != own and layer not in ALLOWED[own]:
                yield '%s: %s must not include %s ("%s")' % (where, own, layer, target)
            if target in FORBIDDEN.get(own, []):
                yield '%s: %s must not include "%s"' % (where, own, target)


def main():
    edges, problems, count = set(), [], 0
    for path in sources():
        count += 1
        problems += problems_of(path, edges)
    if '--edges' in sys.argv[1:]:
        for own, layer in sorted((a, str(b)) for a, b in edges if a != b):
            print('%s -> %s' % (own, layer))
    for problem in problems:
        print(problem)
    print('%d files, %d forbidden includes' % (count, len(problems)))
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
