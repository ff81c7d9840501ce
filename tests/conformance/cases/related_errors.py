# SPDX-License-Identifier: Apache-2.0
"""ICMP errors that belong to a connection pass stateful ACLs, others do not, for IPv4 and IPv6."""
from topologies import answer, switched
from traffic import ICMP, IP, UDP, Raw, TCP

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]


def unreachable(sender, to, quoted, **icmp):
    return sender.send(sender.ether(to) / IP(src=sender.ip, dst=to.ip)
        / ICMP(type=3, code=3, **icmp) / quoted)


QUOTE = IP(src=a.ip, dst=b.ip) / UDP(sport=1000, dport=2000) / Raw(b'12345678')

SPEC = net.spec([
    unreachable(b, a, QUOTE), a.udp(b), unreachable(b, a, QUOTE), answer(error='host'), a.udp(b),
    answer(error='frag'), a.udp(b),
    answer(error='ttl'), unreachable(c, a, QUOTE), unreachable(b, a, IP(src=a.ip, dst=b.ip)
    / UDP(sport=1, dport=2)),
    unreachable(b, a, Raw(bytes(QUOTE)[:20])), unreachable(b, a, Raw(bytes(QUOTE)[:27])),
    unreachable(b, a, QUOTE, chksum=0x1111),
    a.udp6(b), answer(error='port'), a.udp6(b), answer(error='frag'), a.udp6(b),
    answer(error='ttl'),
    a.tcp(b), answer(error='port'), a.tcp(b), answer(), answer(error='host'), a.ping(b),
    answer(error='host'),
    unreachable(b, a, IP(src=b.ip, dst=a.ip) / UDP(sport=2000, dport=1000)),
    unreachable(b, a, IP(src=a.ip, dst=b.ip) / TCP(sport=1, dport=2)),
], nb=["acl-add s1 from-lport 1002 'inport == \"lp1\" && ip' allow-related",
"acl-add s1 from-lport 1001 'ip' drop",
       "acl-add s1 to-lport 1002 'ip' allow-related"])
