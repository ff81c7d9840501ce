# SPDX-License-Identifier: Apache-2.0
"""ACLs that log: the lines are those of OVN, with name, verdict, severity, direction and the
packet."""
from topologies import answer, switched
from traffic import ARP, BROADCAST, Ether, SCTPChunkInit

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
LOG = {'acl_log': True, 'sleep_ms': 200}

SPEC = net.spec([
    a.udp(b), LOG, a.tcp(b), LOG, a.tcp(b, dport=443), LOG, answer(), LOG, a.ping(b), LOG,
    a.ping6(b), LOG, a.udp6(b), LOG,
    a.sctp(b, SCTPChunkInit(init_tag=3)), LOG, a.tcp6(b, flags='SA'), LOG,
    a.send(Ether(src=a.mac, dst=BROADCAST) / ARP(hwsrc=a.mac, psrc=a.ip, pdst='10.0.1.77')), LOG,
    b.udp(a, tos=0xb8, ttl=3), LOG,
], nb=[
"--log --name=no-udp --severity=warning acl-add s1 to-lport 1001 'outport == \"lp2\" && udp' drop",
       "--log --name=web --severity=info acl-add s1 to-lport 1002 'outport == \"lp2\" && tcp.dst "
       "== 80' reject",
       "--log --name=tls --severity=alert acl-add s1 to-lport 1002 'outport == \"lp2\" && "
       "tcp.dst == 443' allow-related",
       "--log --name='a name' --severity=notice acl-add s1 to-lport 1000 'outport == \"lp2\" && "
       "icmp' allow",
       "--log acl-add s1 to-lport 900 'outport == \"lp2\" && sctp' drop",
       "--log --severity=debug acl-add s1 from-lport 900 'inport == \"lp1\" && arp' allow",
       "--log --name=back acl-add s1 from-lport 900 'inport == \"lp2\" && udp' allow"])
