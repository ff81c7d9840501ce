# SPDX-License-Identifier: Apache-2.0
"""ACLs that need no connection tracker: allow-stateless and drop, in both directions, with
sets, address sets, port groups, ranges, masks, negation and priorities."""
from traffic import BROADCAST, ICMP, IP, UDP, Ether, Host, mac, payload, switch_port

hosts = [Host('v%d' % n, n, '10.0.0.%d' % n, 'fd00::%d' % n) for n in range(1, 6)]
a, b, c, d, far = hosts


def acl(where, direction, priority, match, verdict):
    return 'acl-add %s %s %d %r %s' % (where, direction, priority, match, verdict)


SPEC = {
    'nb': ['ls-add s']
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n))
           for n in range(1, 6)], [])
    + ['pg-add web lp2 lp5', 'pg-add clients lp1 lp3',
       'create address_set name=bad addresses=10.0.0.66,10.0.1.0/24,10.0.0.4',
       'create address_set name=bad6 addresses=\\"fd00::66\\"',
       acl('s', 'from-lport', 3000, 'ip4.src == $bad', 'drop'),
       acl('s', 'from-lport', 3000, 'ip6.src == $bad6', 'drop'),
       acl('s', 'from-lport', 2000, 'inport == "lp1" && udp && 5000 <= udp.dst < 6000', 'drop'),
       acl('s', 'from-lport', 2001, 'inport == "lp1" && udp.dst == {5005, 5010, 5500}',
           'allow-stateless'),
       acl('s', 'from-lport', 1900, 'eth.type == 0x88b5', 'drop'),
       acl('s', 'from-lport', 1800, 'ip.proto == 47 || (ip4 && ip.ttl == 77)', 'drop'),
       acl('s', 'from-lport', 1700, 'tcp.flags == 0x2/0x12 && tcp.dst == 23', 'drop'),
       acl('s', 'from-lport', 1600, 'ip4.dst == 10.0.0.0/255.0.0.255 || ip4.dst == 10.9.0.0/16',
           'drop'),
       acl('web', 'to-lport', 2000, 'outport == @web && tcp.dst == {80, 443, 8000}',
           'allow-stateless'),
       acl('web', 'to-lport', 1000, 'outport == @web && tcp', 'drop'),
       acl('web', 'to-lport', 1500, 'outport == @web && ip4.src == $clients_ip4 && tcp.dst == 22',
           'allow-stateless'),
       acl('s', 'to-lport', 1200, 'outport == "lp3" && ip && ip.ttl != 64', 'drop'),
       acl('s', 'to-lport', 1300, 'outport == "lp3" && icmp4 && icmp4.type == {0, 8}', 'drop'),
       acl('s', 'to-lport', 1100, 'outport == "lp4" && !(udp.src == 53 || tcp.src == 53)', 'drop')],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3', 'v4': 'lp4'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp5']}],
    'packets': [
        a.udp(b), a.udp(b, src='10.0.0.66'), a.udp(b, src='10.0.1.7'), a.udp(b, src='10.0.2.7'),
        d.udp(b), a.udp6(b), a.udp6(b, src='fd00::66'),
        a.udp(b, dport=4999), a.udp(b, dport=5000), a.udp(b, dport=5005), a.udp(b, dport=5010),
        a.udp(b, dport=5999), a.udp(b, dport=6000), c.udp(b, dport=5000), a.udp6(b, dport=5006),
        a.udp6(b, dport=5500),
        a.send(Ether(src=a.mac, dst=b.mac, type=0x88b5) / payload(46)),
        a.send(Ether(src=a.mac, dst=b.mac, type=0x88b6) / payload(46)),
        a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, proto=47) / payload(20)),
        a.udp(b, ttl=77), a.udp(b, ttl=78),
        a.tcp(c, dport=23), a.tcp(c, dport=23, flags='SA'), a.tcp(c, dport=23, flags='A'),
        a.tcp(b, dport=80), a.tcp(b, dport=443), a.tcp(b, dport=81), a.tcp(b, dport=22),
        c.tcp(b, dport=22), d.tcp(b, dport=22, src='10.0.0.44'), a.tcp6(b, dport=8000),
        a.tcp6(b, dport=22), a.tcp(far, dport=80), a.tcp(far, dport=81), a.udp(far),
        a.udp(b, dst='10.3.4.0'), a.udp(b, dst='10.3.4.1'), a.udp(b, dst='10.9.1.1'),
        a.udp(c, ttl=32), a.udp(c), a.udp(c, ttl=65), a.udp6(c), a.ping(c), a.ping(b), a.ping6(c),
        a.send(a.ether(c) / IP(src=a.ip, dst=c.ip) / ICMP(type=13)),
        a.udp(d), a.udp(d, sport=53), a.tcp(d), b.tcp6(d), b.udp6(d, sport=53),
        a.udp(b, link=a.ether(BROADCAST), ttl=32), a.udp(b, link=a.ether(BROADCAST), sport=53),
        a.udp(b, frag=30), a.send(a.ether(b) / IP(src=a.ip, dst=b.ip, frag=30, proto=6)
        / payload(32)),
        a.send(a.ether(b) / IP(src=a.ip, dst=b.ip) / UDP(sport=1, dport=5000, len=8)),
    ],
    'has_bad_flows': True,
    # TTL is nominal: it may not be compared with !=, and no flow comes of it
}
