# SPDX-License-Identifier: Apache-2.0
"""Events of load balancers without backends: one row for each address while nobody has dealt with it,
another when somebody has."""
from topologies import at, change, pause, rows, routed

net = routed([1], [2])
a, b = net.hosts[1], net.hosts[2]
vip, vip2 = at('30.0.0.1', b), at('30.0.0.2', b)
vip6 = at('fd30::1', b)
EVENTS = rows('Controller_Event', 'seq_num', 'event_type', 'event_info')
WAIT = pause(600)
SPEC = net.spec([
    a.tcp(vip), WAIT, EVENTS, a.tcp(vip), a.tcp(vip, sport=1001), WAIT, EVENTS,
    a.udp(vip2, dport=53), WAIT, EVENTS, a.tcp6(vip6), WAIT, EVENTS,
    change('sb --all destroy Controller_Event'), WAIT, EVENTS,
    a.tcp(vip), WAIT, EVENTS,
    change('set load_balancer lb0 options:event=false'), a.tcp(vip), WAIT,
], nb=["--event lb-add lb0 30.0.0.1:80 '' tcp", "--event lb-add lb1 30.0.0.2:53 '' udp",
       "--event lb-add lb2 '[fd30::1]:80' '' tcp"]
    + ['ls-lb-add s1 lb%d' % n for n in range(3)])
