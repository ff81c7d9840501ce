# SPDX-License-Identifier: Apache-2.0
"""MACs that a port with unknown addresses shows are learnt into FDB rows, and move."""
from topologies import pause, rows, switched
from traffic import Ether, payload

net = switched(1)
for n in (2, 3, 4):
    net.nb.append('lsp-add s1 lp%d -- lsp-set-addresses lp%d unknown' % (n, n))
    net.interfaces['v%d' % n] = 'lp%d' % n
net.nb.append('lsp-set-port-security lp1 ""')


def frame(port, src, dst):
    return ['v%d' % port, bytes(Ether(src='50:54:00:00:01:%02x' % src, dst='50:54:00:00:01:%02x'
        % dst if dst < 256 else 'ff:ff:ff:ff:ff:ff', type=0x88b5) / payload(46)).hex()]


TABLE = rows('FDB', 'mac', 'dp_key', 'port_key', until_ms=2000)
SPEC = net.spec([frame(2, 0x22, 0x33), pause(1000), frame(3, 0x33, 0x22), pause(1000), TABLE,
    frame(2, 0x22, 0x33), frame(4, 0x44, 0x33), frame(4, 0x44, 256), pause(1000),
    frame(2, 0x22, 0x44), frame(3, 0x22, 0x44), pause(1000), frame(4, 0x44, 0x22), TABLE,
                 net.hosts[1].send(Ether(src=net.hosts[1].mac, dst='50:54:00:00:01:33',
                 type=0x88b5) / payload(46))])
