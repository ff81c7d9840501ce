# SPDX-License-Identifier: Apache-2.0
"""Containers nested in VMs: the tag names the port, is taken off on the way in and put on on
the way out; the VM itself stays untagged; port security and routing hold for each container."""
from traffic import BROADCAST, IP, UDP, Dot1Q, Ether, Host, Raw, mac, payload, router_port, switch_port

GW = '00:00:00:00:ff:01'
GW2 = '00:00:00:00:ff:02'
vm, vm2 = Host('v1', 1, '10.0.0.1'), Host('v2', 2, '10.0.0.2')
c10, c20 = Host('v1', 0x10, '10.0.0.10'), Host('v1', 0x20, '10.0.0.20')
other = Host('v1', 0x30, '10.9.0.30')
peer = Host('v2', 0x40, '10.9.0.40')
far = Host('wire', 0x50, '10.0.0.50')


def tagged(step, vid, pcp=0):
    """The same packet as a container with this tag sends it."""
    frame = bytes.fromhex(step[1])
    tag = (0x8100 << 16 | pcp << 13 | vid).to_bytes(4, 'big')
    return [step[0], (frame[:12] + tag + frame[12:]).hex()]


def container(switch, port, parent, tag, number, ip, secured=False):
    address = '%s %s' % (mac(number), ip)
    return ['lsp-add %s %s %s %d -- lsp-set-addresses %s "%s"' % (switch, port, parent, tag, port,
                                                                 address)
            + (' -- lsp-set-port-security %s "%s"' % (port, address) if secured else '')]


SPEC = {
    'nb': ['lr-add r', 'ls-add s', 'ls-add t']
    + switch_port('s', 'vm', '%s 10.0.0.1' % mac(1))
    + switch_port('s', 'vm2', '%s 10.0.0.2' % mac(2))
    + switch_port('s', 'far', '%s 10.0.0.50' % mac(0x50))
    + container('s', 'c10', 'vm', 10, 0x10, '10.0.0.10')
    + container('s', 'c20', 'vm', 20, 0x20, '10.0.0.20', secured=True)
    + container('t', 'other', 'vm', 30, 0x30, '10.9.0.30')
    + container('t', 'peer', 'vm2', 40, 0x40, '10.9.0.40')
    + router_port('r', 's', GW, '10.0.0.254/24') + router_port('r', 't', GW2, '10.9.0.254/24'),
    'interfaces': {'v1': 'vm', 'v2': 'vm2'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['far']}],
    'packets': [
        vm.udp(vm2), vm2.udp(vm), tagged(c10.udp(vm2), 10), vm2.udp(c10), tagged(c20.udp(vm2), 20),
        vm2.udp(c20), tagged(c10.udp(c20), 10), tagged(c20.udp(c10), 20), tagged(c10.udp(vm), 10),
        vm.udp(c10), tagged(other.udp(peer), 30), tagged(peer.udp(other), 40),
        tagged(c10.udp(far), 10), tagged(c10.udp(vm2), 20), tagged(c20.udp(vm2), 10),
        tagged(c10.udp(vm2), 99), tagged(vm.udp(vm2), 99), c10.udp(vm2),
        tagged(c10.udp(vm2), 10, pcp=5), tagged(vm.udp(vm2), 0), tagged(c10.udp(vm2), 0),
        tagged(tagged(c10.udp(vm2), 77), 10), tagged(tagged(c10.udp(vm2), 10), 77),
        tagged(Host('v1', 0x20, '10.0.0.21').udp(vm2), 20), tagged(Host('v1', 0x21, '10.0.0.20')
                                                                  .udp(vm2), 20),
        tagged(c10.udp(vm2, link=c10.ether(BROADCAST)), 10), vm2.udp(vm, link=vm2.ether(BROADCAST)),
        tagged(other.udp(peer, link=other.ether(BROADCAST)), 30), tagged(c10.arp('10.0.0.2'), 10),
        tagged(c10.arp('10.0.0.20'), 10), vm2.arp('10.0.0.10'), tagged(c10.arp('10.0.0.99'), 10),
        tagged(c10.udp(other, link=c10.ether(GW)), 10),
        tagged(other.udp(vm2, link=other.ether(GW2)),
                                                              30),
        vm2.udp(other, link=vm2.ether(GW)), tagged(other.udp(c20, link=other.ether(GW2)), 30),
        tagged(other.udp(far, link=other.ether(GW2)), 30),
        vm.send(Ether(src=mac(0x10), dst=mac(2)) / Dot1Q(vlan=10, type=0x88b5) / payload(40)),
        vm.send(Ether(src=mac(0x10), dst=mac(2), type=0x88a8) / payload(46)),
        vm.send(Ether(src=mac(0x10), dst=mac(2)) / Dot1Q(vlan=10, id=1) / IP(
            src='10.0.0.10', dst='10.0.0.2') / UDP(sport=3, dport=4) / Raw(b'dei set')),
    ],
    'any_order': ['v1'],    # a flood reaches the VM and its containers in no defined order
}
