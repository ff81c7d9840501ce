#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two leaves with two spines between them: routes with several next hops, which the kernel says,
spread flows over both uplinks, for IPv4 and IPv6 tunnels, and follow changes."""
import struct
import time

from scapy.layers.inet import UDP
from scapy.utils import rdpcap

from checks import run
from network1 import NetLab
from ovnlab.netlab import KINDS, SluiceHypervisor

LOOPBACK = {'hv1': ('10.255.0.1', 'fd0f::1'), 'hv2': ('10.255.0.2', 'fd0f::2')}
UPLINKS = {'eth1': 1, 'eth2': 2}


class Leaf(SluiceHypervisor):
    """Two uplinks, each a bridge to a spine of its own; tunnels end at a loopback address."""

    def start(self, *options):
        self.number = int(self.name[2:])
        for uplink, spine in UPLINKS.items():
            name = 'to-%s' % self.name
            if uplink == 'eth2':
                self.lab.connect(self.ns, uplink, self.lab.spines[2], name, 1500)
            else:   # made by the lab, towards the wire: goes to the first spine instead
                self.ns.run('ip', 'link', 'del', uplink)
                self.lab.connect(self.ns, uplink, self.lab.spines[1], name, 1500)
            there = self.lab.spines[spine]
            there.run('ip', 'address', 'add', '10.%d.%d.254/24' % (spine, self.number), 'dev', name)
            there.set_ipv6(name, True)
            there.run('ip', 'address', 'add', 'fd0%d:%d::fe/64' % (spine, self.number), 'dev', name,
                      'nodad')
            there.run('ip', 'route', 'add', LOOPBACK[self.name][0], 'via',
                      '10.%d.%d.1' % (spine, self.number))
            there.run('ip', '-6', 'route', 'add', LOOPBACK[self.name][1], 'via',
                      'fd0%d:%d::1' % (spine, self.number))
        self.program = None
        from ovnlab.tools import find_program
        self.program = find_program('sluiced', self.lab.sluiced)
        self.spawn(*options)
        self.vsctl('--may-exist', 'add-br', 'br-int', '--', 'set', 'bridge', 'br-int', 'fail-mode=secure')
        for uplink, spine in UPLINKS.items():
            self.vsctl('add-br', 'br-up%d' % spine, '--', 'add-port', 'br-up%d' % spine, uplink)
        self.address_underlay()

    def address_underlay(self):
        far = LOOPBACK['hv2' if self.name == 'hv1' else 'hv1']
        for spine in UPLINKS.values():
            bridge = 'br-up%d' % spine
            self.lab.wait(lambda: bridge in self.ns.run('ip', '-o', 'link'), bridge)
            self.ns.set_ipv6(bridge, True)
            self.ns.run('ip', 'link', 'set', bridge, 'up')
            self.ns.run('ip', 'address', 'add', '10.%d.%d.1/24' % (spine, self.number), 'dev', bridge)
            self.ns.run('ip', 'address', 'add', 'fd0%d:%d::1/64' % (spine, self.number), 'dev',
                        bridge, 'nodad')
        # The tunnel's address: on an uplink, as sluiced asks underlay ports for their addresses.
        self.ns.run('ip', 'address', 'add', LOOPBACK[self.name][0] + '/32', 'dev', 'br-up1')
        self.ns.run('ip', 'address', 'add', LOOPBACK[self.name][1] + '/128', 'dev', 'br-up1', 'nodad')
        self.ns.run('ip', 'address', 'add', LOOPBACK[self.name][0] + '/32', 'dev', 'br-up2')
        self.ns.run('ip', 'address', 'add', LOOPBACK[self.name][1] + '/128', 'dev', 'br-up2', 'nodad')
        self.route(far, *UPLINKS.values())

    def route(self, far, *spines):
        """The kernel's route to the other leaf, by these spines."""
        for family, address, gateway in (('-4', far[0], '10.%d.%d.254'), ('-6', far[1], 'fd0%d:%d::fe')):
            words = []
            for spine in spines:
                words += ['nexthop', 'via', gateway % (spine, self.number), 'dev', 'br-up%d' % spine]
            self.ns.run('ip', family, 'route', 'replace', address, *words)


KINDS['leaf'] = Leaf


def spread(lab, vm, target, flows=24):
    """Outer packets towards the other leaf by each spine, for flows with ports of their own."""
    captures = []
    for number, spine in lab.spines.items():
        path = '%s/spine%d.pcap' % (lab.folder, number)
        captures.append((lab.capture(spine, 'to-hv1', path, 'udp port 6081 and inbound'), path))
    vm.ns.run('/usr/bin/python3', '-c', '''
import socket, sys, time
family = socket.AF_INET
for port in range(-16, %d):     # tcpdump does not see the very first; those go elsewhere
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind(('', 20000 + port))
    for i in range(2):
        s.sendto(b'flow', (sys.argv[1], 9 if port >= 0 else 10))
    time.sleep(0.002)
''' % flows, target.ip)

    time.sleep(0.5)
    found = []
    for process, path in captures:
        lab.finish(process)
        # Behind the outer UDP header: Geneve with one option, Ethernet, IPv4, UDP.
        found.append([struct.unpack('>HH', bytes(packet[UDP].payload)[50:54])[0]
                      for packet in rdpcap(path) if bytes(packet[UDP].payload)[52:54] == b'\0\x09'])
    return found


def flows_of(packets):
    return set(packets)


def test(checks):
    with NetLab() as lab:
        lab.start_central()
        lab.spines = {}
        for number in (1, 2):
            spine = lab.namespace('spine%d' % number)
            lab.spines[number] = spine
            spine.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; '
                      'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding')
        lab.nbctl('ls-add', 's')
        for name, mac, ip in (('vm1', '40:44:00:00:00:01', '192.168.0.11'),
                              ('vm2', '40:44:00:00:00:02', '192.168.0.12')):
            lab.nbctl('lsp-add', 's', name, '--', 'lsp-set-addresses', name, '%s %s' % (mac, ip))
        lab.sync('sb')
        hosts = [lab.hypervisor('hv%d' % n, LOOPBACK['hv%d' % n][0], 'leaf') for n in (1, 2)]
        vm1 = lab.vm('vm1', hosts[0], '40:44:00:00:00:01', '192.168.0.11/24')
        vm2 = lab.vm('vm2', hosts[1], '40:44:00:00:00:02', '192.168.0.12/24')
        lab.wait_up(['vm1', 'vm2'])
        lab.sync()
        checks.reaches(vm1, vm2)
        for version in (4, 6):
            if version == 6:
                for host in hosts:
                    host.vsctl('set', 'Open_vSwitch', '.',
                               'external-ids:ovn-encap-ip="%s"' % LOOPBACK[host.name][1])
                lab.sync()
                checks.reaches(vm1, vm2)
            first, second = spread(lab, vm1, vm2)
            checks.equal('IPv%d: every datagram crossed one of the spines' % version,
                         len(first) + len(second), 48)
            checks.check('IPv%d: both spines are used' % version,
                         len(flows_of(first)) > 4 and len(flows_of(second)) > 4,
                         (len(flows_of(first)), len(flows_of(second))))
            checks.equal('IPv%d: no flow takes both' % version,
                         sorted(flows_of(first) & flows_of(second)), [])
        hosts[0].route(LOOPBACK['hv2'], 2)
        checks.within('a route that is changed is followed', lambda: not spread(lab, vm1, vm2, 8)[0])
        checks.reaches(vm1, vm2)
        for host in hosts:
            checks.check('%s still runs' % host.name, host.main.alive())


if __name__ == '__main__':
    run(test)
