# SPDX-License-Identifier: Apache-2.0
"""A chassis with two tunnel addresses: a port says to which of them its packets go."""
from topologies import switched

net = switched(1, 3, 4)
for far in ('v3', 'v4'):
    del net.interfaces[far]
a = net.hosts[1]
NEW_ROW = '--id=@e%d create Encap type=geneve ip=192.168.0.%d chassis_name=hv2 options:csum=%s'
SPEC = net.spec([a.udp(net.hosts[3]), a.udp(net.hosts[4])],
                nb=['sb -- %s -- %s -- set Chassis hv2 encaps=@e21,@e22 '
                    '-- set Port_Binding lp3 encap=@e21 -- set Port_Binding lp4 encap=@e22'
                    % (NEW_ROW % (21, 21, 'true'), NEW_ROW % (22, 22, 'false'))],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                         'ports': ['lp3', 'lp4']}]
                + [{'name': 'hv%d' % n, 'ip': '192.168.0.%d' % n, 'encap': 'stt',
                    'mac': '02:bb:00:00:00:%02x' % n} for n in (21, 22)])
