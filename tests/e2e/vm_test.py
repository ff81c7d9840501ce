#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real virtual machines on two hypervisors: vhost-user, DHCP from OVN, TCP with TSO across Geneve,
and either side restarted alone."""
import os
import signal
import sys

from checks import SKIPPED, run
from network1 import NetLab
from ovnlab.guest import Guest, NoGuest, image

MEGABYTES = 20
VMS = [('vm1', 'hv1', '192.168.50.100', '40:44:00:00:00:01', '192.168.0.11'),
       ('vm2', 'hv2', '192.168.50.101', '40:44:00:00:00:02', '192.168.0.12')]


def configure(lab):
    lab.start_central()
    lab.nbctl('ls-add', 'network1')
    options = lab.nbctl('create', 'DHCP_Options', 'cidr=192.168.0.0/24',
                        'options:server_id=192.168.0.1', 'options:server_mac=00:00:00:00:ff:01',
                        'options:lease_time=3600', 'options:mtu=1400').strip()
    for name, _, _, mac, ip in VMS:
        lab.nbctl('lsp-add', 'network1', name, '--', 'lsp-set-addresses', name, '%s %s' % (mac, ip),
                  '--', 'lsp-set-dhcpv4-options', name, options)
    lab.sync('sb')


def plug(lab, hypervisor, name, socket):
    hypervisor.vsctl('add-port', 'br-int', name, '--', 'set', 'Interface', name,
                     'type=dpdkvhostuserclient', 'options:vhost-server-path=' + socket,
                     'external_ids:iface-id=' + name, 'mtu_request=1400')


def start(lab, files):
    guests = []
    for name, hypervisor, tunnel_ip, mac, _ in VMS:
        host = lab.hypervisor(hypervisor, tunnel_ip)
        guest = Guest(lab, files, name, '%s/%s.vhost' % (lab.folder, name), mac)
        plug(lab, host, name, guest.vhost_socket)
        guest.start()
        guests.append(guest)
    lab.wait_up([guest.name for guest in guests])
    lab.sync()
    return guests


def transfer(checks, source, target, what):
    """A file by TCP from guest to guest, compared by its checksum."""
    target.run('(sleep 600 | nc -l -p 5000 > /tmp/got) &')   # nc ends when its input does
    source.run('dd if=/dev/urandom of=/tmp/part bs=1M count=1 2>/dev/null; rm -f /tmp/sent; '
               'for i in $(seq %d); do cat /tmp/part; done > /tmp/sent' % MEGABYTES, 120)
    source.run('(cat /tmp/sent; sleep 600) | nc %s 5000 &' % target.ip)
    checks.within('%s: %d MB arrive' % (what, MEGABYTES), lambda: int(
        target.run('stat -c %s /tmp/got')[1]) >= MEGABYTES << 20, 150)
    sums = [guest.run('md5sum < /tmp/' + name, 60)[1].split()[:1]
            for guest, name in ((source, 'sent'), (target, 'got'))]
    checks.equal('%s: they are the same' % what, sums[1], sums[0])
    for guest in (source, target):
        guest.run('killall nc sleep; rm -f /tmp/got /tmp/sent')


def super_frames(hypervisor):
    """How many frames above the MTU went to or came from a guest uncut."""
    text = hypervisor.control('coverage/show')
    for line in text.splitlines():
        if line.split()[:1] == ['super_frames']:
            return int(line.split()[-1])
    return 0


def test(checks):
    build = os.environ.get('SLUICE_BUILD', 'build')
    try:
        files = image(os.path.abspath(build) + '/guest-image')
    except NoGuest as why:
        print('skipped: %s' % why)
        sys.exit(SKIPPED)
    with NetLab() as lab:
        configure(lab)
        vm1, vm2 = start(lab, files)
        for guest, (_, _, _, _, ip) in zip((vm1, vm2), VMS):
            checks.equal('%s has its address by DHCP' % guest.name, guest.lease(), ip)
        checks.equal('vm1 pings vm2', vm1.ping(vm2.ip), 5)
        checks.equal('vm2 pings vm1', vm2.ping(vm1.ip, size=1372), 5)
        transfer(checks, vm1, vm2, 'TCP across Geneve')

        host = lab.hypervisors['hv1']
        os.kill(host.main.process.pid, signal.SIGKILL)
        host.main.process.wait()
        lab.daemons.remove(host.main)
        host.spawn()
        host.address_underlay()
        checks.within('vm1 is reached again after kill -9 of its sluiced',
                      lambda: vm2.ping(vm1.ip, count=1) == 1, 60)
        checks.equal('and reaches', vm1.ping(vm2.ip), 5)

        vm1.stop()
        vm1.start()
        checks.equal('a restarted vm1 has its address again', vm1.lease(), VMS[0][4])
        checks.equal('and reaches vm2', vm1.ping(vm2.ip), 5)

        hot_plug(lab, checks, files, host, vm1)
        vm1.stop()
        vm2.stop()


def hot_plug(lab, checks, files, host, vm1):
    """A third machine beside vm1, removed again."""
    lab.nbctl('lsp-add', 'network1', 'vm3', '--', 'lsp-set-addresses', 'vm3',
              '40:44:00:00:00:03 192.168.0.13')
    vm3 = Guest(lab, files, 'vm3', lab.folder + '/vm3.vhost', '40:44:00:00:00:03')
    plug(lab, host, 'vm3', vm3.vhost_socket)
    vm3.start()
    vm3.run('ip link set eth0 up; ip addr add 192.168.0.13/24 dev eth0')
    vm3.ip = '192.168.0.13'
    lab.wait_up(['vm3'])
    checks.equal('a new machine on the same hypervisor is reached', vm1.ping(vm3.ip), 5)
    before = super_frames(host)
    transfer(checks, vm3, vm1, 'TCP between neighbours')
    checks.check('large frames between neighbours stay large', super_frames(host) > before + 100,
                 '%d before, %d after' % (before, super_frames(host)))
    host.vsctl('del-port', 'vm3')
    checks.equal('its port goes, the other stays', vm1.ping(VMS[1][4]), 5)
    vm3.stop()


if __name__ == '__main__':
    run(test)
