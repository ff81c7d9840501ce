# SPDX-License-Identifier: Apache-2.0
"""ACL logs behind a meter: packets that find no tokens are forwarded all the same, but not logged.

The bucket holds less than a long packet and more than a few short ones, so time plays no part.
"""
from topologies import switched

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
LOG = {'acl_log': True}

SPEC = net.spec(
    [a.udp(b, dport=7), LOG, a.udp(b, dport=7, size=1200), LOG, a.udp(b, dport=7), LOG,
     a.udp(b, dport=8, size=1200), LOG, a.udp(b, dport=9, size=1200), LOG, a.udp(b, dport=9), LOG],
    nb=['meter-add slow drop 8 kbps 8',
        '--log --severity=info --name=slow --meter=slow acl-add s1 from-lport 1000 "udp.dst == 7" '
        'allow',
        '--log --severity=info --name=free acl-add s1 from-lport 1000 "udp.dst == 8" allow',
        '--log --severity=alert --name=no --meter=slow acl-add s1 to-lport 1000 "udp.dst == 9" drop'])
