# SPDX-License-Identifier: Apache-2.0
"""A forwarding group: an address that several ports share, each flow goes to one of them."""
from topologies import choice, routed
from traffic import Host

net = routed([1], [2, 3])
a, members = net.hosts[1], [net.hosts[2], net.hosts[3]]
group = Host('v1', 0x77, '10.0.2.77', 'fd02::77', members[0].gateway_mac)
local = Host('v2', 2, '10.0.2.2', 'fd02::2')
from topologies import at  # noqa: E402
SPEC = net.spec([net.hosts[2].arp('10.0.2.77')] + sum([[a.udp(at('10.0.2.77', a), sport=p),
    a.udp(at('10.0.2.77', a), sport=p)] for p in range(1000, 1006)], []),
                nb=['fwd-group-add fg s2 10.0.2.77 00:00:00:00:77:77 lp2 lp3',
                'static-mac-binding-add r-s2 10.0.2.77 00:00:00:00:77:77'],
                alternatives=[choice(*members)])
