# SPDX-License-Identifier: Apache-2.0
"""Words of cases about VXLAN: what other chassis and VTEP gateways send."""
from traffic import IP, UDP, Ether, IPv6, Raw

VTEP = {'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'encap': 'vxlan'}
HERE = [{'name': 'hv1', 'encap_ip': '192.168.0.1', 'encap_type': 'geneve,vxlan'}]


def header(vni, flags=8, reserved=0):
    return bytes([flags, 0, 0, 0]) + vni.to_bytes(3, 'big') + bytes([reserved])


def from_wire(step, vni, source='192.168.0.2', mac='02:bb:00:00:00:02', checksum=0, **bits):
    """The frame of a step, as a VXLAN packet to hv1."""
    if ':' in source:
        ip = IPv6(src=source, dst='fd50::1')
        udp = UDP(sport=50000, dport=4789)
    else:
        ip = IP(src=source, dst='192.168.0.1', id=0, flags='DF')
        udp = UDP(sport=50000, dport=4789, chksum=checksum)
    frame = Ether(src=mac, dst='02:aa:00:00:00:01') / ip / udp / Raw(
        header(vni, **bits) + bytes.fromhex(step[1]))
    return ['wire', bytes(frame).hex()]


def vni_of(outport, datapath=1):
    """How OVN splits the 24 bits between chassis."""
    return (0x800 | outport & 0x7ff if outport & 0x8000 else outport) << 12 | datapath
