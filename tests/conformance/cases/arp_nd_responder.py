# SPDX-License-Identifier: Apache-2.0
"""The switch answers ARP and neighbour solicitations for ports it knows, local or remote; what
it does not know it floods, and a port asking for its own address gets no answer."""
from traffic import (ARP, BROADCAST, Dot1Q, Ether, Host, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6,
    mac,
                     switch_port)

a, b, c, d = [Host('v%d' % n, n, '10.0.0.%d' % n, 'fd00::%d' % n) for n in (1, 2, 3, 4)]

SPEC = {
    'nb': ['ls-add s']
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n))
           for n in (1, 2, 4)], [])
    + switch_port('s', 'lp3', ['%s 10.0.0.3 10.0.0.33 fd00::3 fd00::33' % mac(3),
                               '%s 10.0.0.34' % mac(0x34)])
    + switch_port('s', 'down', '%s 10.0.0.5 fd00::5' % mac(5)),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp4']}],
    'packets': [
        a.arp(b.ip), a.arp(c.ip), a.arp('10.0.0.33'), a.arp('10.0.0.34'), a.arp(d.ip), b.arp(a.ip),
        a.arp(a.ip), a.arp('10.0.0.99'), a.arp('10.0.0.5'), c.arp(d.ip),
        a.arp(b.ip, psrc='0.0.0.0'), a.arp(b.ip, psrc='10.0.0.50', hwsrc=mac(0x50)),
        a.arp(b.ip, hwdst=mac(2)), a.arp(a.ip, psrc=a.ip), a.arp('10.0.0.99', psrc='10.0.0.99'),
        a.send(Ether(src=a.mac, dst=b.mac) / ARP(hwsrc=a.mac, psrc=a.ip, pdst=b.ip)),
        a.send(Ether(src=a.mac, dst=BROADCAST) / ARP(op=2, hwsrc=a.mac, psrc=a.ip, hwdst=b.mac,
                                                     pdst=b.ip)),
        a.arp_reply(b.mac, b.ip), a.arp_reply(d.mac, d.ip),
        a.send(Ether(src=a.mac, dst=BROADCAST) / Dot1Q(vlan=5)
               / ARP(hwsrc=a.mac, psrc=a.ip, pdst=b.ip)),
        a.send(Ether(src=a.mac, dst=BROADCAST, type=0x8035)
               / bytes(ARP(op=3, hwsrc=a.mac, psrc=a.ip, hwdst=a.mac))),
        a.solicit(b.ip6), a.solicit(c.ip6), a.solicit('fd00::33'), a.solicit(d.ip6),
        b.solicit(a.ip6),
        a.solicit(a.ip6), a.solicit('fd00::99'), a.solicit('fd00::5'), c.solicit(d.ip6),
        a.solicit(b.ip6, lladdr=mac(9)), a.solicit(b.ip6, src='fe80::1'),
        a.solicit(b.ip6, hlim=64), a.solicit(b.ip6, tc=0x20),
        a.send(Ether(src=a.mac, dst=b.mac) / IPv6(src=a.ip6, dst=b.ip6, hlim=255)
               / ICMPv6ND_NS(tgt=b.ip6) / ICMPv6NDOptSrcLLAddr(lladdr=a.mac)),
        a.advertise(b.mac, b.ip6), a.advertise(d.mac, d.ip6),
    ],
}
