# SPDX-License-Identifier: Apache-2.0
"""Routers learn neighbours: what ARP and neighbour messages teach goes into the SB's
MAC_Binding and is then used for routed packets; static bindings need no lesson."""
from traffic import Ether, Host, mac, router_port, switch_port

GW1, GW2 = '00:00:00:00:ff:01', '00:00:00:00:ff:02'
GW2_LL = 'fe80::200:ff:fe00:ff02'
a = Host('v1', 1, '10.0.1.1', 'fd01::1', GW1)
b = Host('v2', 2, '10.0.2.2', 'fd02::2', GW2)
# Addresses of the VM behind v2 that northd does not know.
extra = Host('v2', 0x22, '10.0.2.22', 'fd02::22', GW2)
third = Host('v2', 0x23, '10.0.2.23', 'fd02::23', GW2)
asked = Host('v2', 0x24, '10.0.2.24', 'fd02::24', GW2)
newmac = Host('v2', 0x2f, '10.0.2.22', 'fd02::22', GW2)
static = Host('v2', 0x33, '10.0.2.33', 'fd02::33', GW2)
LEARN = {'sleep_ms': 700}

SPEC = {
    'nb': ['lr-add r', 'ls-add s1', 'ls-add s2'] + router_port('r', 's1', GW1,
                                                              '10.0.1.254/24 fd01::ff/64')
    + router_port('r', 's2', GW2, '10.0.2.254/24 fd02::ff/64')
    + switch_port('s1', 'lp1', '%s 10.0.1.1 fd01::1' % mac(1))
    + switch_port('s2', 'lp2', ['%s 10.0.2.2 fd02::2' % mac(2), 'unknown'])
    + ['static-mac-binding-add r-s2 10.0.2.33 %s' % mac(0x33),
       'static-mac-binding-add r-s2 fd02::33 %s' % mac(0x33)],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2'},
    'packets': [
        a.udp(b), b.udp(a), a.udp(static), a.udp6(static),
        third.arp_reply(GW2, '10.0.2.254'), LEARN, a.udp(third), a.ping(third),
        third.advertise(GW2, GW2_LL), LEARN, a.udp6(third), a.ping6(third),
        asked.arp('10.0.2.24', psrc='10.0.2.24'), LEARN, a.udp(asked),
        extra.arp_reply(GW2, '10.0.2.254'), LEARN, a.udp(extra), a.tcp(extra),
        extra.advertise(GW2, GW2_LL), LEARN, a.udp6(extra), a.tcp6(extra),
        newmac.arp_reply(GW2, '10.0.2.254'), LEARN, a.udp(newmac), a.udp(newmac, ttl=9),
        newmac.advertise(GW2, GW2_LL), LEARN, a.udp6(newmac), a.udp6(newmac, hlim=9),
        extra.udp(a), third.udp6(a), b.arp('10.0.2.254'), b.solicit('fd02::ff'),
        a.send(Ether(src=a.mac, dst=GW1) / b'\x00\x00'),
    ],
}
