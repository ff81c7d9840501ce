#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over the source, within a time, remembering what was clean.

run_clang_tidy.py [--all] [--budget SECONDS] BUILD [FILE...]

BUILD has the compile_commands.json. A file that was clean is not looked at again until it, a header of
ours that it includes, or .clang-tidy changes. When the budget is spent no further file is started; the
next run goes on where this one stopped. --all has no budget.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.M)
TOPS = ('lib/', 'datapath/', 'pmd/', 'control/', 'tools/')


def content(path, known):
    if path not in known:
        try:
            with open(os.path.join(ROOT, path), 'rb') as file:
                known[path] = file.read()
        except OSError:
            known[path] = b''
    return known[path]


def fingerprint(path, known):
    """Of a file and of all our headers that it sees."""
    seen, pending = set(), [path, '.clang-tidy']
    while pending:
        one = pending.pop()
        if one not in seen:
            seen.add(one)
            pending += [m.decode() for m in INCLUDE.findall(content(one, known))]
    digest = hashlib.sha256()
    for one in sorted(seen):
        digest.update(one.encode() + b'\0' + content(one, known))
    return digest.hexdigest()


def files_of(build):
    with open(os.path.join(build, 'compile_commands.json')) as file:
        entries = json.load(file)
    paths = {os.path.relpath(os.path.join(e['directory'], e['file']), ROOT) for e in entries}
    order = {top: number for number, top in enumerate(TOPS)}
    return sorted((p for p in paths if p.startswith(TOPS)),
                  key=lambda p: (order[p.split('/')[0] + '/'], p))


def lint(path, build):
    done = subprocess.run(['clang-tidy', '-p', build, '--quiet',
                           '--extra-arg=-Wno-unknown-warning-option',   # some are g++'s alone
                           os.path.join(ROOT, path)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = done.stdout.strip()
    return (done.returncode == 0, said or (done.stderr.strip() if done.returncode else ''))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--budget', type=float, default=150)
    parser.add_argument('build')
    parser.add_argument('files', nargs='*')
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    store = os.path.join(build, 'clang-tidy-clean')
    os.makedirs(store, exist_ok=True)
    known, end = {}, time.time() + (1e9 if args.all or args.files else args.budget)
    paths = args.files or files_of(build)
    marks = {path: os.path.join(store, fingerprint(path, known)) for path in paths}
    todo = [path for path in paths if not os.path.exists(marks[path])]
    bad, left = [], []

    def one(path):
        if time.time() > end:
            left.append(path)
            return
        clean, said = lint(path, build)
        if clean:
            open(marks[path], 'w').close()
        else:
            bad.append(path)
            print(said, flush=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(one, todo))
    print('clang-tidy: %d clean, %d with findings, %d left for the next run' % (
        len(paths) - len(bad) - len(left), len(bad), len(left)))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
