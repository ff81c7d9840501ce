#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads what meson knows of tests.

count_tests.py TESTLOG.json              "PASSED FAILED" of a run (skipped tests count as neither)
count_tests.py --targets BUILD SUITE     the build targets that the tests of a suite need, one a line
"""
import json
import os
import subprocess
import sys


def count(path):
    passed = failed = 0
    if not os.path.exists(path):
        return 0, 1     # no test ran at all
    with open(path) as file:
        for line in file:
            result = json.loads(line)['result']
            passed += result in ('OK', 'EXPECTEDFAIL')
            failed += result not in ('OK', 'EXPECTEDFAIL', 'SKIP')
    return passed, failed


def targets(build, suite):
    text = subprocess.run(['meson', 'introspect', build, '--tests'], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    for test in json.loads(text):
        if any(name.split(':')[-1] == suite for name in test['suite']):
            yield os.path.relpath(test['cmd'][0], os.path.abspath(build))


def main():
    if sys.argv[1:2] == ['--targets']:
        print('\n'.join(sorted(set(targets(*sys.argv[2:4])))))
    else:
        print('%d %d' % count(sys.argv[1]))


if __name__ == '__main__':
    main()
