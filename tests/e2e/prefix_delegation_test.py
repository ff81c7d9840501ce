#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A router asks a DHCPv6 server in a VM for a prefix, writes it to the database, northd gives it to the
router port, and the router renews it."""
import os
import sys

from checks import run
from network1 import NetLab

SERVER_MAC, SERVER = '40:44:00:00:00:09', 'fe80::9'
HERE = os.path.dirname(os.path.abspath(__file__))


def configure(lab):
    lab.start_central()
    lab.nbctl('lr-add', 'r')
    for switch, mac in (('up', '00:00:00:00:ff:01'), ('down', '00:00:00:00:ff:02')):
        lab.nbctl('ls-add', switch)
        lab.nbctl('lrp-add', 'r', 'r-' + switch, mac, '10.0.%d.254/24' % (1 + (switch == 'down')))
        lab.nbctl('lsp-add', switch, switch + '-r', '--', 'lsp-set-type', switch + '-r', 'router', '--',
                  'lsp-set-addresses', switch + '-r', 'router', '--', 'lsp-set-options', switch + '-r',
                  'router-port=r-' + switch)
    lab.nbctl('lrp-set-gateway-chassis', 'r-up', 'hv1', '10')
    lab.nbctl('set', 'logical_router_port', 'r-up', 'options:prefix_delegation=true')
    lab.nbctl('set', 'logical_router_port', 'r-down', 'options:prefix=true')
    lab.nbctl('lsp-add', 'up', 'server', '--', 'lsp-set-addresses', 'server', '%s %s' % (SERVER_MAC, SERVER))
    lab.sync('sb')


def test(checks):
    with NetLab('prefix.') as lab:
        configure(lab)
        host = lab.hypervisor('hv1', '192.168.50.100')
        vm = lab.vm('server', host, SERVER_MAC, '10.0.1.9/24')
        lab.wait_up(['server'])
        path = lab.folder + '/server.out'
        with open(path, 'w') as out:
            lab.helpers.append(vm.ns.popen(sys.executable, HERE + '/prefix_server.py', 'eth0', SERVER_MAC,
                                           SERVER, '2001:db8:7::', '56', stdout=out))

        def heard(word):
            with open(path) as file:
                return word in file.read().split()

        def list_of_port():
            return lab.sbctl('--bare', '--columns=options', 'find', 'Port_Binding', 'logical_port=r-down')
        checks.within('the router solicits', lambda: heard('solicit'))
        checks.within('and requests what is advertised', lambda: heard('request'))
        checks.within('the prefix is in the Southbound database',
                      lambda: ':2001:db8:7::/56' in list_of_port())
        checks.within('and northd gives it to the router port', lambda: '2001:db8:7::/56' in lab.nbctl(
            'get', 'Logical_Router_Port', 'r-down', 'ipv6_prefix'))
        checks.within('after T1 the router renews it', lambda: heard('renew'))


if __name__ == '__main__':
    run(test)
