# SPDX-License-Identifier: Apache-2.0
"""DNS: A, AAAA, PTR and ANY from the records of the switch, case, unknown names, other classes,
several questions, over IPv4 and IPv6."""
from scapy.layers.dns import DNS, DNSQR
from topologies import switched
from traffic import IP, UDP, IPv6, Raw

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]


def ask(name, kind='A', v6=False, to=b, dport=53, **words):
    network = IPv6(src=a.ip6, dst=to.ip6) if v6 else IP(src=a.ip, dst=to.ip)
    question = DNS(**{'id': 0x77, 'rd': 1, 'qd': DNSQR(qname=name, qtype=kind), **words})
    return a.send(a.ether(to) / network / UDP(sport=4000, dport=dport)
        / question) + [{'wait_ms': 80}]


SPEC = net.spec([
    ask('vm1.example.org'), ask('VM1.Example.ORG'), ask('vm1.example.org', 'AAAA'),
    ask('vm2.example.org'), ask('vm2.example.org', 'AAAA'), ask('vm1.example.org', 'ALL'),
    ask('vm1.example.org', 'MX'), ask('vm1.example.org', 'TXT'), ask('unknown.example.org'),
    ask('multi.example.org'), ask('multi.example.org', 'AAAA'), ask('example.org'),
    ask('4.0.0.10.in-addr.arpa', 'PTR'), ask('5.0.0.10.in-addr.arpa', 'PTR'),
    ask('vm1.example.org', v6=True), ask('vm1.example.org', 'AAAA', v6=True),
    ask('vm1.example.org', dport=5353),
    ask('vm1.example.org', qr=1), ask('vm1.example.org', opcode=2),
    ask('vm1.example.org', qd=DNSQR(qname='vm1.example.org', qclass='CH')),
    ask('vm1.example.org', qd=DNSQR(qname='vm1.example.org') / DNSQR(qname='vm2.example.org'),
    qdcount=2), ask('vm1.example.org', rd=0),
    a.send(a.ether(b) / IP(src=a.ip, dst=b.ip) / UDP(sport=4000, dport=53) / Raw(b'\x00\x01\x01'))
    + [{'wait_ms': 80}],
    b.send(b.ether(a) / IP(src=b.ip, dst=a.ip) / UDP(sport=4000, dport=53)
    / DNS(id=5, rd=1, qd=DNSQR(qname='vm1.example.org'))) + [{'wait_ms': 80}],
], nb=[
'--id=@d create DNS records="{\\"vm1.example.org\\"=\\"10.0.1.1 '
'fd01::1\\",\\"vm2.example.org\\"=\\"10.0.1.2\\",'
       '\\"multi.example.org\\"=\\"10.0.1.7 '
       '10.0.1.8\\",\\"4.0.0.10.in-addr.arpa\\"=\\"vm4.example.org\\"}" -- add logical_switch s1 '
       'dns_records @d'])
