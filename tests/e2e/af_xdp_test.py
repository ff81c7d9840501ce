#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Underlays on AF_XDP: the kernel keeps its address, ping, TCP and BGP on the very interface that
Geneve of sluiced goes through; counters prove the split; what is steered follows the configuration;
the program goes with a clean exit, is replaced after a crash, and never takes another's place."""
import json
import os
import signal

from checks import run
from network1 import VMS, NetLab, configure, populate
from ovnlab.netlab import KINDS, UPLINK, SluiceHypervisor, find_program

SERVER = '''
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
while True:
    c, who = s.accept()
    n = 0
    while True:
        piece = c.recv(65536)
        if not piece:
            break
        n += len(piece)
    c.sendall(b'%d' % n)
    c.close()
'''
CLIENT = '''
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
s.sendall(b'x' * 300000)
s.shutdown(socket.SHUT_WR)
print(s.recv(100).decode())
'''
# A host in VLAN 7 on eth0, for kernels without VLAN devices: answers ARP and ping for 10.7.0.9.
TAGGED_HOST = '''
import socket, struct
MAC, IP = b'\\x40\\x44\\0\\0\\0\\x77', socket.inet_aton('10.7.0.9')
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(263, 8, 1)     # PACKET_AUXDATA
s.bind(('eth0', 3))
while True:
    f, aux, _, who = s.recvmsg(65536, 256)
    status, _, _, _, _, tci, _ = struct.unpack('=IIIHHHH', aux[0][2][:20])
    if who[2] == 4 or not status & 0x10 or tci & 0xfff != 7:
        continue
    head = f[6:12] + MAC + b'\\x81\\0\\0\\x07' + f[12:14]
    if f[12:14] == b'\\x08\\x06' and f[21] == 1 and f[38:42] == IP:
        s.send(head + f[14:21] + b'\\x02' + MAC + IP + f[22:32])
    elif f[12:14] == b'\\x08\\0' and f[23] == 1 and f[34] == 8 and f[30:34] == IP:
        total = struct.unpack('!H', f[16:18])[0]
        icmp = bytearray(f[34:14 + total])
        sum = struct.unpack('!H', icmp[2:4])[0] + 0x0800
        icmp[0], icmp[2:4] = 0, struct.pack('!H', (sum & 0xffff) + (sum >> 16))
        s.send(head + f[14:26] + f[30:34] + f[26:30] + icmp)
'''


class XdpHypervisor(SluiceHypervisor):
    """The uplink is the kernel's, with its address; sluiced shares it."""

    mode = 'best-effort'

    def start(self):
        self.ns.set_ipv6(UPLINK, ':' in self.ip)
        self.ns.run('ip', 'address', 'add', '%s/%d' % (self.ip, self.prefix_len), 'dev', UPLINK,
                    *(['nodad'] if ':' in self.ip else []))
        self.program = find_program('sluiced', self.lab.sluiced)
        self.spawn()
        self.vsctl('--may-exist', 'add-br', 'br-int', '--', 'set', 'bridge', 'br-int', 'fail-mode=secure', '--',
                   'add-br', 'br-phys', '--', 'add-port', 'br-phys', UPLINK, '--', 'set', 'Interface',
                   UPLINK, 'type=afxdp', 'options:xdp-mode=' + self.mode)

    def port(self):
        rows = json.loads(self.control('sluice/ports'))['ports']
        return next(row for row in rows if row['name'] == UPLINK)

    def counts(self):
        return {count['name']: count['value'] for count in self.port()['counts']}

    def xdp(self):
        """(name, id) of the program on the uplink; id 0: there is none."""
        link = json.loads(self.ns.run('ip', '-d', '-j', 'link', 'show', UPLINK))[0]
        program = link.get('xdp', {}).get('prog', {})
        return program.get('name', ''), program.get('id', 0)


class GenericHypervisor(XdpHypervisor):
    mode = 'generic'


KINDS['xdp'] = XdpHypervisor
KINDS['xdp-generic'] = GenericHypervisor


def talk_tcp(checks, claim, server, client, address, port, lab):
    process = server.popen('/usr/bin/python3', '-c', SERVER, address, str(port))
    try:
        lab.wait(lambda: ':%d ' % port in server.run('ss', '-ltn'), 'the server')
        text = client.run('/usr/bin/python3', '-c', CLIENT, address, str(port), check=False)
        checks.equal(claim, text.strip(), '300000')
    finally:
        process.kill()
        process.wait()


def send_udp(host, address, port, size):
    host.ns.run('/usr/bin/python3', '-c', "import socket\ns = socket.socket(socket.%s, "
                "socket.SOCK_DGRAM)\nfor _ in range(3): s.sendto(b'x' * %d, ('%s', %d))" % (
                    'AF_INET6' if ':' in address else 'AF_INET', size, address, port))


def unheard(host):
    """UDP packets that the kernel got and nobody listens for: a tunnel packet would be one."""
    return int(host.ns.run('sh', '-c', "nstat -asz UdpNoPorts Udp6NoPorts | "
                           "awk '/NoPorts/ {n += $2} END {print n}'"))


def kernel_lives(checks, lab, hv1, hv2):
    """Ping, ssh-like TCP and BGP's port between the hosts, counted as the kernel's."""
    before = hv2.counts()
    for size, what in ((56, 'host pings host'), (4000, 'in fragments, too')):
        text = hv1.ns.run('ping', '-n', '-c', '3', '-i', '0.2', '-s', str(size), hv2.ip, check=False)
        checks.check(what, ' 3 received' in text, text)
    for port in (22, 179):
        talk_tcp(checks, 'TCP to port %d of the other host' % port, hv2.ns, hv1.ns, hv2.ip, port, lab)
    after = hv2.counts()
    checks.equal('nothing of that was steered', after['steered_geneve'] - before['steered_geneve'], 0)
    checks.check('the kernel got it', after['kernel'] > before['kernel'] + 50, (before, after))
    send_udp(hv1, hv2.ip, 5353, 4000)
    checks.within('pieces of UDP go to the kernel, counted apart',
                  lambda: hv2.counts()['kernel_fragment'] >= before['kernel_fragment'] + 3)


def split(checks, lab, vm1, vm2):
    """Geneve both ways, counted as ours, and nothing of it in the kernel."""
    hv1, hv2 = vm1.hypervisor, vm2.hypervisor
    before = hv1.counts(), hv2.counts()
    checks.reaches(vm1, vm2)
    checks.reaches(vm2, vm1, size=3000)
    talk_tcp(checks, 'TCP from VM to VM', vm2.ns, vm1.ns, vm2.ip, 5000, lab)
    talk_tcp(checks, 'and back', vm1.ns, vm2.ns, vm1.ip, 5001, lab)
    for host, known in zip((hv1, hv2), before):
        now = host.counts()
        checks.check('%s: tunnel packets came by AF_XDP' % host.name,
                     now['steered_geneve'] > known['steered_geneve'] + 200, (known, now))
        checks.equal('%s: none missed a socket' % host.name, now['kernel_no_socket'], 0)
        checks.equal('%s: the kernel saw no tunnel packet' % host.name, unheard(host), 0)


def follows_configuration(checks, lab, vm1, vm2):
    """Another encap address, then another destination port, while it runs."""
    hv1, hv2 = vm1.hypervisor, vm2.hypervisor
    hv2.ns.run('ip', 'address', 'add', '192.168.50.177/24', 'dev', UPLINK)
    hv2.vsctl('set', 'Open_vSwitch', '.', 'external_ids:ovn-encap-ip=192.168.50.177')
    checks.within('the new address is in the Southbound database', lambda: '192.168.50.177' in
                  lab.run('central', 'ovn-sbctl', '--bare', '--columns=ip', 'list', 'Encap'))
    lab.sync()
    before = hv2.counts()
    checks.reaches(vm1, vm2)
    checks.check('the new address is steered',
                 hv2.counts()['steered_geneve'] >= before['steered_geneve'] + 5)
    # The old one is the kernel's again, as is any other port of its.
    known = unheard(hv2)
    send_udp(hv1, hv2.ip, 6081, 40)
    checks.within('the old address is the kernel\'s', lambda: unheard(hv2) >= known + 3)
    hv2.vsctl('set', 'Open_vSwitch', '.', 'external_ids:ovn-encap-ip=' + hv2.ip)
    checks.within('the first address is back', lambda: '192.168.50.177' not in
                  lab.run('central', 'ovn-sbctl', '--bare', '--columns=ip', 'list', 'Encap'))
    row = lab.run('central', 'ovn-sbctl', '--bare', '--columns=_uuid', 'find', 'Encap',
                  'chassis_name=hv2').strip()
    lab.run('central', 'ovn-sbctl', 'set', 'Encap', row, 'options:dst_port=6090')
    lab.sync()
    before = hv2.counts()
    checks.reaches(vm1, vm2)
    checks.check('the new port is steered',
                 hv2.counts()['steered_geneve'] >= before['steered_geneve'] + 5)
    known = unheard(hv2)
    send_udp(hv1, hv2.ip, 6081, 40)
    checks.within('the old port is the kernel\'s', lambda: unheard(hv2) >= known + 3)
    lab.run('central', 'ovn-sbctl', 'remove', 'Encap', row, 'options', 'dst_port')
    lab.sync()
    checks.reaches(vm1, vm2)


def localnets(checks, lab, vm1, vm2):
    """A VLAN and the untagged network on the NIC of the tunnels: an outside host reaches VMs there,
    and the kernel still gets the broadcasts that it needs as well."""
    hv1, hv2 = vm1.hypervisor, vm2.hypervisor
    outside = lab.namespace('outside')
    lab.connect(outside, 'eth0', lab.wire, 'to-outside', 1500)
    lab.wire.run('ip', 'link', 'set', 'to-outside', 'master', 'wire')
    lab.wire.run('ethtool', '-K', 'to-hv1', 'txvlan', 'off')
    lab.helpers.append(outside.popen('/usr/bin/python3', '-c', TAGGED_HOST))
    hv1.vsctl('set', 'Open_vSwitch', '.', 'external_ids:ovn-bridge-mappings=physical:br-phys')
    before = hv1.counts()
    outside.run('ip', 'address', 'add', '10.8.0.9/24', 'dev', 'eth0')
    for name, tag, net in (('vm7', '7', '10.7.0'), ('vm0', '', '10.8.0')):
        mac = '40:44:00:00:00:1' + name[-1]
        lab.nbctl('ls-add', 'net-' + name, '--', 'lsp-add', 'net-' + name, 'wire-' + name, '--',
                  'lsp-set-type', 'wire-' + name, 'localnet', '--',
                  'lsp-set-addresses', 'wire-' + name, 'unknown', '--',
                  'lsp-set-options', 'wire-' + name, 'network_name=physical', '--',
                  'lsp-add', 'net-' + name, name, '--',
                  'lsp-set-addresses', name, '%s %s.3' % (mac, net),
                  *(['--', 'set', 'Logical_Switch_Port', 'wire-' + name, 'tag=' + tag] if tag else []))
        vm = lab.vm(name, hv1, mac, net + '.3/24')
        lab.wait_up([name])
        lab.sync()
        checks.reaches(vm, net + '.9')
    outside.run('ip', 'neigh', 'flush', 'dev', 'eth0')
    text = outside.run('ping', '-n', '-c', '3', '-i', '0.2', '10.8.0.3', check=False)
    checks.check('an outside host pings a VM on its network', ' 3 received' in text, text)
    now = hv1.counts()
    for kind in ('steered_tagged', 'steered_untagged'):
        checks.check('frames counted as ' + kind, now[kind] > before[kind] + 3, (before, now))
    hv2.ns.run('ip', 'neigh', 'flush', 'dev', UPLINK)
    text = hv2.ns.run('ping', '-n', '-c', '3', '-i', '0.2', hv1.ip, check=False)
    checks.check('the kernel answers ARP and ping beside it', ' 3 received' in text, text)
    checks.reaches(vm1, vm2)


def survives(checks, lab, vm1, vm2):
    """kill -9, another's program, a clean exit."""
    hv1 = vm1.hypervisor
    name, left = hv1.xdp()
    checks.equal('the program is ours', name, 'sluice_steer')
    hv1.main.process.send_signal(signal.SIGKILL)
    hv1.main.process.wait()
    lab.daemons.remove(hv1.main)
    checks.equal('a crash leaves the program', hv1.xdp(), (name, left))
    text = hv1.ns.run('ping', '-n', '-c', '3', '-i', '0.2', vm2.hypervisor.ip, check=False)
    checks.check('the kernel goes on meanwhile', ' 3 received' in text, text)
    hv1.spawn()
    lab.wait_up([vm1.name, vm2.name])
    lab.sync()
    checks.reaches(vm1, vm2)
    checks.check('the next start replaced it', hv1.xdp()[1] not in (0, left), hv1.xdp())
    with open(hv1.main.log) as log:
        checks.check('and says so', 'did not end well: replaced' in log.read())

    hv1.stop()
    checks.equal('a clean exit takes it off', hv1.xdp()[1], 0)
    text = hv1.ns.run('ping', '-n', '-c', '2', '-i', '0.2', vm2.hypervisor.ip, check=False)
    checks.check('the kernel has the interface', ' 2 received' in text, text)

    folder = lab.home('hv1')
    with open(folder + '/pass.c', 'w') as source:
        source.write('__attribute__((section("xdp"), used)) int firewall(void *c) { return 2; }\n')
    hv1.ns.run('clang', '-O2', '-g', '-target', 'bpf', '-c', folder + '/pass.c', '-o', folder + '/pass.o')
    hv1.ns.run('ip', 'link', 'set', 'dev', UPLINK, 'xdp', 'obj', folder + '/pass.o', 'sec', 'xdp')
    theirs = hv1.xdp()
    hv1.spawn()
    checks.within('another\'s program is named in the interface\'s error',
                  lambda: 'somebody else' in hv1.interface(UPLINK, 'error'))
    checks.equal('and stays', hv1.xdp(), theirs)
    hv1.ns.run('ip', 'link', 'set', 'dev', UPLINK, 'xdp', 'off')
    checks.within('once it is gone the port opens', lambda: hv1.xdp()[0] == 'sluice_steer')
    lab.sync()
    checks.reaches(vm1, vm2)
    hv1.ns.run('ip', 'link', 'set', 'dev', UPLINK, 'xdp', 'off')
    checks.within('taken off by hand, it comes back', lambda: hv1.xdp()[0] == 'sluice_steer')
    checks.reaches(vm1, vm2)


def over_ipv6(checks):
    """The same split on an underlay of IPv6, where the kernel needs ND beside it."""
    with NetLab() as lab:
        configure(lab)
        vms = []
        for (name, hypervisor, _, mac, ip), kind, address in zip(
                VMS, ('xdp', 'xdp-generic'), ('fd00:50::100', 'fd00:50::101')):
            host = lab.hypervisor(hypervisor, address, kind)
            vms.append(lab.vm(name, host, mac, ip + '/24'))
        lab.wait_up([vm.name for vm in vms])
        lab.sync()
        hosts = [vm.hypervisor for vm in vms]
        split(checks, lab, *vms)
        kernel_lives(checks, lab, *hosts)
        kernel_lives(checks, lab, *hosts[::-1])
        hosts[1].ns.run('ip', 'neigh', 'flush', 'dev', UPLINK)
        checks.reaches(vms[1], vms[0])
        for host in hosts:
            checks.check('%s still runs' % host.name, host.main.alive())


def test(checks):
    with NetLab() as lab:
        configure(lab)
        vm1, vm2 = populate(lab, ('xdp', 'xdp-generic'))
        hv1, hv2 = vm1.hypervisor, vm2.hypervisor
        split(checks, lab, vm1, vm2)
        kernel_lives(checks, lab, hv1, hv2)
        kernel_lives(checks, lab, hv2, hv1)
        checks.check('next hops are the kernel\'s', ' kernel' in hv1.control('tnl/neigh/show'),
                     hv1.control('tnl/neigh/show'))
        checks.check('no local interface beside it', 'br-phys' not in hv1.ns.run('ip', '-o', 'link'))
        follows_configuration(checks, lab, vm1, vm2)
        survives(checks, lab, vm1, vm2)
        localnets(checks, lab, vm1, vm2)
        for host in lab.hypervisors.values():
            checks.check('%s still runs' % host.name, host.main.alive())
    over_ipv6(checks)


if __name__ == '__main__':
    os.environ['PATH'] += ':/usr/sbin'
    run(test)
