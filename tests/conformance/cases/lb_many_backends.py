# SPDX-License-Identifier: Apache-2.0
"""Several backends: any may be chosen, but a connection stays with the one it has."""
from topologies import answer, at, choice, switched

net = switched(1, 2, 3, 4)
a, backends = net.hosts[1], [net.hosts[n] for n in (2, 3, 4)]
vip, vip6 = at('30.0.0.1', backends[0]), at('fd30::1', backends[0])


def connection(port):
    return [a.tcp(vip, sport=port), answer(), a.segment(vip, 'A', 2, 5001, sport=port),
            a.segment(vip, 'PA', 2, 5001, b'hello', sport=port), answer(tcp='PA'),
            a.segment(vip, 'A', 7, 5007, sport=port),
            a.segment(vip, 'FA', 7, 5007, sport=port), answer(tcp='FA')]


SPEC = net.spec(sum([connection(1000 + n) for n in range(6)], [])
                + sum([[a.udp(vip, sport=p, dport=53), answer(), a.udp(vip, sport=p, dport=53)]
                for p in (5, 6, 7)], [])
                + sum([[a.tcp6(vip6, sport=p), answer(), a.tcp6(vip6, sport=p, flags='A')]
                for p in (5, 6, 7)], []),
                nb=['lb-add lb0 30.0.0.1:80 10.0.1.2:80,10.0.1.3:80,10.0.1.4:80 tcp',
                    'lb-add lb1 30.0.0.1:53 10.0.1.2:53,10.0.1.3:53,10.0.1.4:53 udp',
                    "lb-add lb2 '[fd30::1]:80' '[fd01::2]:80,[fd01::3]:80,[fd01::4]:80' tcp",
                    'ls-lb-add s1 lb0', 'ls-lb-add s1 lb1', 'ls-lb-add s1 lb2'],
                alternatives=[choice(*backends)])
