# SPDX-License-Identifier: Apache-2.0
"""Packets for a virtual port's address that wait while nobody has it, or while it moves."""
from topologies import at, change, pause, routed, rows
from traffic import ARP, BROADCAST, Ether

net = routed([1, 2], [3])
a, b, c = [net.hosts[n] for n in (1, 2, 3)]
net.nb.append(
    'lsp-add s1 vip -- lsp-set-type vip virtual -- lsp-set-addresses vip "50:54:00:00:00:50 '
    '10.0.1.50" -- set logical_switch_port vip options:virtual-ip=10.0.1.50 '
    'options:virtual-parents=lp1,lp2')
vip = at('10.0.1.50', a)


def announce(host):
    return host.send(Ether(src=host.mac, dst=BROADCAST)
                     / ARP(op=1, hwsrc=host.mac, psrc='10.0.1.50', pdst='10.0.1.50'))


WHO = rows('Port_Binding', 'logical_port', 'virtual_parent', 'type')
BINDINGS = rows('MAC_Binding', 'logical_port', 'ip', 'mac')
WAIT = pause(1200)
SPEC = net.spec([
    c.udp(vip, dport=1), WAIT, announce(a), WAIT, WHO, BINDINGS, c.udp(vip, dport=2),
    change('vs set Interface v1 external_ids:iface-id=nobody'), WAIT, WHO, BINDINGS,
    c.udp(vip, dport=3), WAIT, c.udp(vip, dport=4), announce(b), WAIT, WHO, BINDINGS,
    c.udp(vip, dport=5)])
