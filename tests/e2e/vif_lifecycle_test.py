#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The life of a VIF, of a container in a VM, and of a chassis, as the databases see them."""
import os
import subprocess
import sys

from checks import run
from network1 import NetLab, configure, populate
from ovnlab.netlab import VM_MTU


def binding(lab, port, column):
    """A column of a Port_Binding; the chassis by name."""
    value = lab.sbctl('--bare', '--columns=' + column, 'find', 'Port_Binding',
                      'logical_port=' + port).strip()
    if column == 'chassis' and value:
        return lab.sbctl('get', 'Chassis', value, 'name').strip().strip('"')
    return value


def chassis_names(lab):
    return set(lab.sbctl('--bare', '--columns=name', 'list', 'Chassis').split())


def up_in_northbound(lab, port):
    return lab.nbctl('get', 'Logical_Switch_Port', port, 'up').strip() == 'true'


def test_vif(checks, lab, vm1):
    host = vm1.hypervisor
    lab.nbctl('lsp-add', 'network1', 'late', '--', 'lsp-set-addresses', 'late',
              '40:44:00:00:00:07 192.168.0.17')
    late = lab.vm('late0', host, '40:44:00:00:00:07', '192.168.0.17/24', port='late')
    checks.within('add-port claims the port', lambda: binding(lab, 'late', 'chassis') == 'hv1')
    checks.within('Port_Binding says up', lambda: binding(lab, 'late', 'up') == 'true')
    checks.within('northbound says up', lambda: up_in_northbound(lab, 'late'))
    checks.within('Interface says ovn-installed', lambda: 'ovn-installed="true"' in host.interface(
        'late0', 'external_ids'))
    checks.within('Interface has an ofport', lambda: host.interface('late0', 'ofport').isdigit()
                  and int(host.interface('late0', 'ofport')) > 0)
    checks.within('Interface link is up', lambda: host.interface('late0', 'link_state') == 'up')
    checks.equal('Interface has no error', host.interface('late0', 'error'), '[]')
    checks.reaches(late, vm1)
    checks.within('Interface counts packets', lambda: 'rx_packets=' in host.interface(
        'late0', 'statistics') and 'rx_packets=0' not in host.interface('late0', 'statistics'), 30)

    host.vsctl('del-port', 'br-int', 'late0')
    checks.within('del-port releases the port', lambda: binding(lab, 'late', 'chassis') == '')
    checks.within('Port_Binding says down', lambda: binding(lab, 'late', 'up') != 'true')
    checks.equal('and it is unreachable', vm1.ping(late, count=2, wait_s=1)[1], 0)
    lab.sync()
    checks.check('--wait=hv sync returns', True)

    host.plug('late0', 'late')
    lab.wait_up(['late'])
    lab.sync()
    checks.reaches(vm1, late)
    # The binding moves with iface-id.
    host.vsctl('set', 'Interface', 'late0', 'external_ids:iface-id=nobody')
    checks.within('another iface-id releases it', lambda: binding(lab, 'late', 'chassis') == '')
    host.vsctl('set', 'Interface', 'late0', 'external_ids:iface-id=late')
    checks.within('and the right one claims it again',
                  lambda: binding(lab, 'late', 'chassis') == 'hv1')

    # Its device is deleted under it, and made again under the same name.
    host.ns.run('ip', 'link', 'del', 'late0')
    checks.within('a device that vanished is told',
                  lambda: 'no network device' in host.interface('late0', 'error'), 20)
    lab.connect(late.ns, 'eth0', host.ns, 'late0', VM_MTU)
    late.ns.run('ip', 'link', 'set', 'eth0', 'address', '40:44:00:00:00:07')
    late.ns.run('ip', 'address', 'add', '192.168.0.17/24', 'dev', 'eth0')
    checks.within('and is taken when it is back', lambda: host.interface('late0', 'error') == '[]', 20)
    lab.wait_up(['late'])
    checks.reaches(vm1, late)

    host.vsctl('--no-wait', 'add-port', 'br-int', 'ghost', '--', 'set', 'Interface', 'ghost',
               'external_ids:iface-id=ghost')
    checks.within('an interface without a device has an error', lambda: 'ghost' in host.interface(
        'ghost', 'error') or 'o such device' in host.interface('ghost', 'error'))
    checks.reaches(vm1, late)
    host.vsctl('--no-wait', 'del-port', 'br-int', 'ghost')


def test_container(checks, lab, vm1, vm2):
    lab.nbctl('lsp-add', 'network1', 'box', 'vm1', '42', '--', 'lsp-set-addresses', 'box',
              '40:44:00:00:00:42 192.168.0.42')
    checks.within('a container port is claimed with its VM',
                  lambda: binding(lab, 'box', 'chassis') == 'hv1')
    checks.within('and up', lambda: binding(lab, 'box', 'up') == 'true')
    lab.sync()
    inside = vm1.ns.popen(sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                       'container.py'),
                          'eth0', '42', '40:44:00:00:00:42', stdout=subprocess.PIPE)
    lab.helpers.append(inside)
    inside.stdout.readline()
    checks.reaches(vm2, '192.168.0.42')
    checks.reaches(vm1, '192.168.0.42')
    lab.nbctl('lsp-del', 'box')
    lab.sync()
    checks.equal('a deleted container is unreachable', vm2.ping('192.168.0.42', count=2,
                                                               wait_s=1)[1], 0)
    checks.reaches(vm2, vm1)


def test_exit(checks, lab, vm1, vm2):
    host = vm1.hypervisor
    checks.equal('exit status of exit --restart', host.stop('--restart'), 0)
    checks.check('exit --restart keeps the Chassis', 'hv1' in chassis_names(lab))
    checks.equal('and the binding', binding(lab, 'vm1', 'chassis'), 'hv1')
    host.start()
    lab.wait_up(['vm1', 'vm2'])
    lab.sync()
    checks.reaches(vm1, vm2)

    checks.equal('exit status of exit', host.stop(), 0)
    checks.within('exit removes the Chassis', lambda: 'hv1' not in chassis_names(lab))
    checks.equal('the other stays', chassis_names(lab), {'hv2'})
    checks.within('and releases the binding', lambda: binding(lab, 'vm1', 'chassis') == '')
    host.start()
    checks.within('a new start claims it again', lambda: binding(lab, 'vm1', 'chassis') == 'hv1')
    lab.wait_up(['vm1', 'vm2'])
    lab.sync()
    checks.reaches(vm1, vm2)


def test(checks):
    with NetLab() as lab:
        configure(lab)
        vm1, vm2 = populate(lab)
        checks.equal('both chassis are registered', chassis_names(lab), {'hv1', 'hv2'})
        encaps = lab.sbctl('--bare', '--columns=type,ip', 'list', 'Encap').split()
        checks.check('with their Geneve addresses', {'geneve', '192.168.50.100', '192.168.50.101'}
                     == set(encaps), encaps)
        test_vif(checks, lab, vm1)
        test_container(checks, lab, vm1, vm2)
        test_exit(checks, lab, vm1, vm2)


if __name__ == '__main__':
    run(test)
