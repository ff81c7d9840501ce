#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Path MTU discovery across Geneve, as Linux does it: senders whose MTU is that of the underlay are told
by ICMP what fits, on switched, routed and gateway paths. The kernel takes an answer only if it quotes
what it sent: behind a load balancer and behind NAT the addresses that the sender knows."""
import shlex
import sys

from checks import run
from ovnlab.netlab import UNDERLAY_MTU, NetLab

FITS = 1500 - 20 - 8 - 16 - 14      # RFC 791, 768, 8926, and the inner Ethernet header
PORT, VIP, SNAT = '5000', '172.16.0.100', '172.16.0.200'

NORTHBOUND = '''
lr-add gw -- set Logical_Router gw options:chassis=hv1
lr-add dr
ls-add in -- ls-add out -- ls-add far
lrp-add gw gw-in 40:44:00:00:00:fe 10.0.0.254/24 -- lrp-add gw gw-out 40:44:00:00:01:fe 172.16.0.254/24
lsp-add in in-gw -- lsp-set-type in-gw router -- lsp-set-addresses in-gw router
lsp-set-options in-gw router-port=gw-in
lsp-add out out-gw -- lsp-set-type out-gw router -- lsp-set-addresses out-gw router
lsp-set-options out-gw router-port=gw-out
lrp-add dr dr-in 40:44:00:00:00:fd 10.0.0.253/24 fd00::fd/64
lrp-add dr dr-far 40:44:00:00:03:fd 10.3.0.253/24 fd03::fd/64
lsp-add in in-dr -- lsp-set-type in-dr router -- lsp-set-addresses in-dr router
lsp-set-options in-dr router-port=dr-in
lsp-add far far-dr -- lsp-set-type far-dr router -- lsp-set-addresses far-dr router
lsp-set-options far-dr router-port=dr-far
lsp-add in in1 -- lsp-set-addresses in1 "40:44:00:00:00:01 10.0.0.11 fd00::11"
lsp-add in in2 -- lsp-set-addresses in2 "40:44:00:00:00:02 10.0.0.12 fd00::12"
lsp-add far far1 -- lsp-set-addresses far1 "40:44:00:00:03:01 10.3.0.11 fd03::11"
lsp-add out out1 -- lsp-set-addresses out1 "40:44:00:00:01:01 172.16.0.11"
lr-nat-add gw snat 172.16.0.200 10.0.0.0/24
lb-add web 172.16.0.100:5000 10.0.0.12:5000 udp -- lr-lb-add gw web
lb-add inner 10.9.9.9:5000 10.3.0.11:5000 udp -- ls-lb-add in inner
'''

# Sends datagrams as large as the interface takes until the kernel has learnt better, and says the MTU;
# or one small datagram.
SENDER = '''
import socket, sys, time
address, port = sys.argv[1], int(sys.argv[2])
six = ':' in address
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(*((socket.IPPROTO_IPV6, 23, 2) if six else (socket.IPPROTO_IP, 10, 2)))
s.connect((address, port))
if len(sys.argv) > 3:
    s.send(b'small')
    sys.exit()
for turn in range(50):
    try:
        s.send(bytes(1500 - (48 if six else 28)))
    except OSError:
        pass
    mtu = s.getsockopt(*((socket.IPPROTO_IPV6, 24) if six else (socket.IPPROTO_IP, 14)))
    if mtu < 1500:
        break
    time.sleep(0.1)
print(mtu)
'''
# Answers a small datagram with large ones, and learns likewise.
ANSWERER = '''
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 2)
s.bind(('0.0.0.0', int(sys.argv[1])))
print('ready', flush=True)
data, peer = s.recvfrom(2000)
s.connect(peer)
mtu = 1500
for turn in range(50):
    try:
        s.send(bytes(1472))
    except OSError:
        pass
    mtu = s.getsockopt(socket.IPPROTO_IP, 14)
    if mtu < 1500:
        break
    time.sleep(0.1)
print(peer[0], mtu)
'''


def learn(checks, what, vm, address, wanted):
    said = vm.ns.run(sys.executable, '-c', SENDER, address, PORT, check=False).strip()
    checks.equal(what, said, str(wanted))


def large_vm(lab, host, name, mac, *addresses, routes=()):
    vm = lab.vm(name, host, mac, *addresses, plug=False)
    host.ns.run('ip', 'link', 'set', name, 'mtu', str(UNDERLAY_MTU))
    vm.ns.run('ip', 'link', 'set', 'eth0', 'mtu', str(UNDERLAY_MTU))
    for route in routes:
        vm.ns.run('ip', 'route', 'add', *route.split())
    host.plug(name, name)
    return vm


def test(checks):
    with NetLab() as lab:
        lab.start_central()
        for line in NORTHBOUND.strip().splitlines():
            lab.nbctl(*shlex.split(line))
        here = lab.hypervisor('hv1', '192.168.50.100')
        there = lab.hypervisor('hv2', '192.168.50.101')
        far_routes = ('10.3.0.0/24 via 10.0.0.253', '10.9.9.0/24 via 10.0.0.253',
                      'fd03::/64 via fd00::fd')
        in1 = large_vm(lab, here, 'in1', '40:44:00:00:00:01', '10.0.0.11/24', 'fd00::11/64',
                       routes=far_routes)
        out1 = large_vm(lab, here, 'out1', '40:44:00:00:01:01', '172.16.0.11/24')
        in2 = large_vm(lab, there, 'in2', '40:44:00:00:00:02', '10.0.0.12/24', 'fd00::12/64',
                       routes=('default via 10.0.0.254',))
        far1 = large_vm(lab, there, 'far1', '40:44:00:00:03:01', '10.3.0.11/24', 'fd03::11/64',
                        routes=('default via 10.3.0.253', '::/0 via fd03::fd'))
        lab.wait_up(['in1', 'in2', 'far1', 'out1'])
        lab.sync()
        for a, b in ((in1, '10.0.0.12'), (in1, '10.3.0.11'), (in1, 'fd00::12'), (in1, 'fd03::11'),
                     (in2, '172.16.0.11')):
            checks.reaches(a, b, count=2)
        learn(checks, 'switched', in1, '10.0.0.12', FITS)
        learn(checks, 'switched, IPv6', in1, 'fd00::12', FITS)
        learn(checks, 'routed', in1, '10.3.0.11', FITS)
        learn(checks, 'routed, IPv6', in1, 'fd03::11', FITS)
        learn(checks, 'balanced by the switch', in1, '10.9.9.9', FITS)
        learn(checks, 'from the other side to the gateway', in2, '172.16.0.11', FITS)
        learn(checks, 'balanced by the gateway', out1, VIP, FITS)

        out1.ns.run('ip', 'route', 'flush', 'cache')
        process = out1.ns.popen(sys.executable, '-c', ANSWERER, '7000', stdout=-1, text=True)
        lab.helpers.append(process)
        process.stdout.readline()
        in2.ns.run(sys.executable, '-c', SENDER, '172.16.0.11', '7000', 'small')
        checks.equal('translated by the gateway', process.stdout.readline().strip(),
                     '%s %d' % (SNAT, FITS))
        told = [line for host in (here, there)
                for line in host.control('sluice/drops').splitlines() if 'too_big' in line]
        checks.equal('packets that did not fit are counted on both', len(told), 2)
        for host in (here, there):
            checks.check('%s still runs' % host.name, host.main.alive())


if __name__ == '__main__':
    run(test)
