# SPDX-License-Identifier: Apache-2.0
"""MAC_Binding rows that nobody refreshes go away, and the router asks again."""
from topologies import gateway, pause, routed, rows
from traffic import Host

net = routed([1])
net.nb += ['ls-add s2', 'lrp-add r r-s2 00:00:00:00:ff:02 10.0.2.254/24',
           'lsp-add s2 s2-r -- lsp-set-type s2-r router -- lsp-set-addresses s2-r router -- '
           'lsp-set-options s2-r router-port=r-s2',
           'lsp-add s2 lp9 -- lsp-set-addresses lp9 unknown',
           'set logical_router r options:mac_binding_age_threshold=2']
net.interfaces['v9'] = 'lp9'
a, x = net.hosts[1], Host('v9', 0x31, '10.0.2.49', None, gateway(2))
TABLE = rows('MAC_Binding', 'logical_port', 'ip', 'mac')
SPEC = net.spec([x.arp_reply(gateway(2), '10.0.2.254'), pause(700), TABLE, a.udp(x), pause(4000),
    TABLE, a.udp(x)])
