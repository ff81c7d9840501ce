# SPDX-License-Identifier: Apache-2.0
"""Geneve in both directions with a chassis that this test plays itself: what leaves, and what
happens to crafted packets from the wire, good and bad.

Left out: packets that arrive with congestion already marked. RFC 6040 copies the mark to the
outer header, as sluice does; Open vSwitch 3.1 still follows RFC 3168 and sends ECT(0).
"""
from traffic import ARP, BROADCAST, Ether, Host, geneve, mac, switch_port

a, b, d = Host('v1', 1, '10.0.0.1', 'fd00::1'), Host('v2', 2, '10.0.0.2', 'fd00::2'), \
    Host('wire', 4, '10.0.0.4', 'fd00::4')
t = Host('v3', 5, '10.9.0.5')
t_remote = Host('wire', 6, '10.9.0.6')
# Tunnel keys are given, not left to northd: the crafted packets carry them.
VNI_S, VNI_T, A, B, D, T, T_REMOTE, FLOOD = 77, 78, 11, 12, 14, 21, 22, 0x8000
OUTER = {'src_ip': '192.168.0.2', 'dst_ip': '192.168.0.1', 'dst_mac': '02:aa:00:00:00:01'}


def rx(inner, outport, inport=D, vni=VNI_S, **fields):
    return geneve(inner, vni, inport, outport, **{**OUTER, **fields})


def keyed(switch, port, key, addresses, security=None):
    return switch_port(switch, port, addresses, security) + [
        'lsp-set-options %s requested-tnl-key=%d' % (port, key)]


SPEC = {
    'nb': ['ls-add s -- set logical_switch s other_config:requested-tnl-key=%d' % VNI_S,
           'ls-add t -- set logical_switch t other_config:requested-tnl-key=%d' % VNI_T]
    + keyed('s', 'lp1', A, '%s 10.0.0.1' % mac(1)) + keyed('s', 'lp2', B, '%s 10.0.0.2' % mac(2),
                                                          '%s 10.0.0.2' % mac(2))
    + keyed('s', 'lp4', D, '%s 10.0.0.4' % mac(4)) + keyed('t', 'lp5', T, '%s 10.9.0.5' % mac(5))
    + keyed('t', 'lp6', T_REMOTE, '%s 10.9.0.6' % mac(6)),
    'interfaces': {'v1': 'lp1', 'v2': 'lp2', 'v3': 'lp5'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                'ports': ['lp4', 'lp6']}],
    'packets': [
        a.udp(d), b.udp(d), t.udp(t_remote), a.udp6(d), a.tcp(d, tos=0x28), a.udp(d, size=0),
        a.udp(d, size=1400), a.udp(d, tos=1), a.udp(d, link=a.ether(BROADCAST)),
        a.send(Ether(src=a.mac, dst=BROADCAST) / ARP(hwsrc=a.mac, psrc=a.ip, pdst='10.0.0.200')),
        rx(d.udp(a), A), rx(d.udp(b), B), rx(d.udp6(a), A), rx(d.udp(a, size=1400), A),
        rx(d.udp(a), A, sport=1), rx(t_remote.udp(t), T, T_REMOTE, VNI_T),
        # The egress pipeline runs: port security towards lp2 looks at the address.
        rx(d.udp(b, dst='10.0.0.99'), B), rx(d.udp(b, link=d.ether(mac(9))), B),
        # The key decides, not the inner address.
        rx(d.udp(a), B), rx(d.udp(b), A),
        # Multicast groups are expanded to local members only, never back into a tunnel.
        rx(d.udp(a, link=d.ether(BROADCAST)), FLOOD),
        rx(d.arp('10.0.0.200'), FLOOD),
        # Unknown keys.
        rx(d.udp(a), A, vni=999), rx(d.udp(a), 999), rx(d.udp(a), T), rx(d.udp(a), 0),
        rx(d.udp(a), A, inport=0), rx(d.udp(a), A, inport=999), rx(d.udp(a), A, inport=A),
        rx(d.udp(a), D),
        # Not for this chassis.
        rx(d.udp(a), A, dst_mac='02:aa:00:00:00:99'), rx(d.udp(a), A, dst_ip='192.168.0.99'),
    ],
}
