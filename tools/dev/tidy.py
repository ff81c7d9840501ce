#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""House rules that no compiler checks, as a test: sizes, names, first lines, leftovers.

tidy.py [PATH...]       default: every file of the source tree that git knows or could know
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_COLUMNS = 700, 70, 120
MAX_TEST_CASE_LINES = 120     # a scenario is read from top to bottom
CODE = ('.h', '.cc', '.c', '.def')
SCRIPT = ('.py', '.sh')
# A file name says what is inside; these say nothing.
EMPTY_NAMES = re.compile(r'(^|[_.-])(utils?|commons?|helpers?|misc|managers?|mgr)([_.-]|$)', re.I)
LEFTOVERS = re.compile(r'\b(TODO|FIXME|XXX|HACK)\b')
# Text must hold for any reader, on any machine.
FOREIGN = re.compile(r'(^|[\s"\'(`])/work/|\bshared/(design|style|features|platform|oracle|seeds)'
                     r'|/tmp/b-|\bissue \d+\b')
# Where the layout of hot structs is planned; a cache line claimed elsewhere escapes that plan.
CACHE_LINE_OWNERS = ('lib/program/', 'lib/stats/counters.h', 'lib/mailbox/', 'lib/rcu/',
                     'pmd/counters.h', 'datapath/packet.h', 'datapath/cache.h', 'datapath/program_store.h',
                     'datapath/conntrack/',
                     'datapath/memory_table.h', 'datapath/meter.h', 'pmd/shaper.h',
                     'datapath/worker.h', 'tests/', 'bench/')
NOT_A_FUNCTION = re.compile(r'^(namespace|struct|class|enum|union|extern|template <.*> struct|using|'
                            r'constexpr|const|static const|inline constexpr|BENCH|#|//|\})')


def tracked():
    """What git knows or could know; without git, what is not hidden and not built."""
    try:
        out = subprocess.run(['git', '-C', ROOT, 'ls-files', '-co', '--exclude-standard'],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if out.returncode == 0:
            return [p for p in out.stdout.splitlines() if os.path.isfile(os.path.join(ROOT, p))]
    except FileNotFoundError:
        pass
    paths = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if not f.startswith(('.', 'build', '__pycache__'))]
        paths += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
    return sorted(paths)


def is_script(path, lines):
    return path.endswith(SCRIPT) or bool(lines) and lines[0].startswith('#!')


def check_first_line(path, lines):
    if path.endswith(CODE) or is_script(path, lines):
        first = lines[1] if lines and lines[0].startswith('#!') and len(lines) > 1 else (
            lines[0] if lines else '')
        if 'SPDX-License-Identifier: Apache-2.0' not in first:
            yield 1, 'the first line (after #!) is not the SPDX licence line'
    if path.endswith('.h') and not any(line == '#pragma once' for line in lines):
        yield 1, 'no #pragma once'


def check_lines(path, lines):
    code = path.endswith(CODE) or is_script(path, lines)
    own_rules = path == 'tools/dev/tidy.py'
    for number, line in enumerate(lines, 1):
        if LEFTOVERS.search(line) and not own_rules:
            yield number, 'a leftover: ' + line.strip()
        if FOREIGN.search(line) and not own_rules:
            yield number, 'speaks of another place than this project: ' + line.strip()
        if line != line.rstrip():
            yield number, 'white space at the end of the line'
        if '\t' in line and code:
            yield number, 'a tab'
        # C++ is clang-format's business.
        if len(line) > MAX_COLUMNS and is_script(path, lines) and 'http' not in line:
            yield number, 'longer than %d columns' % MAX_COLUMNS
        if 'alignas(64)' in line and path.endswith(CODE) and not path.startswith(
                CACHE_LINE_OWNERS):
            yield number, 'alignas(64) outside the files that plan cache lines'
        if path.endswith('.h') and line.startswith('using namespace'):
            yield number, 'using namespace in a header'


def check_functions(path, lines):
    """As clang-format lays out: a brace in column one ends what the last unindented line opened."""
    start, most = None, MAX_TEST_CASE_LINES if path.startswith('tests/') else MAX_FUNCTION_LINES
    for number, line in enumerate(lines, 1):
        if line == '}':
            if start and number - start + 1 > most:
                yield start, 'a function of %d lines (at most %d)' % (number - start + 1, most)
            start = None
        elif line and not line[0].isspace():
            if NOT_A_FUNCTION.match(line) or line.endswith(';'):
                start = None
            elif start is None:
                start = number


def problems_of(path):
    with open(os.path.join(ROOT, path), 'rb') as file:
        data = file.read()
    if b'\0' in data or path == 'LICENSE' or path.startswith('tests/data/'):
        return
    lines = data.decode('utf-8', 'replace').split('\n')
    if data and lines[-1] != '':
        yield len(lines), 'no end of line at the end of the file'
    lines = lines[:-1] if lines and lines[-1] == '' else lines
    if any(EMPTY_NAMES.search(part) for part in path.split('/')):
        yield 1, 'a name that says nothing about the content'
    yield from check_first_line(path, lines)
    yield from check_lines(path, lines)
    if path.endswith(CODE) or is_script(path, lines):
        if len(lines) > MAX_FILE_LINES:
            yield len(lines), 'a file of %d lines (at most %d)' % (len(lines), MAX_FILE_LINES)
    if path.endswith(('.cc', '.c', '.h')):
        yield from check_functions(path, lines)


def main():
    paths = sys.argv[1:] or tracked()
    count = 0
    for path in paths:
        for number, problem in problems_of(path):
            count += 1
            print('%s:%d: %s' % (path, number, problem))
    print('%d files, %d problems' % (len(paths), count))
    return 1 if count else 0


if __name__ == '__main__':
    sys.exit(main())
