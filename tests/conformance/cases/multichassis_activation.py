# SPDX-License-Identifier: Apache-2.0
"""activation-strategy=rarp: the additional chassis keeps a port silent, both ways, until the
machine that moves announces itself by RARP."""
from topologies import pause, rows
from traffic import ARP, BROADCAST, Ether, Host, mac, switch_port

a, b = Host('v1', 1, '10.0.0.1', 'fd00::1'), Host('w2', 2, '10.0.0.2', 'fd00::2')
old, new = Host('m1', 9, '10.0.0.9', 'fd00::9'), Host('m2', 9, '10.0.0.9', 'fd00::9')
WHO = rows('Port_Binding', 'logical_port', 'chassis', 'additional_chassis', 'up', 'type')


def rarp(host, op=3, source=None):
    return host.send(Ether(src=source or host.mac, dst=BROADCAST, type=0x8035)
                     / ARP(op=op, hwsrc=host.mac, hwdst=host.mac, psrc='0.0.0.0', pdst='0.0.0.0'))


TALK = [a.udp(old), b.udp(old), old.udp(a), new.udp(a), new.udp(b), new.arp('10.0.0.1'),
        a.udp(b, link=a.ether(BROADCAST)), b.udp(a, link=b.ether(BROADCAST)), new.solicit('fd00::1'),
        new.arp_reply(a.mac, a.ip), old.arp('10.0.0.99')]
SPEC = {
    'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1'},
                {'name': 'hv2', 'encap_ip': '192.168.0.2'}],
    'nb': ['ls-add s']
    + sum([switch_port('s', 'lp%d' % n, '%s 10.0.0.%d fd00::%d' % (mac(n), n, n)) for n in (1, 2, 9)],
          []) + ['lsp-set-options lp9 requested-chassis=hv1,hv2 activation-strategy=rarp'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'},
                   {'name': 'm1', 'iface_id': 'lp9', 'chassis': 'hv1'},
                   {'name': 'm2', 'iface_id': 'lp9', 'chassis': 'hv2'}],
    'packets': TALK + [rarp(old), rarp(new), pause(500)] + TALK + [rarp(new), rarp(new, op=4)],
}
