# SPDX-License-Identifier: Apache-2.0
"""Ports with unknown addresses: frames to MACs nobody owns are flooded to them, and what such a
port sends is learnt into the SB, so that the answer goes to that port alone."""
from traffic import Ether, Host, mac, payload, switch_port

a, b = Host('v1', 1, '10.0.0.1'), Host('v2', 2, '10.0.0.2')
hidden, hidden2 = Host('v2', 0x66, '10.0.0.66'), Host('v3', 0x77, '10.0.0.77')
moving = Host('v3', 0x66, '10.0.0.66')
LEARN = {'sleep_ms': 700}

SPEC = {
    'nb': ['ls-add s'] + switch_port('s', 'lp1', '%s 10.0.0.1' % mac(1))
    + switch_port('s', 'lp2', ['%s 10.0.0.2' % mac(2), 'unknown'])
    + switch_port('s', 'lp3', 'unknown') + switch_port('s', 'lp4', 'unknown'),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp4']}],
    'packets': [
        a.udp(b), b.udp(a), a.udp(hidden), a.udp(hidden2), b.udp(hidden2),
        a.udp(Host('v1', 0x99, '10.0.0.99')), a.send(Ether(src=a.mac, dst=mac(0x98), type=0x88b5)
                                                     / payload(46)),
        LEARN, hidden.udp(a), hidden2.udp(a), LEARN,
        a.udp(hidden), a.udp(hidden2), hidden.udp(hidden2), hidden2.udp(hidden), b.udp(hidden),
        hidden.udp(b), a.udp(Host('v1', 0x99, '10.0.0.99')),
        a.send(Ether(src=a.mac, dst=mac(0x66), type=0x88b5) / payload(46)),
        moving.udp(a), LEARN, a.udp(hidden), hidden2.udp(hidden),
        a.udp(b), a.arp('10.0.0.66'), a.arp('10.0.0.2'), a.arp('10.0.0.99'),
        hidden.arp_reply(a.mac, a.ip), a.udp(hidden, link=a.ether('01:00:5e:00:00:09')),
    ],
}
