#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two sluiced under a real OVN: VMs talk across Geneve, and the wire shows what OVN prescribes."""
from checks import run
from network1 import NetLab, configure, populate


def fields(lab, path, expression, *names):
    words = sum([['-e', name] for name in names], [])
    text = lab.run('central', 'tshark', '-r', path, '-Y', expression, '-T', 'fields', *words)
    return sorted({tuple(line.split('\t')) for line in text.splitlines() if line.strip()})


def test(checks):
    with NetLab() as lab:
        configure(lab)
        vm1, vm2 = populate(lab)
        wire = lab.folder + '/wire.pcap'
        capture = lab.capture(lab.wire, 'to-hv2', wire)
        checks.reaches(vm1, vm2)
        checks.reaches(vm2, vm1)
        checks.reaches(vm1, vm2, size=1372)
        checks.reaches(vm2, vm1, size=9000)
        lab.finish(capture)

        for icmp in ('8', '0'):
            found = fields(lab, wire, 'geneve && icmp.type == %s && ip.src == 192.168.0.11' % icmp,
                           'geneve.vni', 'geneve.option.class', 'geneve.option.type',
                           'geneve.option.unknown.data', 'udp.dstport')
            checks.equal('tunnel key of what vm1 sends (ICMP type %s)' % icmp, [
                (int(vni, 16), cls, typ, value, port) for vni, cls, typ, value, port in found],
                [(1, '0x0102', '0x80', '00010002', '6081')])
        back = fields(lab, wire, 'geneve && ip.src == 192.168.0.12', 'geneve.option.unknown.data')
        checks.equal('tunnel key of what vm2 sends', back, [('00020001',)])
        bad = lab.run('central', 'tshark', '-r', wire, '-o', 'ip.check_checksum:TRUE', '-o',
                      'udp.check_checksum:TRUE', '-Y',
                      'geneve && (ip.checksum.status == "Bad" || udp.checksum.status == "Bad")')
        checks.equal('outer and inner checksums are right', bad.strip(), '')
        ports = fields(lab, wire, 'geneve && ip.src == 192.168.50.100 && icmp', 'udp.srcport')
        checks.check('one flow has one outer source port', len(ports) <= 2, ports)

        # A new VM on a running hypervisor, IPv6 this time.
        lab.nbctl('lsp-add', 'network1', 'vm3', '--', 'lsp-set-addresses', 'vm3',
                  '40:44:00:00:00:03 192.168.0.13 fd00::13')
        lab.nbctl('lsp-set-addresses', 'vm2', '40:44:00:00:00:02 192.168.0.12 fd00::12')
        vm3 = lab.vm('vm3', vm1.hypervisor, '40:44:00:00:00:03', '192.168.0.13/24', 'fd00::13/64')
        vm2.ns.set_ipv6('eth0', True)
        vm2.ns.run('ip', 'address', 'add', 'fd00::12/64', 'dev', 'eth0')
        lab.wait_up(['vm3'])
        lab.sync()
        checks.reaches(vm3, vm1)
        checks.reaches(vm3, vm2)
        checks.reaches(vm3, 'fd00::12')
        checks.reaches(vm2, 'fd00::13', size=4000)
        for host in lab.hypervisors.values():
            checks.check('%s still runs' % host.name, host.main.alive())


if __name__ == '__main__':
    run(test)
