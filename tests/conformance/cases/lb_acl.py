# SPDX-License-Identifier: Apache-2.0
"""Load balancing together with stateful ACLs: matches see the backend's address, and apply-
after-lb ACLs run behind the choice."""
from topologies import answer, at, switched

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
vip, vip2 = at('30.0.0.1', b), at('30.0.0.2', c)

SPEC = net.spec([
    a.tcp(vip), answer(), a.segment(vip, 'PA', 2, 5001, b'hi'), answer(tcp='PA'), a.tcp(vip2),
    a.tcp(vip2, dport=81), a.udp(vip, dport=53), a.ping(b), answer(),
    c.tcp(vip), answer(), a.tcp(b, sport=1009), answer(), b.tcp(vip2, sport=1010),
], nb=['lb-add lb0 30.0.0.1:80 10.0.1.2:80 tcp', 'lb-add lb1 30.0.0.2:80 10.0.1.3:80 tcp',
'ls-lb-add s1 lb0', 'ls-lb-add s1 lb1',
       "acl-add s1 to-lport 1002 'ip4.dst == 10.0.1.2 && tcp.dst == 80' allow-related",
       "acl-add s1 to-lport 1001 'outport == \"lp2\" && ip4 && (tcp || udp)' drop",
       "--apply-after-lb acl-add s1 from-lport 1001 'inport == \"lp1\" && ip4.dst == 10.0.1.3' "
       "reject",
       "acl-add s1 from-lport 1001 'inport == \"lp1\" && ip4' allow-related"])
