#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Southbound database dies for half a minute under traffic: no packet is lost, sluiced comes back
to it by itself, and what was changed meanwhile arrives.

sluiced talks to a second socket of the database server, so that the server can come back for northd
first: the changes are then made while sluiced is still cut off.
"""
import os
import signal
import time

from checks import run
from network1 import NetLab, VMS
from ovnlab.processes import SCHEMA, answers
from udp_stream import UdpStream

OUTAGE_S = float(os.environ.get('SLUICE_OUTAGE_S', '30'))


def create_databases(lab):
    """Northbound and Southbound get servers of their own; the latter is clustered: that keeps a history
    from which a client can resume."""
    home = lab.home('central')
    lab.database('north', 'db', 'nb')
    lab.run('central', 'ovsdb-tool', 'create-cluster', home + '/sb.db', SCHEMA['sb'],
            'unix:%s/raft.sock' % home)


def start_southbound(lab, *remotes):
    home = lab.home('central')
    for stale in ('db.sock', 'chassis.sock'):
        if os.path.exists('%s/%s' % (home, stale)):
            os.unlink('%s/%s' % (home, stale))
    server = lab.daemon('central', 'ovsdb-server', '--remote=punix:%s/db.sock' % home, *remotes,
                        home + '/sb.db')
    lab.wait(lambda: answers(home + '/db.sock') and answers(server.ctl), 'southbound')
    return server


def nbctl(lab, *args):
    return lab.run('central', 'ovn-nbctl', '-t', '20', '--db=unix:%s/db.sock' % lab.home('north'),
                   *args)


def sync(lab, wait='hv'):
    nbctl(lab, '--wait=' + wait, '-t', '60', 'sync')


def bring_up(lab):
    home = lab.home('central')
    create_databases(lab)
    server = start_southbound(lab, '--remote=punix:%s/chassis.sock' % home)
    lab.southbound = 'unix:%s/chassis.sock' % home
    nbctl(lab, 'init')
    lab.sbctl('init')
    lab.daemon('central', 'ovn-northd', '--ovnnb-db=unix:%s/db.sock' % lab.home('north'),
               '--ovnsb-db=unix:%s/db.sock' % home)
    nbctl(lab, 'ls-add', 'network1')
    vms = []
    for name, host, tunnel_ip, mac, ip in VMS:
        nbctl(lab, 'lsp-add', 'network1', name, '--', 'lsp-set-addresses', name, mac + ' ' + ip)
        vms.append(lab.vm(name, lab.hypervisor(host, tunnel_ip), mac, ip + '/24'))
    lab.wait_up([vm.name for vm in vms])
    sync(lab)
    return server, vms


def test(checks):
    with NetLab() as lab:
        server, (vm1, vm2) = bring_up(lab)
        checks.reaches(vm1, vm2)
        stream = UdpStream(vm1, vm2)

        start = time.time()
        lab.daemons.remove(server)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        print('      southbound killed', flush=True)
        time.sleep(OUTAGE_S / 3)
        checks.reaches(vm2, vm1)
        server = start_southbound(lab)
        # The switch now refuses ICMP to vm2, and has a third port.
        nbctl(lab, 'acl-add', 'network1', 'to-lport', '1000', 'outport == "vm2" && icmp4', 'drop')
        nbctl(lab, 'lsp-add', 'network1', 'vm3', '--', 'lsp-set-addresses', 'vm3',
              '40:44:00:00:00:03 192.168.0.13')
        sync(lab, 'sb')
        checks.reaches(vm2, '192.168.0.11')
        time.sleep(max(0, OUTAGE_S - (time.time() - start)))
        checks.check('hypervisors outlive the outage',
                     all(h.main.alive() for h in lab.hypervisors.values()))

        lab.run('central', 'ovs-appctl', '-t', server.ctl, 'ovsdb-server/add-remote',
                'punix:%s/chassis.sock' % lab.home('central'))
        print('      southbound back after %d s' % (time.time() - start), flush=True)
        sync(lab)       # returns only when both hypervisors have seen everything
        checks.check('both hypervisors have caught up', True)
        checks.equal('the new ACL is in force', vm1.ping(vm2, count=3, wait_s=1)[1], 0)
        vm3 = lab.vm('vm3', vm2.hypervisor, '40:44:00:00:00:03', '192.168.0.13/24')
        lab.wait_up(['vm3'])
        checks.reaches(vm1, vm3)

        sent, received, missing = stream.finish()
        checks.check('no packet lost: %d sent' % sent, sent == received and sent > OUTAGE_S * 100,
                     '%d received, missing %s' % (received, missing))


if __name__ == '__main__':
    run(test)
