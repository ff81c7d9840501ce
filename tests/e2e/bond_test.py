#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bonds: LACP against Open vSwitch's implementation under Geneve traffic, members that fail and return,
active-backup, and what the local database says about all of it."""
import sys
import time

from bond_lab import Flows, NetLab, bonded_pair
from checks import run
from network1 import VMS, configure

LACP = ('bond_mode=balance-tcp', 'lacp=active', 'other_config:lacp-time=fast')


def grown(before, after, what):
    return {name: after[name][what] - before[name][what] for name in after}


def is_negotiated(host):
    report = host.report()
    return report['lacp_status'] == 'negotiated' and all(m['enabled'] for m in report['members'])


def lacp(checks, hosts, vms):
    ours, theirs = hosts
    for host in hosts:
        host.bond(*LACP)
    checks.within('LACP is negotiated, both members carry traffic', lambda: is_negotiated(ours), 40)
    text = theirs.control('lacp/show', 'bond0')
    checks.check('the partner agrees', 'negotiated' in text.split('\n')[1]
                 and text.count('current attached') == 2, text)
    member = ours.members()['u0']
    checks.equal('our state, in words', member['lacp_state'],
                 'activity timeout aggregation synchronized collecting distributing')
    checks.equal("and the partner's", member['lacp_partner_state'],
                 'activity timeout aggregation synchronized collecting distributing')
    shown = ours.control('lacp/show')
    checks.check('lacp/show has both sides', 'actor state: activity' in shown
                 and 'partner sys_id' in shown and 'status: active negotiated' in shown, shown)
    checks.equal('the database has it as well',
                 [ours.interface('u0', 'lacp_current'), ours.interface('u0', 'link_state')],
                 ['true', 'up'])
    checks.within('and who is active', lambda: ours.vsctl(
        'get', 'Port', 'bond0', 'bond_active_slave').strip().strip('"') in
        [m['mac'] for m in ours.members().values() if m['active']])
    checks.within('the VMs find each other', lambda: vms[0].ping(vms[1], 1)[1] == 1, 30)

    for source, target, way, what in ((vms[0], vms[1], 'sent', 'tx_packets'),
                                      (vms[1], vms[0], 'received', 'rx_packets')):
        before = ours.members()
        stream = Flows(source, target)
        time.sleep(2)
        sent, lost = stream.finish()
        checks.equal('nothing is lost, %s' % way, lost, 0)
        spread = grown(before, ours.members(), what)
        checks.check('both members have their share of what is ' + way,
                     min(spread.values()) > sent / 10, '%s of %d' % (spread, sent))


def failures(checks, hosts, cable, vms):
    """Whatever happens to a member, the other one goes on; what is lost is bounded by how long a
    failure takes to be seen: the next look at the link, three LACPDUs that do not come."""
    ours = hosts[0]
    for source, target in (vms, vms[::-1]):
        stream = Flows(source, target)
        started = time.time()
        cable.set_link('down')
        checks.within('the link of a member goes: it is out',
                      lambda: not ours.members()['u0']['enabled'])
        time.sleep(1)
        resumed = ours.members()
        time.sleep(1)
        checks.check('the other one has it all',
                     max(grown(resumed, ours.members(), what)['u1']
                         for what in ('tx_packets', 'rx_packets')) > 100)
        cable.set_link('up')
        checks.within('it comes back', lambda: is_negotiated(ours), 40)
        time.sleep(0.5)
        sent, lost = stream.finish()
        rate = sent / (time.time() - started)
        checks.check('and little was lost', lost < 1.5 * rate, '%d of %d' % (lost, sent))
        print('      %d of %d lost at %d a second' % (lost, sent, rate))

    stream = Flows(vms[0], vms[1])
    started = time.time()
    cable.toggle_lacp()
    checks.within('LACPDUs stop while the link is up: it is out',
                  lambda: not ours.members()['u0']['enabled'] and ours.members()['u0']['link_up'])
    checks.check('and says why', ours.members()['u0']['lacp_receive'] in ('expired', 'defaulted'))
    cable.toggle_lacp()
    checks.within('with LACPDUs it comes back', lambda: is_negotiated(ours), 40)
    time.sleep(0.5)
    sent, lost = stream.finish()
    rate = sent / (time.time() - started)
    # Half of the flows, for as long as one side has noticed and the other has not.
    checks.check('little was lost meanwhile', lost < 1.5 * rate, '%d of %d' % (lost, sent))
    print('      %d of %d lost at %d a second' % (lost, sent, rate))


def active_backup(checks, hosts, cable, vms):
    ours, theirs = hosts
    ours.vsctl('del-port', 'bond0')  # an open bond would keep who is active
    ours.bond('bond_mode=active-backup')
    # Two that choose for themselves must choose the same cable; a switch would not care.
    theirs.bond('bond_mode=active-backup', 'other_config:bond-primary=u0')
    checks.within('active-backup: a member is active', lambda: any(
        m['active'] and m['enabled'] for m in ours.members().values()), 20)
    checks.within('the VMs find each other', lambda: vms[0].ping(vms[1], 1)[1] == 1, 30)

    def active():
        return [n for n, m in ours.members().items() if m['active']][0]
    checks.within('the first one', lambda: active() == 'u0')
    first, other = 'u0', 'u1'
    stream = Flows(vms[0], vms[1])
    started = time.time()
    cable.set_link('down')
    checks.within('its link goes: the other one is active', lambda: active() == other)
    time.sleep(2)
    sent, lost = stream.finish()
    rate = sent / (time.time() - started)
    checks.check('little was lost', lost < 1.5 * rate, '%d of %d' % (lost, sent))
    print('      %d of %d lost at %d a second' % (lost, sent, rate))
    cable.set_link('up')
    checks.within('it is there again, as the backup', lambda: ours.members()[first]['enabled']
                  and active() == other)
    shown = ours.control('bond/show', 'bond0')
    checks.check('bond/show says so', 'bond_mode: active-backup' in shown
                 and 'member %s: enabled\n  active member' % other in shown, shown)


def refusals(checks, ours):
    ours.vsctl('--no-wait', 'set', 'Port', 'bond0', 'bond_mode=balance-slb', 'lacp=off')
    checks.within('balance-slb by a change of the row',
                  lambda: [b['mode'] for b in [ours.report()]] == ['balance-slb'])
    known = ours.members()['u0']
    ours.vsctl('--no-wait', 'set', 'Interface', 'u1', 'type=patch')
    checks.within('what cannot be a member is said', lambda: 'only devices can be in a bond' in
                  ours.interface('u1', 'error'))
    ours.vsctl('--no-wait', 'set', 'Interface', 'u1', 'type=""')
    checks.within('and mended', lambda: ours.interface('u1', 'error') == '[]')
    checks.within('it carries traffic again',
                  lambda: ours.members().get('u1', {}).get('enabled'))
    now = ours.members()['u0']
    checks.check('the other member did not notice', now['enabled'] and
                 now['link_resets'] == known['link_resets'] and now['tx_packets'] >= known['tx_packets'],
                 (known, now))


def vanishes(checks, hosts):
    """A member's device is deleted under the bond, and made again."""
    ours = hosts[0]
    known = ours.members()['u0']['link_resets']
    ours.ns.run('ip', 'link', 'del', 'u1')
    checks.within('its row says that it is gone', lambda: 'no network device' in
                  ours.interface('u1', 'error'), 20)
    checks.check('and the bond has no error', ours.members()['u0']['enabled'])
    ours.lab.connect(ours.ns, 'u1', hosts[1].ns, 'u1', 1500)
    checks.within('it is a member again', lambda: ours.members()['u1']['enabled'], 20)
    checks.equal('the other one did not notice', ours.members()['u0']['link_resets'], known)


def test(checks):
    with NetLab() as lab:
        configure(lab)
        hosts, cable = bonded_pair(lab)
        for host in hosts:
            host.bond(*LACP)
        vms = [lab.vm(name, host, mac, ip + '/24')
               for (name, _, _, mac, ip), host in zip(VMS, hosts)]
        lab.wait_up([vm.name for vm in vms])
        lab.sync()
        lacp(checks, hosts, vms)
        failures(checks, hosts, cable, vms)
        active_backup(checks, hosts, cable, vms)
        refusals(checks, hosts[0])
        vanishes(checks, hosts)


if __name__ == '__main__':
    sys.exit(run(test))
