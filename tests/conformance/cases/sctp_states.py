# SPDX-License-Identifier: Apache-2.0
"""SCTP through stateful ACLs: setup, data both ways, abort, packets of no association."""
from topologies import switched
from traffic import SCTPChunkAbort, SCTPChunkData, SCTPChunkInit, SCTPChunkInitAck

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
BACK = {'sport': 80, 'dport': 1000}

SPEC = net.spec([
    b.sctp(a, SCTPChunkInit(init_tag=1)), a.sctp(b, SCTPChunkData(data=b'none'), tag=3, sport=900),
    b.sctp(a, SCTPChunkData(data=b'none'), tag=3, sport=80, dport=900),
    a.sctp(b, SCTPChunkInit(init_tag=11)), b.sctp(a, SCTPChunkInitAck(init_tag=22), tag=11, **BACK),
    a.sctp(b, SCTPChunkData(data=b'hello'), tag=22),
    b.sctp(a, SCTPChunkData(data=b'hi'), tag=11, **BACK),
    b.sctp(a, SCTPChunkData(data=b'hi'), tag=12, **BACK), a.sctp(b, SCTPChunkAbort(), tag=22),
    a.sctp(b, SCTPChunkData(data=b'after'), tag=22),
    b.sctp(a, SCTPChunkData(data=b'after'), tag=11, **BACK),
    a.sctp(b, SCTPChunkInit(init_tag=5), dport=81),
    b.sctp(a, SCTPChunkData(data=b'x'), tag=5, sport=81, dport=1001),
], nb=[
"acl-add s1 from-lport 1002 'inport == \"lp1\" && sctp.dst == 80 && sctp.src == {900..1100}' "
"allow-related".replace('{900..1100}', '1000'),
       "acl-add s1 from-lport 1002 'inport == \"lp1\" && sctp.src == 900' allow-related",
       "acl-add s1 from-lport 1001 'ip' drop", "acl-add s1 to-lport 1002 'sctp' allow-related"])
