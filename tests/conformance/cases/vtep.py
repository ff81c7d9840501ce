# SPDX-License-Identifier: Apache-2.0
"""A switch with a port on a hardware VTEP: broadcasts and unknown addresses go there by VXLAN,
which carries nothing but the network; what comes from there is switched by its addresses."""
from topologies import switched
from traffic import IP, UDP, Ether, Host, Raw

net = switched(1, 2)
a, b = net.hosts[1], net.hosts[2]
machine = Host('wire', 9, '10.0.1.9', 'fd01::9')


def from_vtep(step, vni=1):
    """The frame as a VTEP sends it: VXLAN (RFC 7348) with the tunnel key of the switch."""
    header = bytes([8, 0, 0, 0]) + vni.to_bytes(3, 'big') + b'\0'
    return ['wire', bytes(Ether(src='02:bb:00:00:00:02', dst='02:aa:00:00:00:01')
                          / IP(src='192.168.0.2', dst='192.168.0.1', id=0, flags='DF')
                          / UDP(sport=50000, dport=4789, chksum=0)
                          / Raw(header + bytes.fromhex(step[1]))).hex()]


SPEC = net.spec([a.udp(machine), a.udp(b), a.udp(machine, link=a.ether('ff:ff:ff:ff:ff:ff')),
    a.arp(machine.ip),
                 from_vtep(machine.udp(a)), from_vtep(machine.udp(a,
                 link=machine.ether('ff:ff:ff:ff:ff:ff'))),
                 from_vtep(machine.arp(a.ip)), from_vtep(machine.udp(a), vni=77), a.udp6(machine)],
                nb=['lsp-add s1 vt -- lsp-set-type vt vtep -- lsp-set-addresses vt unknown '
                    '-- lsp-set-options vt vtep-physical-switch=tor vtep-logical-switch=vls',
                    'sb set chassis hv2 vtep_logical_switches=vls'],
                chassis=[{'name': 'hv1', 'encap_ip': '192.168.0.1', 'encap_type': 'geneve,vxlan'}],
                remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                'encap': 'vxlan',
                         'ports': ['vt']}])
