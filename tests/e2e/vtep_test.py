#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A VTEP gateway: ovn-controller-vtep and Open vSwitch's emulator of a top-of-rack switch join a
machine to a logical switch with VMs on sluiced; the machine reaches them and a router, both ways."""
import os

from checks import SKIPPED, run
from network1 import NetLab
from ovnlab.netlab import UNDERLAY_MTU, UPLINK, VM_MTU, Vm
from ovnlab.processes import answers

EMULATOR = '/usr/share/openvswitch/scripts/ovs-vtep'
MACHINE_MAC, MACHINE_IP = '40:44:00:00:00:99', '10.0.0.99'
VMS = [('vm1', 'hv1', '40:44:00:00:00:01', '10.0.0.1'),
       ('vm2', 'hv2', '40:44:00:00:00:02', '10.0.0.2')]
TOR_IP = '192.168.50.200'


class TopOfRack:
    """The switch "tor" with one port p1: ovs-vswitchd, ovs-vtep and ovn-controller-vtep."""

    def __init__(self, lab):
        self.lab = lab
        self.ns = lab.namespace('tor')
        lab.connect(self.ns, UPLINK, lab.wire, 'to-tor', UNDERLAY_MTU)
        lab.wire.run('ip', 'link', 'set', 'to-tor', 'master', 'wire')
        machine = lab.namespace('machine')
        lab.connect(machine, 'eth0', self.ns, 'p1', VM_MTU)
        machine.run('ip', 'link', 'set', 'eth0', 'address', MACHINE_MAC)
        machine.run('ip', 'address', 'add', MACHINE_IP + '/24', 'dev', 'eth0')
        machine.run('ip', 'route', 'add', 'default', 'via', '10.0.0.254')
        self.machine = Vm(machine, self, 'machine', MACHINE_MAC, [MACHINE_IP + '/24'])
        lab.database('tor', 'db', 'vs', 'vtep')
        self.vsctl('--no-wait', 'init')
        self.main = lab.daemon('tor', 'ovs-vswitchd', '--disable-system',
                               'unix:%s/db.sock' % lab.home('tor'), prefix=self.ns.enter)
        lab.wait(lambda: answers(self.main.ctl), 'ovs-vswitchd of tor')
        self.vsctl('add-br', 'br-phys', '--', 'set', 'bridge', 'br-phys', 'datapath_type=netdev',
                   '--', 'add-port', 'br-phys', UPLINK,
                   '--', 'add-br', 'tor', '--', 'set', 'bridge', 'tor', 'datapath_type=netdev',
                   '--', 'add-port', 'tor', 'p1')
        self.ns.run('ip', 'address', 'add', TOR_IP + '/24', 'dev', 'br-phys')
        self.ns.run('ip', 'link', 'set', 'br-phys', 'up')
        self.vtep('add-ps', 'tor', '--', 'add-port', 'tor', 'p1',
                  '--', 'set', 'Physical_Switch', 'tor', 'tunnel_ips=' + TOR_IP)
        self.vtep('add-ls', 'vls', '--', 'bind-ls', 'tor', 'p1', '0', 'vls')
        lab.daemon('tor', 'ovs-vtep', 'tor', program=EMULATOR, prefix=self.ns.enter)
        lab.daemon('tor', 'ovn-controller-vtep', '--vtep-db=unix:%s/db.sock' % lab.home('tor'),
                   '--ovnsb-db=' + lab.southbound, prefix=self.ns.enter)

    def vsctl(self, *args):
        return self.lab.run('tor', 'ovs-vsctl', *args)

    def vtep(self, *args):
        return self.lab.run('tor', 'vtep-ctl', *args)


def configure(lab):
    lab.start_central()
    lab.nbctl('ls-add', 's1', '--', 'ls-add', 's2', '--', 'lr-add', 'r')
    for name, _, mac, ip in VMS:
        lab.nbctl('lsp-add', 's1', name, '--', 'lsp-set-addresses', name, '%s %s' % (mac, ip))
    lab.nbctl('lsp-add', 's2', 'vm3', '--', 'lsp-set-addresses', 'vm3',
              '40:44:00:00:01:03 10.0.1.3')
    for number, net in (('1', '10.0.0.254/24'), ('2', '10.0.1.254/24')):
        lab.nbctl('lrp-add', 'r', 'r-s' + number, '40:44:00:00:ff:0' + number, net,
                  '--', 'lsp-add', 's' + number, 's%s-r' % number,
                  '--', 'lsp-set-type', 's%s-r' % number, 'router',
                  '--', 'lsp-set-addresses', 's%s-r' % number, 'router',
                  '--', 'lsp-set-options', 's%s-r' % number, 'router-port=r-s' + number)
    # ARP requests of a VTEP gateway are answered where the router's port is.
    lab.nbctl('lrp-set-gateway-chassis', 'r-s1', 'hv1', '10')
    lab.nbctl('lsp-add', 's1', 'vt', '--', 'lsp-set-type', 'vt', 'vtep',
              '--', 'lsp-set-addresses', 'vt', 'unknown',
              '--', 'lsp-set-options', 'vt', 'vtep-physical-switch=tor', 'vtep-logical-switch=vls')
    lab.sync('sb')


def fields(lab, path, expression, *names):
    words = sum([['-e', name] for name in names], [])
    text = lab.run('central', 'tshark', '-r', path, '-Y', expression, '-T', 'fields', *words)
    return sorted({tuple(line.split('\t')) for line in text.splitlines() if line.strip()})


def test(checks):
    if not os.path.exists(EMULATOR):
        print('skipped: no openvswitch-vtep here')
        raise SystemExit(SKIPPED)
    with NetLab() as lab:
        configure(lab)
        hosts = {name: lab.hypervisor(name, ip, encap='geneve,vxlan')
                 for name, ip in (('hv1', '192.168.50.100'), ('hv2', '192.168.50.101'))}
        vms = {name: lab.vm(name, hosts[host], mac, ip + '/24', gateway='10.0.0.254')
               for name, host, mac, ip in VMS}
        vms['vm3'] = lab.vm('vm3', hosts['hv2'], '40:44:00:00:01:03', '10.0.1.3/24',
                            gateway='10.0.1.254')
        lab.wait_up(vms)
        tor = TopOfRack(lab)
        machine = tor.machine
        datapath = lab.sbctl('--bare', '--columns=datapath', 'find', 'Port_Binding',
                             'logical_port=vt').strip()
        key = lab.sbctl('get', 'Datapath_Binding', datapath, 'tunnel_key').strip()
        lab.wait(lambda: lab.sbctl('--bare', '--columns=chassis', 'find', 'Port_Binding',
                                   'logical_port=vt').strip(), 'the VTEP binding', 60)
        lab.wait(lambda: tor.vtep('--bare', '--columns=tunnel_key', 'list',
                                  'Logical_Switch').strip() == key, 'the VNI of the VTEP', 60)
        # The emulator looks at its database once a second.
        lab.wait(lambda: 'unknown-dst' in tor.vtep('list-remote-macs', 'vls')
                 and VMS[1][2] in tor.vtep('list-remote-macs', 'vls'), 'remote MACs', 60)
        lab.sync()
        wire = lab.folder + '/wire.pcap'
        capture = lab.capture(lab.wire, 'to-tor', wire)
        for name in ('vm1', 'vm2'):
            checks.within('%s gets to the machine' % name,
                          lambda: vms[name].ping(machine, count=1, wait_s=1)[1] == 1, 60)
            checks.reaches(vms[name], machine)
            checks.reaches(machine, vms[name])
            checks.reaches(machine, vms[name], size=9000)
        checks.reaches(machine, '10.0.0.254')
        checks.reaches(machine, vms['vm3'])
        checks.reaches(vms['vm3'], machine)
        checks.reaches(vms['vm1'], vms['vm2'])      # by Geneve, as ever
        # The machine is asked for by broadcast and found.
        vms['vm1'].ns.run('ip', 'neigh', 'flush', 'dev', 'eth0')
        checks.reaches(vms['vm1'], machine)
        lab.finish(capture)
        found = fields(lab, wire, 'vxlan && ip.src == 192.168.50.100', 'vxlan.vni')
        checks.equal('the VNI is the whole datapath key, broadcasts included', found, [(key,)])
        asked = fields(lab, wire, 'vxlan && arp.opcode == 1 && ip.src == 192.168.50.100', 'arp.dst.proto_ipv4')
        checks.check('ARP requests go to the gateway', (MACHINE_IP,) in asked, asked)
        bad = lab.run('central', 'tshark', '-r', wire, '-o', 'ip.check_checksum:TRUE', '-o',
                      'udp.check_checksum:TRUE', '-Y',
                      'vxlan && ip.src == 192.168.50.100 && (ip.checksum.status == "Bad" || '
                      'udp.checksum.status == "Bad" || _ws.malformed)')
        checks.equal('tshark objects to nothing', bad.strip(), '')
        for host in hosts.values():
            checks.check('%s still runs' % host.name, host.main.alive())


if __name__ == '__main__':
    run(test)
