# SPDX-License-Identifier: Apache-2.0
"""Switches with a localnet port: frames leave by the physical network, with the port's tag or
none, and what arrives there enters the switch of its tag; chassis do not tunnel to each
other for them."""
from traffic import ARP, BROADCAST, Ether, Host, mac, payload, switch_port

a, b = Host('v1', 1, '10.0.0.1', 'fd00::1'), Host('v2', 2, '10.0.0.2', 'fd00::2')
t = Host('v3', 3, '10.1.0.3')
outside, far = Host('wire', 0x90, '10.0.0.90', 'fd00::90'), Host('wire', 5, '10.0.0.5')
outside_t = Host('wire', 0x91, '10.1.0.91')


def tagged(step, vid):
    frame = bytes.fromhex(step[1])
    return [step[0], (frame[:12] + (0x8100 << 16 | vid).to_bytes(4, 'big') + frame[12:]).hex()]


def localnet(switch, port, network, tag=None):
    tail = '' if tag is None else ' -- set logical_switch_port %s tag=%d' % (port, tag)
    return ['lsp-add %s %s -- lsp-set-type %s localnet -- lsp-set-addresses %s unknown '
            '-- lsp-set-options %s network_name=%s' % (switch, port, port, port, port, network)
            + tail]


def announcement(host):
    """The gratuitous ARP that a hypervisor sends now and then for a VM on a physical network."""
    return ['wire', bytes(Ether(src=host.mac, dst=BROADCAST)
                          / ARP(hwsrc=host.mac, psrc=host.ip, pdst=host.ip)).hex()]


SPEC = {
    'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1', 'bridge_mappings': 'phys:br-phys'}],
    'nb': ['ls-add s', 'ls-add t'] + localnet('s', 'ln', 'phys')
    + localnet('t', 'ln-t', 'phys', 100)
    + switch_port('s', 'lp1', '%s 10.0.0.1' % mac(1))
    + switch_port('s', 'lp2', '%s 10.0.0.2' % mac(2))
    + switch_port('s', 'lp5', '%s 10.0.0.5' % mac(5)) + switch_port('t', 'lp3',
                                                                   '%s 10.1.0.3' % mac(3)),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp3'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp5']}],
    'packets': [
        a.udp(b), b.udp(a), a.udp(outside), a.udp(far), a.udp6(outside), t.udp(outside_t),
        a.udp(b, link=a.ether(BROADCAST)), t.udp(b, link=t.ether(BROADCAST)),
        a.send(Ether(src=a.mac, dst=outside.mac, type=0x88b5) / payload(46)),
        a.arp('10.0.0.90'), a.arp('10.0.0.2'), t.arp('10.1.0.91'),
        outside.udp(a), outside.udp(b), outside.udp6(a), outside.udp(t), outside.udp(far),
        tagged(outside_t.udp(t), 100), tagged(outside_t.udp(t), 101), tagged(outside.udp(a), 100),
        outside.udp(a, link=outside.ether(BROADCAST)),
        tagged(outside_t.udp(t, link=outside_t.ether(BROADCAST)), 100),
        outside.arp('10.0.0.1'), outside.arp('10.0.0.99'), tagged(outside_t.arp('10.1.0.3'), 100),
        outside.udp(Host('wire', 0x92, '10.0.0.92')), outside.arp_reply(a.mac, a.ip),
        outside.send(Ether(src=outside.mac, dst=b.mac, type=0x88b5) / payload(46)),
    ],
    # Sent by timers, not in answer to a packet.
    'ignore': [announcement(a)[1], announcement(b)[1], tagged(announcement(t), 100)[1]],
    'any_order': ['wire'],
}
