# SPDX-License-Identifier: Apache-2.0
"""What a chassis says about itself and its ports in the Southbound database."""
from topologies import rows, switched

net = switched(1, 2)
SPEC = net.spec([rows('Chassis', 'name', 'hostname', 'nb_cfg'),
    rows('Encap', 'type', 'ip', 'chassis_name'), rows('Port_Binding', 'logical_port', 'up',
    'tunnel_key'), net.hosts[1].udp(net.hosts[2]), {'nb': ['lsp-set-enabled lp2 disabled']},
                 net.hosts[1].udp(net.hosts[2]), rows('Port_Binding', 'logical_port', 'up'),
                 rows('Chassis_Private', 'name', 'nb_cfg')], )
