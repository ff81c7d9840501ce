# SPDX-License-Identifier: Apache-2.0
"""Port security with IPv4 addresses: spoofed Ethernet, IP and ARP sources, DHCP's 0.0.0.0,
several addresses and a subnet on one port, and checks towards the port as well."""
from traffic import (ARP, BROADCAST, ICMP, IP, UDP, Ether, Host, Raw, mac, payload, switch_port)

a, b, c = [Host('v%d' % n, n, '10.0.0.%d' % n, 'fe80::5254:ff:fe00:%d' % n) for n in (1, 2, 3)]
spoof_mac = Host('v1', 9, '10.0.0.1')
spoof_ip = Host('v1', 1, '10.0.0.77')
second = Host('v2', 2, '10.0.0.22')
subnet = Host('v3', 3, '10.0.3.200')
ports = {1: '%s 10.0.0.1' % mac(1), 2: '%s 10.0.0.2 10.0.0.22' % mac(2),
         3: '%s 10.0.0.3 10.0.3.0/24' % mac(3)}

SPEC = {
    'nb': ['ls-add s'] + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d' % (mac(n), n), ports[n])
                              for n in ports], []),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'packets': [
        a.udp(b), b.udp(a), spoof_mac.udp(b), spoof_ip.udp(b), second.udp(a), subnet.udp(a),
        Host('v3', 3, '10.0.4.200').udp(a), a.tcp(b), spoof_ip.tcp(b), a.udp6(b),
        a.udp(b, link=a.ether(b), src='0.0.0.0'),
        a.udp(b, sport=68, dport=67, link=a.ether(BROADCAST), src='0.0.0.0', dst='255.255.255.255'),
        a.udp(b, sport=68, dport=68, link=a.ether(BROADCAST), src='0.0.0.0', dst='255.255.255.255'),
        a.udp(b, link=a.ether(BROADCAST), dst='255.255.255.255'),
        a.udp(b, link=a.ether('01:00:5e:01:02:03'), dst='224.1.2.3'),
        a.udp(b, dst='10.0.0.99'), a.udp(second), a.udp(c, dst='10.0.3.7'),
        a.udp(c, dst='10.0.5.7'),
        a.udp(c, dst='10.0.3.255'), a.udp(b, dst='224.1.2.3'), a.udp(b, dst='255.255.255.255'),
        a.arp('10.0.0.50'), a.arp('10.0.0.50', psrc='10.0.0.77'), a.arp('10.0.0.50', hwsrc=mac(9)),
        spoof_mac.arp('10.0.0.50'), a.arp('10.0.0.50', psrc='0.0.0.0'), second.arp('10.0.0.60'),
        a.arp_reply(b.mac, b.ip), a.arp_reply(b.mac, b.ip, psrc='10.0.0.88'),
        a.arp_reply(b.mac, b.ip, hwsrc=mac(9)), subnet.arp_reply(a.mac, a.ip),
        a.send(Ether(src=a.mac, dst=b.mac, type=0x88b5) / payload(46)),
        a.send(Ether(src=mac(9), dst=b.mac, type=0x88b5) / payload(46)),
        a.ping(b), spoof_ip.ping(b), a.udp(b, frag=10), a.udp(b, frag=10, src='10.0.0.77'),
        a.send(Ether(src=a.mac, dst=b.mac) / IP(src=a.ip, dst=b.ip) / ICMP(type=3, code=1)
               / IP(src=b.ip, dst=a.ip) / UDP(sport=1, dport=2) / Raw(b'12345678')),
        a.send(Ether(src=a.mac, dst=BROADCAST) / ARP(op=3, hwsrc=a.mac, psrc=a.ip)),
    ],
}
