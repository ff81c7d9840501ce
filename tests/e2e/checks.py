# SPDX-License-Identifier: Apache-2.0
"""How an end-to-end test says what it found: one line a claim, and an exit status at the end."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))

SKIPPED = 77    # meson's exit status for a test that could not run here


class Checks:
    """Counts claims that hold and claims that do not."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, claim, holds, detail=''):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        print('%s  %s' % ('ok  ' if holds else 'FAIL', claim))
        if not holds and detail != '':
            print('      ' + str(detail).strip().replace('\n', '\n      '))
        sys.stdout.flush()
        return holds

    def equal(self, claim, found, wanted):
        return self.check(claim, found == wanted, 'found %r, wanted %r' % (found, wanted))

    def within(self, claim, condition, timeout_s=20):
        """Waits for a condition that must come true; the time it takes is not judged."""
        end, found = time.time() + timeout_s, None
        while time.time() < end:
            found = condition()
            if found:
                break
            time.sleep(0.05)
        return self.check(claim, found, 'still not so after %d s' % timeout_s)

    def reaches(self, vm, target, count=5, **kwargs):
        """After one packet that may wait for ARP, every ping is answered."""
        vm.ping(target, count=1, wait_s=3)
        sent, received, text = vm.ping(target, count=count, **kwargs)
        name = getattr(target, 'name', target)
        size = ', %d bytes' % kwargs['size'] if 'size' in kwargs else ''
        return self.check('%s pings %s%s' % (vm.name, name, size), sent == received, text)

    def finish(self):
        print('%d passed, %d failed' % (self.passed, self.failed))
        return 1 if self.failed else 0


def run(test):
    """Runs test(checks) as the main program."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid() != 0:
        print('skipped: namespaces need root')
        sys.exit(SKIPPED)
    checks = Checks()
    test(checks)
    sys.exit(checks.finish())
