# SPDX-License-Identifier: Apache-2.0
"""A virtual address without backends: dropped, rejected, or reported as an event, as
configured."""
from topologies import at, pause, rows, switched

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
vips = [at('30.0.0.%d' % n, b) for n in range(1, 4)]
vip6 = at('fd30::1', b)

SPEC = net.spec([
    a.tcp(vips[0]), a.tcp(vips[1]), a.udp(vips[1], dport=53), a.tcp6(vip6), a.tcp(vips[2]),
    pause(300), a.tcp(vips[2]),
    rows('Controller_Event', 'event_type', 'event_info', until_ms=3000),
], nb=["lb-add lb0 30.0.0.1:80 '' tcp", "--reject lb-add lb1 30.0.0.2:80 '' tcp",
"--reject lb-add lb2 30.0.0.2:53 '' udp",
       "--reject lb-add lb3 '[fd30::1]:80' '' tcp", "--event lb-add lb4 30.0.0.3:80 '' tcp"]
   + ['ls-lb-add s1 lb%d' % n for n in range(5)])
