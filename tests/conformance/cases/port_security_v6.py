# SPDX-License-Identifier: Apache-2.0
"""Port security with IPv6: sources, link-local, DAD's unspecified source, and neighbour
messages whose option or target claims somebody else's address."""
from traffic import (Ether, Host, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6,
                     IPv6ExtHdrHopByHop, UDP, mac, payload, solicited_node, group_tail, switch_port)


def link_local(number):
    return 'fe80::5254:00ff:fe00:%x' % number


a, b = [Host('v%d' % n, n, '10.0.0.%d' % n, 'fd00::%d' % n) for n in (1, 2)]
both = Host('v3', 3, '10.0.0.3', 'fd00::3')
a_ll, spoof = Host('v1', 1, None, link_local(1)), Host('v1', 1, None, 'fd00::77')
spoof_ll, spoof_mac = Host('v1', 1, None, link_local(9)), Host('v1', 9, None, 'fd00::1')
dad = 'fd00::1'


def bare_solicit(host, target, source='::'):
    """Duplicate address detection: no option, unspecified source."""
    group = solicited_node(target)
    return host.send(Ether(src=host.mac, dst='33:33:' + group_tail(group))
                     / IPv6(src=source, dst=group, hlim=255) / ICMPv6ND_NS(tgt=target))


def bare_advertise(host, target):
    return host.send(Ether(src=host.mac, dst='33:33:00:00:00:01')
                     / IPv6(src=host.ip6, dst='ff02::1', hlim=255) / ICMPv6ND_NA(tgt=target, R=0))


SPEC = {
    'nb': ['ls-add s']
    + sum([switch_port('s', 'lp%d' % n, '%s fd00::%d' % (mac(n), n), '%s fd00::%d' % (mac(n), n))
           for n in (1, 2)], [])
    + switch_port('s', 'lp3', '%s 10.0.0.3 fd00::3' % mac(3), '%s 10.0.0.3 fd00::3' % mac(3)),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'packets': [
        a.udp6(b), b.udp6(a), spoof.udp6(b), spoof_mac.udp6(b), a_ll.udp6(b), spoof_ll.udp6(b),
        a.udp6(b, src='::'), a.udp(b), both.udp6(a), both.udp(a), both.udp6(a, src='fd00::1'),
        both.udp(a, src='10.0.0.4'), a.udp6(b, dst='fd00::99'), a.udp6(b, dst=link_local(2)),
        a.udp6(b, dst='ff02::1'), a.udp6(b, link=a.ether('33:33:00:00:00:01'), dst='ff02::1'),
        a.tcp6(b), a.ping6(b), spoof.ping6(b), both.ping6(b),
        a.solicit('fd00::55'), a.solicit('fd00::55', lladdr=mac(9)),
        a.solicit('fd00::55', src='fd00::77'), a_ll.solicit('fd00::55'),
        spoof_ll.solicit('fd00::55'), spoof_mac.solicit('fd00::55'), spoof_mac.solicit(
            'fd00::55', lladdr=mac(1)),
        bare_solicit(a, dad), bare_solicit(a, 'fd00::66'), bare_solicit(a, 'fd00::66', 'fd00::77'),
        a.advertise(b.mac, b.ip6), a.advertise(b.mac, b.ip6, target='fd00::88'),
        a.advertise(b.mac, b.ip6, lladdr=mac(9)), bare_advertise(a, 'fd00::1'),
        bare_advertise(a, 'fd00::2'), bare_advertise(a, link_local(1)),
        a.advertise(b.mac, b.ip6, hlim=64), both.solicit('fd00::56'),
        a.send(Ether(src=a.mac, dst=b.mac) / IPv6(src=a.ip6, dst=b.ip6) / IPv6ExtHdrHopByHop()
               / UDP(sport=1, dport=2) / payload(8)),
        a.send(Ether(src=a.mac, dst=b.mac)
               / IPv6(src='::', dst='ff02::16', hlim=1) / IPv6ExtHdrHopByHop() / payload(20)),
        a.send(Ether(src=a.mac, dst=b.mac) / IPv6(src=a.ip6, dst=b.ip6, hlim=255)
               / ICMPv6ND_NS(tgt=b.ip6) / ICMPv6NDOptSrcLLAddr(lladdr=a.mac)),
    ],
}
