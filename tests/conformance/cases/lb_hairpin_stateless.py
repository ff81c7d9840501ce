# SPDX-License-Identifier: Apache-2.0
"""Hairpin under ACLs that look at the source: those of the way out see the backend's address, not
the virtual one that the packet has by then, because nothing has read the packet again; stateless
ones by source, by source port, and of the virtual address."""
from topologies import answer, at, switched

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
vips = [at('30.0.0.%d' % n, a) for n in (1, 2, 3)]
vip6 = at('fd30::1', a)

SPEC = net.spec([
    *[step for host in (a, b, c) for vip in vips
      for step in (host.tcp(vip), answer(), host.tcp(vip, flags='A'), host.udp(vip, dport=80),
                   answer(), host.udp(vip, dport=80))],
    a.tcp6(vip6), answer(), a.tcp6(vip6, flags='A'), b.tcp6(vip6), answer(),
], nb=[*["lb-add lb%d%s 30.0.0.%d:80 10.0.1.%d:8080 %s" % (n, protocol, n, n, protocol)
         for n in (1, 2, 3) for protocol in ('tcp', 'udp')],
       "lb-add lb4 '[fd30::1]:80' '[fd01::1]:8080' tcp",
       *['ls-lb-add s1 lb%d%s' % (n, protocol) for n in (1, 2, 3) for protocol in ('tcp', 'udp')],
       'ls-lb-add s1 lb4',
       "acl-add s1 from-lport 500 'inport == \"lp3\" && tcp' allow-related",
       "acl-add s1 to-lport 600 'ip4.src == 10.0.1.1' allow-stateless",
       "acl-add s1 to-lport 610 'ip4.src == 30.0.0.2' allow-stateless",
       "acl-add s1 to-lport 620 'udp && ip4.src == 10.0.1.3' allow-stateless",
       "acl-add s1 to-lport 630 'ip6.src == fd01::1' allow-stateless"])
