# SPDX-License-Identifier: Apache-2.0
"""A fragment that comes again while its packet is not whole: invalid where one zone is asked, and lost
in the next zone, where it would have to wait for the others; so nothing leaves untranslated."""
from topologies import PHYSICAL, public, routed
from traffic import IP, payload

net = routed([1, 2], [3])
public(net, kind='gateway')
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]


def later(sender, to, ident):
    return sender.send(sender.ether(to) / IP(src=sender.ip, dst=to.ip, id=ident, proto=17, frag=3)
                       / payload(26))


SPEC = net.spec(
    [later(a, c, 1), later(a, c, 1), later(c, a, 2), later(c, a, 2), later(b, c, 3), later(b, c, 3),
     a.udp(c), c.udp(a)],
    chassis=PHYSICAL['chassis'],
    nb=['lr-nat-add r dnat_and_snat 172.16.0.81 10.0.1.1',
        'lr-nat-add r dnat_and_snat 172.16.0.83 10.0.2.3'])
