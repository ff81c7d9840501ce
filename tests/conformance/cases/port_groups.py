# SPDX-License-Identifier: Apache-2.0
"""Port groups and address sets as they change: members come and go, sets grow and shrink,
generated sets follow."""
from topologies import answer, change, switched

net = switched(1, 2, 3, 4)
a, b, c, d = [net.hosts[n] for n in (1, 2, 3, 4)]
PROBE = [a.udp(b), a.udp(c), a.udp(d), b.udp(c), c.udp(b), a.udp6(b), a.udp6(d), d.tcp(b), answer()]

SPEC = net.spec(PROBE + [change('pg-set-ports servers lp2 lp3 lp4')] + PROBE
    + [change('add address_set clients addresses 10.0.1.3')] + PROBE
    + [change('remove address_set clients addresses 10.0.1.1')] + PROBE
                + [change('clear port_group servers ports')] + PROBE,
                nb=['pg-add servers lp2 lp3',
                'create address_set name=clients addresses=10.0.1.1,10.0.1.4', "acl-add servers "
                        "to-lport 1002 'outport == @servers && ip4.src == $clients' allow-related",
                    "acl-add servers to-lport 1001 'outport == @servers && ip' drop",
                    "acl-add servers from-lport 1001 'inport == @servers && ip4.dst == "
                    "$servers_ip4' drop",
                    "acl-add servers to-lport 1003 'outport == @servers && ip6.src == "
                    "$servers_ip6 && udp' allow-related"])
