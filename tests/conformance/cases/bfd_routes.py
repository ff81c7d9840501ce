# SPDX-License-Identifier: Apache-2.0
"""A static route whose next hop is watched by BFD: it is used once the session is up, and not
before."""
from topologies import PHYSICAL, public, routed

net = routed([1])
outside = public(net, kind='gateway')
a = net.hosts[1]
from topologies import at, rows  # noqa: E402
SPEC = net.spec([a.udp(at('20.0.0.1', a)), a.udp(outside),
    rows('BFD', 'dst_ip', 'logical_port', 'status')],
                nb=['--bfd lr-route-add r 20.0.0.0/16 172.16.0.91 r-pub',
                'static-mac-binding-add r-pub 172.16.0.91 50:54:00:00:00:91'],
                **dict(PHYSICAL, ignore_kinds=['garp', 'rarp', 'na', 'bfd']))
