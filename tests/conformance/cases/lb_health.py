# SPDX-License-Identifier: Apache-2.0
"""Service monitors: a backend is probed, answers or not, and serves only while it is online."""
from topologies import answer, at, choice, pause, rows, switched

net = switched(1, 2, 3)
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
vip = at('30.0.0.1', b)
STATUS = rows('Service_Monitor', 'ip', 'port', 'protocol', 'status', until_ms=3000)

SPEC = net.spec([
    pause(1500), answer(port='v2'), pause(800), STATUS, a.tcp(vip), answer(),
], nb=['set nb_global . options:svc_monitor_mac="00:00:00:00:fe:01"',
'lb-add lb0 30.0.0.1:80 10.0.1.2:80,10.0.1.3:80 tcp', 'ls-lb-add s1 lb0',
       'set load_balancer lb0 ip_port_mappings:10.0.1.2=lp2:10.0.1.200',
       'set load_balancer lb0 ip_port_mappings:10.0.1.3=lp3:10.0.1.200',
       '--id=@hc create load_balancer_health_check vip="30.0.0.1\\:80" options:interval=1 '
       'options:timeout=1 options:success_count=1 options:failure_count=99 '
       '-- add load_balancer lb0 health_check @hc'], ignore_kinds=['probe'],
    alternatives=[choice(b, c, ports=False)])    # the silent one is not judged yet: either may serve
