# SPDX-License-Identifier: Apache-2.0
"""Routers in a chain, each in its own switch pair, and a physical network at the end: patch
ports cross many networks on one chassis."""
from traffic import BROADCAST, Host, mac, router_port, switch_port
from vlans import localnet, mapped, tagged

N = 6
first, last = Host('v1', 1, '10.0.0.1', None, '00:00:00:00:f0:00'), None
nb = ['ls-add n0'] + switch_port('n0', 'lp1', '%s 10.0.0.1' % mac(1))
for i in range(N):
    nb += ['lr-add r%d' % i, 'ls-add n%d' % (i + 1)]
    nb += router_port('r%d' % i, 'n%d' % i, '00:00:00:00:f0:%02x' % (2 * i), '10.0.%d.254/24' % i)
    nb += router_port('r%d' % i, 'n%d' % (i + 1), '00:00:00:00:f0:%02x' % (2 * i + 1),
                      '10.0.%d.253/24' % (i + 1))
    if i < N - 1:
        nb += ['lr-route-add r%d 10.0.%d.0/24 10.0.%d.254' % (i, j, i + 1)
               for j in range(i + 2, N + 1)]
    nb += ['lr-route-add r%d 10.0.%d.0/24 10.0.%d.253' % (i, j, i) for j in range(i)]
nb += switch_port('n%d' % N, 'lp2', '%s 10.0.%d.2' % (mac(2), N)) + localnet('n%d' % N, 'ln', 'phys', 5)
last = Host('v2', 2, '10.0.%d.2' % N, None, '00:00:00:00:f0:%02x' % (2 * N - 1))
out = Host('wire', 0x90, '10.0.%d.90' % N, None, last.gateway_mac)
SPEC = {
    'chassis': [mapped('hv1', 1)],
    'nb': nb + ['static-mac-binding-add r%d-n%d %s %s' % (N - 1, N, out.ip, out.mac)],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2'},
    'packets': [first.udp(last), last.udp(first), first.udp(out), tagged(out.udp(first), 5),
                first.udp(last, ttl=N), first.udp(last, ttl=N + 1), first.udp(last, ttl=3),
                first.udp(last, link=first.ether(BROADCAST)), last.ping('10.0.0.254'),
                first.ping('10.0.%d.253' % N), tagged(out.arp('10.0.%d.253' % N), 5)],
    'any_order': ['wire'], 'ignore_kinds': ['garp', 'rarp', 'na'],
}
