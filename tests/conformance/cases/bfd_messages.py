# SPDX-License-Identifier: Apache-2.0
"""What a BFD peer sends to a router: messages that RFC 5880 6.8.6 wants discarded, then a session that
comes up and goes down.

Left out: a peer that does not know our discriminator yet. RFC 5880 wants its session found by
address, as sluice does (watch_bfd_test.cc); the reference ignores it.
"""
import struct

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from topologies import PHYSICAL, PUBLIC_MAC, change, public, routed, rows

net = routed([1])
public(net, kind='gateway')
HERE = 'set logical_router r options:chassis=hv1'
net.nb.remove(HERE)     # the session starts when its discriminator is the one we speak to
PEER, DISC = '172.16.0.91', 0x11223344
ADMIN_DOWN, DOWN, INIT, UP = range(4)


def message(state, ours, theirs=0x99, version=1, flags=0, mult=5, length=24, source=PEER):
    body = struct.pack('>BBBBIIIII', version << 5, state << 6 | flags, mult, length, theirs, ours,
                       1_000_000, 1_000_000, 0)
    return ['wire', bytes(Ether(src='50:54:00:00:00:91', dst=PUBLIC_MAC)
                          / IP(src=source, dst='172.16.0.254', ttl=255, id=0)
                          / UDP(sport=50000, dport=3784) / Raw(body)).hex()]


STATUS = rows('BFD', 'dst_ip', 'status')
# The reference writes what it knows when something wakes it.
WAIT = change('set logical_router r external_ids:look=again')
SPEC = net.spec([
    STATUS,
    # Discarded: version, multiplier, length, no discriminator of theirs, of ours in init and up.
    message(INIT, DISC, version=2), message(INIT, DISC, mult=0), message(INIT, DISC, length=20),
    message(INIT, DISC, theirs=0), message(INIT, 0), message(UP, 0), message(INIT, DISC + 1),
    message(INIT, DISC, source='172.16.0.92'), WAIT, STATUS,
    message(DOWN, DISC), WAIT, STATUS, message(INIT, DISC), WAIT, STATUS,
    message(UP, DISC), WAIT, STATUS, message(DOWN, DISC), WAIT, STATUS,
    message(INIT, DISC), WAIT, STATUS, message(ADMIN_DOWN, DISC), WAIT, STATUS],
    nb=['--bfd lr-route-add r 20.0.0.0/16 %s r-pub' % PEER, 'set bfd . min_rx=1000 min_tx=1000',
        'static-mac-binding-add r-pub %s 50:54:00:00:00:91' % PEER,
        'sb set BFD . disc=%d' % DISC, HERE],
    **dict(PHYSICAL, ignore_kinds=['garp', 'rarp', 'na', 'bfd']))
