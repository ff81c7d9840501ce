#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three gateways of one group under traffic both ways, BFD 3 x 100 ms, and a database that changes 1000
rows a second. Nothing flaps; when the active gateway is killed, packets of less than half a second are
lost; when it comes back it takes over again, and no packet is seen twice. Losses are judged where the
machine let processes run when they were due."""
import time

from checks import run
from ha_lab import Changes, HaLab, Pulse, Stream

PER_SECOND = 400
MOST_LOST = PER_SECOND // 2     # half a second's worth
CHANGES = 1000
ATTEMPTS = 5


def judge(checks, what, streams, most, pulse):
    calm = pulse.was_calm()
    for name, stream in streams.items():
        sent, missing, doubles = stream.finish()
        if calm:
            checks.check('%s, %s: at most %d lost' % (what, name, most), len(missing) <= most,
                         '%d of %d lost: %s' % (len(missing), sent, missing[:3] + missing[-3:]))
        else:
            print('      %s: the machine stood still for %.3f s' % (what, pulse.worst_s))
        checks.equal('%s, %s: none came twice' % (what, name), doubles, 0)
        print('      %s, %s: %d sent, %d lost' % (what, name, sent, len(missing)))


def test(checks):
    with HaLab('ha.') as lab:
        lab.build()
        every = ['hv1', 'gw1', 'gw2', 'gw3']
        checks.within('the best gateway is active', lambda: lab.active() == 'gw1', 60)
        checks.within('vm1 reaches the outside', lambda: lab.vm1.ping(lab.outside, count=1)[1], 60)
        checks.reaches(lab.outside, lab.vm1)
        time.sleep(3)       # all sessions are up, with their short intervals

        def streams():
            return {'out': Stream(lab.vm1, lab.outside, PER_SECOND),
                    'in': Stream(lab.outside, lab.vm1, PER_SECOND)}

        changes = Changes(lab, CHANGES)
        changes.start()
        for _ in range(ATTEMPTS):
            both, pulse, before = streams(), Pulse(), lab.flaps(*every)
            began, rows = time.monotonic(), changes.rows
            time.sleep(6)
            rate = (changes.rows - rows) / (time.monotonic() - began)
            judge(checks, 'while the database changes', both, 5, pulse)
            print('      %d rows changed a second' % rate)
            if pulse.was_calm():
                checks.equal('no tunnel went down', lab.flaps(*every), before)
                break

        both, pulse = streams(), Pulse()
        time.sleep(1)
        lab.kill(lab.hypervisors['gw1'])
        checks.within('the second gateway takes over', lambda: lab.active() == 'gw2')
        time.sleep(2)
        judge(checks, 'failover', both, MOST_LOST, pulse)

        both, pulse = streams(), Pulse()
        time.sleep(0.5)
        lab.hypervisors['gw1'].spawn()
        lab.hypervisors['gw1'].address_underlay()
        checks.within('the first gateway takes over again', lambda: lab.active() == 'gw1', 60)
        time.sleep(3)
        judge(checks, 'preemption', both, MOST_LOST, pulse)
        checks.equal('the row stays', lab.active(), 'gw1')
        changes.finish()
        checks.equal('the changes were taken', changes.error, '')
        for name in every:
            checks.check('%s still runs' % name, lab.hypervisors[name].main.alive())


if __name__ == '__main__':
    run(test)
