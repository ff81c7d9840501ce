#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""VXLAN between chassis: two sluiced over IPv4 and over IPv6, and sluiced with Open vSwitch and
ovn-controller; ping, TCP and 64 KB datagrams both ways, and what tshark says of the wire."""
import json
import subprocess

from checks import run
from network1 import VMS, NetLab, configure

TCP_BYTES = 2000000
DATAGRAM = 65507 - 8    # what ping puts behind its header into the largest datagram


def tcp(checks, client, server):
    listener = server.ns.popen('iperf3', '-s', '-1', '-p', '5201', stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    server.ns.lab.wait(lambda: ':5201' in server.ns.run('ss', '-ltn'), 'iperf3 server', 20)
    text = client.ns.run('iperf3', '-c', server.ip, '-p', '5201', '-n', str(TCP_BYTES), '-J',
                         check=False, timeout=120)
    try:
        listener.wait(20)
    except subprocess.TimeoutExpired:
        listener.kill()
        listener.wait()
    end = json.loads(text or '{}').get('end', {})
    sent = end.get('sum_sent', {}).get('bytes', 0)
    checks.check('TCP %s to %s' % (client.name, server.name), sent >= TCP_BYTES, text[-500:])


def fields(lab, path, expression, *names):
    words = sum([['-e', name] for name in names], [])
    text = lab.run('central', 'tshark', '-r', path, '-Y', expression, '-T', 'fields', *words)
    return sorted({tuple(line.split('\t')) for line in text.splitlines() if line.strip()})


def judge(checks, lab, wire):
    """What is on the wire: OVN's VNIs, and nothing that a dissector or a checksum objects to."""
    unicast = 'vxlan && icmp.type == 8 && ip.src == %s'
    # VNI: outport << 12 | datapath; vm1 is port 1 and vm2 port 2 of datapath 1.
    for (sender, receiver) in ((0, 1), (1, 0)):
        found = fields(lab, wire, unicast % VMS[sender][4], 'vxlan.vni', 'vxlan.flags',
                       'udp.dstport')
        checks.equal('VNI of what %s sends' % VMS[sender][0], found,
                     [(str((receiver + 1) << 12 | 1), '0x0800', '4789')])
    groups = fields(lab, wire, 'vxlan && eth.dst == ff:ff:ff:ff:ff:ff', 'vxlan.vni')
    checks.check('broadcasts name a multicast group',
                 groups and all(int(vni) >> 23 == 1 and int(vni) & 0xfff == 1
                                for (vni,) in groups), groups)
    bad = lab.run('central', 'tshark', '-r', wire, '-o', 'ip.check_checksum:TRUE', '-o',
                  'udp.check_checksum:TRUE', '-o', 'ip.defragment:FALSE', '-Y',
                  'vxlan && (ip.checksum.status == "Bad" || udp.checksum.status == "Bad" || '
                  '_ws.malformed || _ws.expert.severity == error)')
    checks.equal('tshark objects to nothing', bad.strip(), '')
    fragments = fields(lab, wire, 'udp.dstport == 4789 && ip.flags.mf == 1 && !vxlan', 'frame.number')
    checks.equal('no outer packet is a fragment', fragments, [])


def play(checks, kinds, addresses):
    name = '%s-%s over %s' % (*kinds, 'IPv6' if ':' in addresses[0] else 'IPv4')
    print('== ' + name)
    with NetLab() as lab:
        configure(lab)
        vms = []
        for (vm, host, _, mac, ip), kind, address in zip(VMS, kinds, addresses):
            hypervisor = lab.hypervisor(host, address, kind, encap='vxlan')
            vms.append(lab.vm(vm, hypervisor, mac, ip + '/24', plug=False))
            if 'ovs' not in kinds:      # it tells nobody what fits a tunnel
                hypervisor.ns.run('ip', 'link', 'set', vm, 'mtu', '1500')
                vms[-1].ns.run('ip', 'link', 'set', 'eth0', 'mtu', '1500')
            hypervisor.plug(vm, vm)
        lab.wait_up([vm.name for vm in vms])
        lab.sync()
        wire = lab.folder + '/wire.pcap'
        capture = lab.capture(lab.wire, 'to-hv2', wire)
        one, two = vms
        for a, b in ((one, two), (two, one)):
            checks.reaches(a, b)
            a.ping('192.168.0.99', count=1, wait_s=1)       # nobody: asked for everywhere
        lab.finish(capture)
        judge(checks, lab, wire)
        if 'ovs' not in kinds:
            discover_mtu(checks, one, two, 1500 - (70 if ':' in addresses[0] else 50))
        for a, b in ((one, two), (two, one)):
            checks.reaches(a, b, size=DATAGRAM, count=3)
            tcp(checks, a, b)
        for host in lab.hypervisors.values():
            checks.check('%s still runs' % host.name, host.main.alive())


def discover_mtu(checks, a, b, wanted):
    """VMs with more MTU than fits the tunnel are told; what follows goes on with what fits."""
    for sender, receiver in ((a, b), (b, a)):
        said = sender.ns.run('ping', '-n', '-c', '3', '-i', '0.2', '-M', 'do', '-s', '1472',
                             receiver.ip, check=False)
        checks.check('%s learns that the MTU is %d' % (sender.name, wanted),
                     'mtu = %d' % wanted in said or 'mtu=%d' % wanted in said, said)


def test(checks):
    four, six = ('192.168.50.100', '192.168.50.101'), ('fd50::100', 'fd50::101')
    play(checks, ('sluice', 'sluice'), four)
    play(checks, ('sluice', 'sluice'), six)
    play(checks, ('sluice', 'ovs'), four)


if __name__ == '__main__':
    run(test)
