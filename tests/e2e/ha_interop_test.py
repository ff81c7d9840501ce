#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Gateways of one group that are sluice and real OVN by turns: BFD between them comes up both ways, and
each takes over from the other."""
import os
import signal

from checks import run
from ha_lab import HaLab

# hv1, gw1, gw2, gw3
MIXES = (('sluice', 'ovs', 'sluice', 'ovs'), ('ovs', 'sluice', 'ovs', 'sluice'))


def kill_all_of(lab, name):
    """The whole chassis at once, ovn-controller first: a live one would not see its switch die."""
    for daemon in [d for d in reversed(lab.daemons) if d.home == name]:
        if daemon.name != 'ovsdb-server':
            os.kill(daemon.process.pid, signal.SIGKILL)
            lab.daemons.remove(daemon)
            daemon.process.wait()


def sessions(host):
    """How many BFD sessions are up, by the one command that both have."""
    text = host.control('bfd/show')
    return text.count('Local Session State: up'), text.count('Remote Session State: up')


def mix(checks, kinds):
    with HaLab('ha-interop.') as lab:
        lab.build(zip(('hv1', 'gw1', 'gw2', 'gw3'), kinds))
        what = '/'.join(kinds)
        for name in ('hv1', 'gw1', 'gw2', 'gw3'):
            checks.within('%s: sessions of %s are up' % (what, name),
                          lambda: sessions(lab.hypervisors[name]) == (3, 3), 60)
        checks.within('%s: the best is active' % what, lambda: lab.active() == 'gw1', 30)
        checks.within('%s: vm1 reaches the outside' % what,
                      lambda: lab.vm1.ping(lab.outside, count=1)[1], 60)
        checks.reaches(lab.outside, lab.vm1)
        kill_all_of(lab, 'gw1')
        checks.within('%s: the second takes over' % what, lambda: lab.active() == 'gw2', 30)
        checks.within('%s: and forwards' % what,
                      lambda: lab.vm1.ping(lab.outside, count=1)[1], 30)
        checks.reaches(lab.outside, lab.vm1)
        kill_all_of(lab, 'gw2')
        checks.within('%s: the third takes over' % what, lambda: lab.active() == 'gw3', 30)
        checks.within('%s: and forwards' % what,
                      lambda: lab.vm1.ping(lab.outside, count=1)[1], 30)


def test(checks):
    for kinds in MIXES:
        mix(checks, kinds)


if __name__ == '__main__':
    run(test)
