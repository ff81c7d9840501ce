# SPDX-License-Identifier: Apache-2.0
"""Broken Geneve from the wire: lengths, flags, options and checksums that a receiver must not
accept, each followed by the proof that good packets still arrive.

Left out, because sluice follows RFC 8926 where Open vSwitch 3.1 does not: the O flag (control
packets are not tenant traffic) and options of other classes without the critical bit (to be
skipped).
"""
from traffic import IP, UDP, Ether, Host, Raw, mac, switch_port

a = Host('v1', 1, '10.0.0.1')
d = Host('wire', 4, '10.0.0.4')
VNI, A, D = 77, 11, 14
OPTION = bytes.fromhex('01028001') + (D << 16 | A).to_bytes(4, 'big')
INNER = bytes.fromhex(d.udp(a)[1])


def wire(geneve, inner=INNER, checksum=0, **ip):
    header = {'src': '192.168.0.2', 'dst': '192.168.0.1', 'ttl': 64, 'flags': 'DF', 'id': 0, **ip}
    return ['wire', bytes(Ether(src='02:bb:00:00:00:02', dst='02:aa:00:00:00:01') / IP(**header)
                          / UDP(sport=40000, dport=6081, chksum=checksum)
                          / Raw(geneve + inner)).hex()]


def header(options=OPTION, version=0, flags=0x40, protocol=0x6558, vni=VNI, length=None):
    words = len(options) // 4 if length is None else length
    return (bytes([version << 6 | words, flags]) + protocol.to_bytes(2, 'big')
            + vni.to_bytes(3, 'big') + b'\0' + options)


def cut(step, size):
    return [step[0], step[1][:size * 2]]


GOOD = wire(header())

SPEC = {
    'nb': ['ls-add s -- set logical_switch s other_config:requested-tnl-key=%d' % VNI]
    + switch_port('s', 'lp1', '%s 10.0.0.1' % mac(1))
    + switch_port('s', 'lp4', '%s 10.0.0.4' % mac(4))
    + ['lsp-set-options lp1 requested-tnl-key=%d' % A,
       'lsp-set-options lp4 requested-tnl-key=%d' % D],
    'interfaces': {'v1': 'lp1'},
    'remote': [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['lp4']}],
    'packets': [
        GOOD, wire(header(), checksum=None), GOOD,
        wire(header(version=1)), GOOD,
        wire(header(length=40)), GOOD,                              # options past the end
        wire(header(length=1)), GOOD,                               # header ends within an option
        wire(header(options=OPTION[:3] + b'\x05' + OPTION[4:])), GOOD,  # option past the options
        wire(header(options=b'', flags=0)), GOOD,                   # no OVN option at all
        wire(header(flags=0)), GOOD,                                # critical option, flag clear
        wire(header(protocol=0x0800), inner=INNER[14:]), GOOD,
        wire(header(protocol=0x1234)), GOOD,
        wire(header(vni=0)), wire(header(vni=0xffffff)), GOOD,
        wire(header(), inner=b''), wire(header(), inner=INNER[:10]),
        wire(header(), inner=INNER[:14]),
        GOOD, cut(GOOD, 60), cut(GOOD, 46), GOOD,
        wire(header(), ttl=1), wire(header(), tos=3), wire(header(), flags=0), GOOD,
    ],
}
