# SPDX-License-Identifier: Apache-2.0
"""A router port that answers ARP and ND for addresses of others (arp_proxy)."""
from topologies import routed

net = routed([1, 2])
a = net.hosts[1]
SPEC = net.spec([a.arp('169.254.239.254'), a.arp('169.254.239.2'), a.arp('10.0.1.99'),
    a.arp('192.168.5.77'), a.arp('192.168.6.1'), a.solicit('fd7b::1'), a.solicit('fd7b::2'),
    a.solicit('fd7c::1')],
                nb=[
                'set logical_switch_port s1-r options:arp_proxy="0a:58:a9:fe:01:01 '
                '169.254.239.254 169.254.239.2 192.168.5.0/24 fd7b::1 fd7c::/64"'])
