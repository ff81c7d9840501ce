#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Documents that do not lie: the files they name exist, and what they say can be run does run.

* Every `path` in backticks that starts with a folder of the source must exist ("x/y" may stand for
  x/y.h and x/y.cc; {a,b} and * are understood).
* Every link to a file must lead somewhere.
* A fenced block whose first line is "```sh run" is run by bash at the root of the source, with
  $SLUICE_BUILD set to the build folder given (check_docs.py [--run BUILD]).
"""
import argparse
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUOTED = re.compile(r'`([^`\s]+)`')
LINK = re.compile(r'\]\(([^)#:\s]+)(#[^)]*)?\)')
FENCE = re.compile(r'^```(.*)$')


def documents():
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if not f.startswith(('.', 'build'))]
        for name in sorted(names):
            if name.endswith('.md'):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


def alternatives(pattern):
    """x/{a,b}.h -> x/a.h, x/b.h"""
    match = re.search(r'\{([^{}]*)\}', pattern)
    if not match:
        return [pattern]
    return [p for part in match[1].split(',')
            for p in alternatives(pattern[:match.start()] + part + pattern[match.end():])]


def exists(path, folder):
    """Seen from the root, or from the folder of the document."""
    endings = ('', '.h', '.cc', '.py', '.def')
    return any(glob.glob(os.path.join(base, path + ending))
               for base in (ROOT, os.path.join(ROOT, folder)) for ending in endings)


def is_path(word, tops):
    # datapath/show and its like are commands of the daemon.
    return ('/' in word and not word.endswith('/show') and word.split('/')[0] in tops
            and not re.search(r'[$<>()=|:]', word))


def problems_of(document):
    tops = {name for name in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, name))
            and not name.startswith(('.', 'build'))}
    folder, fenced = os.path.dirname(document), False
    with open(os.path.join(ROOT, document)) as file:
        for number, line in enumerate(file, 1):
            if FENCE.match(line):
                fenced = not fenced
                continue
            if fenced:
                continue
            words = [w.rstrip('/.,;') for w in QUOTED.findall(line)]
            paths = [w for w in words if is_path(w, tops)] + [m[0] for m in LINK.findall(line)]
            for path in paths:
                for one in alternatives(path):
                    if not exists(one, folder):
                        yield '%s:%d: there is no %s' % (document, number, one)


def runnable(document):
    """(line number, script) of each block that says it can be run."""
    start, lines = None, []
    with open(os.path.join(ROOT, document)) as file:
        for number, line in enumerate(file, 1):
            match = FENCE.match(line.rstrip())
            if match and start is None:
                if match[1].split() == ['sh', 'run']:
                    start, lines = number, []
                else:
                    start = -1
            elif match:
                if start > 0:
                    yield start, ''.join(lines)
                start = None
            elif start and start > 0:
                lines.append(line)


def run_blocks(document, build):
    env = dict(os.environ, SLUICE_BUILD=os.path.abspath(build))
    for number, script in runnable(document):
        done = subprocess.run(['bash', '-euo', 'pipefail', '-c', script], cwd=ROOT, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=300, stdin=subprocess.DEVNULL)
        print('%s:%d: %s' % (document, number, 'ran' if done.returncode == 0 else 'FAILED'))
        if done.returncode:
            yield '%s:%d: exit status %d\n%s' % (document, number, done.returncode,
                                                done.stdout[-2000:])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--run', metavar='BUILD', help='also run the blocks, with this build')
    args = parser.parse_args()
    problems = []
    for document in documents():
        problems += problems_of(document)
        if args.run:
            problems += run_blocks(document, args.run)
    for problem in problems:
        print(problem)
    print('%d problems' % len(problems))
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
