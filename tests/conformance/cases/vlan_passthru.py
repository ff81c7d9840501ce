# SPDX-License-Identifier: Apache-2.0
"""Tagged frames of VMs: kept whole on a switch with vlan-passthru, dropped on one without."""
from traffic import BROADCAST, IP, UDP, Dot1Q, Ether, payload
from topologies import change, switched

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
PROBE = [a.send(Ether(src=a.mac, dst=b.mac) / Dot1Q(vlan=9) / IP(src=a.ip, dst=b.ip) / UDP()
    / payload(20)), a.send(Ether(src=a.mac, dst=BROADCAST) / Dot1Q(vlan=9, type=0x88b5)
    / payload(40)),
         a.send(Ether(src=a.mac, dst=b.mac) / Dot1Q(vlan=0, type=0x88b5) / payload(40)),
         a.send(Ether(src=a.mac, dst=b.mac) / Dot1Q(vlan=9, prio=3) / Dot1Q(vlan=5, type=0x88b5)
         / payload(40)), a.udp(b)]
SPEC = net.spec(PROBE + [change('set logical_switch s1 other_config:vlan-passthru=true')] + PROBE)
