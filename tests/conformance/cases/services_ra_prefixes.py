# SPDX-License-Identifier: Apache-2.0
"""Router advertisements of ports with several networks, of a gateway router, and before any is configured."""
from topologies import link_local
from traffic import Ether, Host, ICMPv6NDOptSrcLLAddr, IPv6, mac, router_port, switch_port

from scapy.layers.inet6 import ICMPv6ND_RS

a, b, c = [Host('v%d' % n, n) for n in (1, 2, 3)]


def solicit(host):
    return host.send(Ether(src=host.mac, dst='33:33:00:00:00:02')
                     / IPv6(src=link_local(host.mac), dst='ff02::2', hlim=255) / ICMPv6ND_RS()
                     / ICMPv6NDOptSrcLLAddr(lladdr=host.mac))


def network(number, networks, router):
    return (['ls-add s%d' % number] + switch_port('s%d' % number, 'lp%d' % number, mac(number))
            + router_port(router, 's%d' % number, '00:00:00:00:ff:0%d' % number, networks))


SPEC = {
    'nb': ['lr-add r', 'lr-add g -- set logical_router g options:chassis=hv1']
    + network(1, '10.0.1.254/24 fd01::ff/64 fd11::1/48 2001:db8::1/126', 'r') + network(2, '10.0.2.254/24', 'r')
    + network(3, 'fd03::ff/64', 'g')
    + ['set logical_router_port %s ipv6_ra_configs:address_mode=%s' % pair
       for pair in (('r-s1', 'slaac'), ('r-s2', 'slaac'), ('g-s3', 'dhcpv6_stateless'))],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'packets': [solicit(host) for host in (a, b, c)]
    + [{'nb': ['set logical_router_port r-s1 ipv6_ra_configs:address_mode=dhcpv6_stateful', 'sync']}, solicit(a),
       {'nb': ['set logical_router_port r-s2 ipv6_ra_configs:address_mode=dhcpv6_stateful', 'sync']}, solicit(b)],
}
