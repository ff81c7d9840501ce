#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real clients in a VM: udhcpc and dhclient (DHCPv4, DHCPv6), the kernel and rdisc6 (router
advertisements), host and the C library's resolver (DNS). sluiced answers, nobody else is there."""
import json
import os
import re
import shutil
import sys

from checks import SKIPPED, run
from network1 import NetLab

NEEDED = ['busybox', 'dhclient', 'rdisc6', 'host']
MAC, ADDRESS, ADDRESS6 = '40:44:00:00:00:01', '10.0.1.11', 'fd01::11'
ROUTER_MAC, ROUTER, ROUTER6 = '00:00:00:00:ff:01', '10.0.1.254', 'fd01::ff'
OPTIONS = {'server_id': ROUTER, 'server_mac': ROUTER_MAC, 'lease_time': '3600', 'router': ROUTER,
           'dns_server': '{%s, 8.8.8.8}' % ROUTER, 'mtu': '1342',
           'domain_name': '"example.org"', 'hostname': '"client"', 'ntp_server': '10.0.1.250',
           'domain_search_list': '"example.org,lab.example.org"',
           'classless_static_route': '{10.9.0.0/16,10.0.1.253, 0.0.0.0/0,10.0.1.254}'}
OPTIONS6 = {'server_id': ROUTER_MAC, 'dns_server': '{fd01::53, fd01::54}', 'domain_search': '"example.org"'}
NAMES = {'web.example.org': '10.0.1.80 fd01::80', 'many.example.org': '10.0.1.81 10.0.1.82',
         '80.1.0.10.in-addr.arpa': 'web.example.org'}
DUMP = '#!/bin/sh\n{ echo "event=$1 reason=$reason"; env; } >> %s\n'


def options_row(lab, cidr, values):
    words = ['options:%s=%s' % (key, json.dumps(value)) for key, value in values.items()]
    return lab.nbctl('create', 'dhcp_options', 'cidr=' + json.dumps(cidr), *words).strip()


def configure(lab):
    lab.start_central()
    lab.nbctl('ls-add', 'net')
    lab.nbctl('lr-add', 'r')
    lab.nbctl('lrp-add', 'r', 'r-net', ROUTER_MAC, ROUTER + '/24', ROUTER6 + '/64')
    lab.nbctl('lsp-add', 'net', 'net-r', '--', 'lsp-set-type', 'net-r', 'router', '--', 'lsp-set-addresses',
              'net-r', 'router', '--', 'lsp-set-options', 'net-r', 'router-port=r-net')
    lab.nbctl('lsp-add', 'net', 'client', '--', 'lsp-set-addresses', 'client',
              '%s %s %s' % (MAC, ADDRESS, ADDRESS6))
    lab.nbctl('lsp-set-dhcpv4-options', 'client', options_row(lab, '10.0.1.0/24', OPTIONS))
    lab.nbctl('lsp-set-dhcpv6-options', 'client', options_row(lab, 'fd01::/64', OPTIONS6))
    records = ','.join('%s=%s' % (json.dumps(k), json.dumps(v)) for k, v in NAMES.items())
    lab.nbctl('--id=@d', 'create', 'dns', 'records={%s}' % records, '--', 'set', 'logical_switch', 'net',
              'dns_records=@d')
    lab.nbctl('set', 'logical_router_port', 'r-net', 'ipv6_ra_configs:address_mode=slaac',
              'ipv6_ra_configs:mtu=1330', 'ipv6_ra_configs:rdnss="fd01::53"',
              'ipv6_ra_configs:dnssl="example.org"')
    lab.sync('sb')


class Dump:
    """A script that a client calls, and the environment that it got, the last call for an event."""

    def __init__(self, lab, name):
        self.path, self.script = '%s/%s.env' % (lab.folder, name), '%s/%s.sh' % (lab.folder, name)
        with open(self.script, 'w') as file:
            file.write(DUMP % self.path)
        os.chmod(self.script, 0o755)

    def last(self, event):
        found = {}
        if os.path.exists(self.path):
            with open(self.path) as file:
                for call in file.read().split('event=')[1:]:
                    head, _, rest = call.partition('\n')
                    if event in head.replace('=', ' ').split():
                        found = dict(re.findall('^([a-z0-9_]+)=(.*)$', rest, re.M))
        return found


def test_udhcpc(checks, lab, vm):
    dump = Dump(lab, 'udhcpc')
    text = vm.ns.run('busybox', 'udhcpc', '-i', 'eth0', '-f', '-q', '-n', '-t', '5', '-s', dump.script,
                     '-O', 'search', '-O', 'staticroutes', '-O', 'mtu', '-x', 'hostname:vm', check=False)
    bound = dump.last('bound')
    for name, wanted in (('ip', ADDRESS), ('subnet', '255.255.255.0'), ('router', ROUTER), ('lease', '3600'),
                         ('dns', ROUTER + ' 8.8.8.8'), ('domain', 'example.org'), ('mtu', '1342'),
                         ('hostname', 'client'), ('ntpsrv', '10.0.1.250'), ('serverid', ROUTER),
                         ('search', 'example.org lab.example.org'),
                         ('staticroutes', '10.9.0.0/16 10.0.1.253 0.0.0.0/0 10.0.1.254')):
        checks.check('udhcpc: %s is %s' % (name, wanted), bound.get(name, '').split() == wanted.split(),
                     bound or text)
    text = vm.ns.run('busybox', 'udhcpc', '-i', 'eth0', '-f', '-n', '-q', '-t', '3', '-r', '10.0.1.99', '-s',
                     dump.script, check=False)
    checks.check('udhcpc: asking for another address still gives ours',
                 dump.last('bound').get('ip') == ADDRESS, text)


def test_dhclient(checks, lab, vm, family):
    dump = Dump(lab, 'dhclient' + family)
    config = '%s/dhclient%s.conf' % (lab.folder, family)
    with open(config, 'w') as file:
        file.write('timeout 20;\nretry 1;\n')
    own = ['-cf', config, '-lf', dump.path + '.leases', '-pf', dump.path + '.pid']
    open(dump.path + '.leases', 'w').close()
    text = vm.ns.run('dhclient', '-' + family, '-1', '-v', '-sf', dump.script, *own, 'eth0', check=False)
    bound = dump.last('BOUND' if family == '4' else 'BOUND6')
    wanted = {'4': [('new_ip_address', ADDRESS), ('new_subnet_mask', '255.255.255.0'), ('new_routers', ROUTER),
                    ('new_domain_name_servers', ROUTER + ' 8.8.8.8'), ('new_interface_mtu', '1342'),
                    ('new_dhcp_lease_time', '3600')],
              '6': [('new_ip6_address', ADDRESS6), ('new_dhcp6_name_servers', 'fd01::53 fd01::54')]}
    for name, value in wanted[family]:
        checks.check('dhclient -%s: %s is %s' % (family, name, value), bound.get(name) == value, bound or text)
    vm.ns.run('dhclient', '-' + family, '-x', '-sf', dump.script, *own, 'eth0', check=False)


def test_advertisements(checks, vm):
    text = vm.ns.run('rdisc6', '-1', '-r', '5', '-w', '1000', 'eth0', check=False)
    for claim, pattern in (('prefix', r'Prefix\s+: fd01::/64'), ('MTU', r'MTU\s+: +1330 bytes'),
                           ('source', 'Source link-layer address: ' + ROUTER_MAC.upper()),
                           ('resolver', r'Recursive DNS server\s+: fd01::53'),
                           ('search list', r'DNS search list\s+: example.org')):
        checks.check('rdisc6: ' + claim, re.search(pattern, text), text)
    # The kernel solicits when the link comes up, and makes itself an address.
    vm.ns.run('ip', 'link', 'set', 'eth0', 'down')
    vm.ns.run('ip', 'link', 'set', 'eth0', 'up')
    checks.within('the kernel has an address of the prefix', lambda: 'fd01::4244:ff:fe00:1' in vm.ns.run(
        'ip', '-6', 'address', 'show', 'dev', 'eth0', 'scope', 'global'))
    routes = vm.ns.run('ip', '-6', 'route')
    checks.check('and a default route through the router',
                 re.search(r'default via fe80::200:ff:fe00:ff01 .*mtu 1330', routes), routes)


def test_names(checks, lab, vm):
    vm.ns.run('ip', 'address', 'replace', ADDRESS + '/24', 'dev', 'eth0')
    vm.ns.run('ip', 'address', 'replace', ADDRESS6 + '/64', 'dev', 'eth0', 'nodad')
    for words, wanted in ((('-t', 'A', 'web.example.org', ROUTER), 'has address 10.0.1.80'),
                          (('-t', 'AAAA', 'WEB.example.org', ROUTER), 'has IPv6 address fd01::80'),
                          (('-t', 'A', 'many.example.org', ROUTER), 'has address 10.0.1.82'),
                          (('10.0.1.80', ROUTER), 'domain name pointer web.example.org'),
                          (('-t', 'A', 'web.example.org', ROUTER6), 'has address 10.0.1.80')):
        text = vm.ns.run('host', '-W', '3', '-R', '3', *words, check=False)
        checks.check('host %s: %s' % (' '.join(words), wanted), wanted in text, text)
    resolv = lab.folder + '/resolv.conf'
    with open(resolv, 'w') as file:
        file.write('nameserver %s\noptions timeout:2 attempts:5\n' % ROUTER)
    text = vm.ns.run('unshare', '--mount', 'sh', '-c', 'mount --bind %s /etc/resolv.conf && exec %s -c "%s"' % (
        resolv, sys.executable, 'import socket; print(sorted({a[4][0] for a in '
        "socket.getaddrinfo('web.example.org', 80)}))"), check=False)
    checks.check('the C library resolves both families', "['10.0.1.80', 'fd01::80']" in text, text)


def test(checks):
    if any(shutil.which(program) is None for program in NEEDED):
        print('needs ' + ' '.join(NEEDED) + ': tools/dev/install_packages check')
        sys.exit(SKIPPED)
    with NetLab('clients.') as lab:
        configure(lab)
        host = lab.hypervisor('hv1', '192.168.50.100')
        vm = lab.vm('client', host, MAC)
        vm.ns.set_ipv6('eth0', True)
        lab.wait_up(['client'])
        lab.sync()
        test_udhcpc(checks, lab, vm)
        test_dhclient(checks, lab, vm, '4')
        test_dhclient(checks, lab, vm, '6')
        test_advertisements(checks, vm)
        test_names(checks, lab, vm)


if __name__ == '__main__':
    run(test)
