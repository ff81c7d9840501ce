#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The host goes on living on the network that tunnels use: its address is on the bridge's local
interface, as with Open vSwitch in userspace; ping, TCP (as BGP's) and fragments go there and back,
while Geneve between chassis goes to sluiced."""
import re

from checks import run
from network1 import NetLab, configure, populate
from ovnlab.netlab import KINDS, SluiceHypervisor

SERVER = '''
import socket, sys
s = socket.create_server(('192.168.50.%s' % sys.argv[1], 179))
c, who = s.accept()
data = b''
while True:
    piece = c.recv(65536)
    if not piece:
        break
    data += piece
c.sendall(b'%d' % len(data))
'''
CLIENT = '''
import socket, sys
s = socket.create_connection(('192.168.50.%s' % sys.argv[1], 179), timeout=20)
s.sendall(b'x' * 300000)
s.shutdown(socket.SHUT_WR)
print(s.recv(100).decode())
'''


class HostedHypervisor(SluiceHypervisor):
    """The administrator gives br-phys its address, nobody tells sluiced."""

    def address_underlay(self):
        # Packet sockets leave the uplink's frames to the kernel as well: it is not to take them there.
        self.ns.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/eth1/rp_filter')
        self.lab.wait(lambda: 'br-phys' in self.ns.run('ip', '-o', 'link'), 'br-phys')
        self.ns.run('ip', 'address', 'add', '%s/%d' % (self.ip, self.prefix_len), 'dev', 'br-phys')
        self.ns.run('ip', 'link', 'set', 'br-phys', 'up')


KINDS['hosted'] = HostedHypervisor


def mac_of(host, device):
    return re.search(r'link/ether (\S+)', host.ns.run('ip', '-o', 'link', 'show', device))[1]


def counter(host, name):
    lines = [line.split() for line in host.control('counter/show', '--all').splitlines()]
    return sum(int(words[1].replace(',', '')) for words in lines
               if len(words) > 1 and words[0] == name)


def test(checks):
    with NetLab() as lab:
        configure(lab)
        vm1, vm2 = populate(lab, ('hosted', 'hosted'))
        hv1, hv2 = vm1.hypervisor, vm2.hypervisor
        checks.reaches(vm1, vm2)        # Geneve, by routes and neighbours of the kernel
        checks.reaches(vm2, vm1, size=3000)
        checks.equal('the local interface has the MAC of the port', mac_of(hv1, 'br-phys'),
                     mac_of(hv1, 'eth1'))

        text = hv1.ns.run('ping', '-n', '-c', '3', '-i', '0.2', hv2.ip, check=False)
        checks.check('host pings host', ' 3 received' in text, text)
        text = hv1.ns.run('ping', '-n', '-c', '2', '-i', '0.2', '-s', '4000', hv2.ip, check=False)
        checks.check('in fragments, too', ' 2 received' in text, text)
        last = hv2.ip.rsplit('.', 1)[1]
        server = hv2.ns.popen('/usr/bin/python3', '-c', SERVER, last)
        try:
            lab.wait(lambda: ':179' in hv2.ns.run('ss', '-ltn'), 'the server')
            text = hv1.ns.run('/usr/bin/python3', '-c', CLIENT, last, check=False)
            checks.equal('TCP to port 179 of the other host', text.strip(), '300000')
        finally:
            server.kill()
            server.wait()
        checks.check('the kernel got what is its own', counter(hv2, 'to_kernel') > 8)
        checks.equal('the kernel got no tunnel packets', hv2.ns.run(
            'sh', '-c', "nstat -asz UdpNoPorts | awk '/UdpNoPorts/ {print $2}'").strip(), '0')
        checks.check('tunnel packets were decapsulated', counter(hv2, 'tunnel_rx') > 4)

        hv1.ns.run('ip', 'address', 'add', '192.168.50.77/24', 'dev', 'br-phys')
        text = hv2.ns.run('ping', '-n', '-c', '2', '-i', '0.2', '192.168.50.77', check=False)
        checks.check('a second address of the host', ' 2 received' in text, text)
        checks.reaches(vm1, vm2)
        for host in lab.hypervisors.values():
            checks.check('%s still runs' % host.name, host.main.alive())


if __name__ == '__main__':
    run(test)
