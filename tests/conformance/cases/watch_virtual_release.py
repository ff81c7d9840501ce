# SPDX-License-Identifier: Apache-2.0
"""A virtual port is released with its parent, and claimed again by the next that announces it."""
from topologies import at, change, pause, routed, rows
from traffic import ARP, BROADCAST, Ether

net = routed([1, 2], [3])
a, b, c = [net.hosts[n] for n in (1, 2, 3)]
net.nb.append(
    'lsp-add s1 vip -- lsp-set-type vip virtual -- lsp-set-addresses vip "50:54:00:00:00:50 '
    '10.0.1.50" -- set logical_switch_port vip options:virtual-ip=10.0.1.50 '
    'options:virtual-parents=lp1,lp2')


def announce(host):
    return host.send(Ether(src=host.mac, dst=BROADCAST)
                     / ARP(op=1, hwsrc=host.mac, psrc='10.0.1.50', pdst='10.0.1.50'))


vip = at('10.0.1.50', a)
WHO = rows('Port_Binding', 'logical_port', 'virtual_parent', 'type')
SPEC = net.spec([
    announce(a), pause(1200), WHO, c.udp(vip),
    change('vs set Interface v1 external_ids:iface-id=nobody'), pause(1200), WHO,
    announce(b), pause(1200), WHO, c.udp(vip),
    change('lsp-del vip'), pause(800), WHO, announce(b)])
