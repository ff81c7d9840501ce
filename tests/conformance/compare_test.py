#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The judge of the differential test: what it must see, and what it must forgive."""
import struct
import unittest

from compare import checksum, compare, mask_tunnel_noise
from purpose import is_expected


def tunnelled(inner=b'payload!', ip_id=1, sport=1000, with_checksum=True, ttl=64, dport=6081):
    """A Geneve packet built by hand, from RFC 791, 768 and 8926."""
    geneve = bytes.fromhex('0240655800004d00') + bytes.fromhex('01028001000b000e') + inner
    udp = struct.pack('>HHHH', sport, dport, 8 + len(geneve), 0) + geneve
    addresses = bytes([192, 168, 0, 1, 192, 168, 0, 2])
    if with_checksum:
        value = checksum(addresses + struct.pack('>HH', 17, len(udp)) + udp)
        udp = udp[:6] + struct.pack('>H', value) + udp[8:]
    ip = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(udp), ip_id, 0x4000, ttl, 17, 0) + addresses
    ip = ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:]
    return (bytes(6) + bytes(6) + b'\x08\x00' + ip + udp).hex()


def run_of(*outs):
    return {'steps': [{'in': ['v1', '00'], 'out': out} for out in outs]}


class MaskTest(unittest.TestCase):
    def test_forgives_id_port_and_right_checksums(self):
        self.assertEqual(mask_tunnel_noise(tunnelled()), mask_tunnel_noise(
            tunnelled(ip_id=77, sport=50000)))

    def test_forgives_an_absent_udp_checksum(self):
        self.assertEqual(mask_tunnel_noise(tunnelled()),
                         mask_tunnel_noise(tunnelled(with_checksum=False)))

    def test_sees_everything_else(self):
        for other in (tunnelled(inner=b'payload?'), tunnelled(ttl=63)):
            self.assertNotEqual(mask_tunnel_noise(tunnelled()), mask_tunnel_noise(other))

    def test_sees_a_wrong_checksum(self):
        broken = bytearray.fromhex(tunnelled())
        broken[24] ^= 1         # outer IPv4 checksum
        self.assertNotEqual(mask_tunnel_noise(tunnelled()), mask_tunnel_noise(broken.hex()))
        broken = bytearray.fromhex(tunnelled())
        broken[41] ^= 1         # outer UDP checksum
        self.assertNotEqual(mask_tunnel_noise(tunnelled()), mask_tunnel_noise(broken.hex()))

    def test_leaves_other_packets_alone(self):
        for frame in (tunnelled(dport=53), 'ff' * 14, '00', ''):
            self.assertEqual(mask_tunnel_noise(frame), frame)


class CompareTest(unittest.TestCase):
    def test_equal(self):
        out = {'v2': ['aa', 'bb'], 'wire': [['hv1', tunnelled()]]}
        other = {'v2': ['aa', 'bb'], 'wire': [['hv1', tunnelled(ip_id=5)]]}
        self.assertEqual(compare(run_of(out), run_of(other)), [])

    def test_order_matters_unless_said_otherwise(self):
        a, b = run_of({'v2': ['aa', 'bb']}), run_of({'v2': ['bb', 'aa']})
        self.assertEqual(len(compare(a, b)), 1)
        self.assertEqual(compare(a, b, any_order=['v2']), [])
        self.assertEqual(compare(a, b, any_order=True), [])
        self.assertEqual(len(compare(a, b, any_order=['v3'])), 1)

    def test_missing_extra_and_misplaced_frames(self):
        a = run_of({'v2': ['aa']})
        for out in ({}, {'v2': ['aa', 'aa']}, {'v3': ['aa']}, {'v2': ['ab']}):
            self.assertNotEqual(compare(a, run_of(out)), [], out)
            self.assertNotEqual(compare(a, run_of(out), any_order=True), [], out)

    def test_number_of_steps(self):
        self.assertEqual(len(compare(run_of({}), run_of({}, {}))), 1)

    def test_ignored_frames(self):
        self.assertEqual(compare(run_of({'wire': [['hv1', 'aa']]}), run_of({}), ignore=['aa']), [])


def frame(ip_dst, mac_dst='505400000002', sport=1000):
    """A UDP packet with right checksums to one of two members."""
    udp = struct.pack('>HHHH', sport, 53, 12, 0) + b'data'
    addresses = bytes([10, 0, 0, 1]) + bytes.fromhex(ip_dst)
    value = checksum(addresses + struct.pack('>HH', 17, 12) + udp)
    udp = udp[:6] + struct.pack('>H', value) + udp[8:]
    ip = struct.pack('>BBHHHBBH', 0x45, 0, 32, 1, 0, 64, 17, 0) + addresses
    ip = ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:]
    return mac_dst + '505400000001' + '0800' + (ip + udp).hex()


CHOICE = [{'ports': ['v2', 'v3'], 'words': [['505400000002', '0a000002'], ['505400000003',
                                                                         '0a000003']]}]


class ChoiceTest(unittest.TestCase):
    second = {'v2': [frame('0a000002')]}
    third = {'v3': [frame('0a000003', '505400000003')]}

    def test_any_member_will_do(self):
        self.assertNotEqual(compare(run_of(self.second), run_of(self.third)), [])
        self.assertEqual(compare(run_of(self.second), run_of(self.third), alternatives=CHOICE), [])

    def test_a_wrong_member_or_checksum_is_seen(self):
        for out in ({'v3': [frame('0a000002')[:-8] + '00000000']}, {'v4': [frame('0a000002')]},
                    {'v3': [frame('0a000004', '505400000003')]}, {},
                    {'v3': [frame('0a000003', '505400000003', sport=1001)]}):
            self.assertNotEqual(compare(run_of(self.second), run_of(out), alternatives=CHOICE), [],
                                out)

    def test_a_choice_must_stick(self):
        left = run_of(self.second, self.second)
        self.assertEqual(compare(left, run_of(self.third, self.third), alternatives=CHOICE), [])
        self.assertNotEqual(compare(left, run_of(self.third, self.second), alternatives=CHOICE), [])


class PurposeTest(unittest.TestCase):
    """Only the outer ECN of an inner CE packet is forgiven, and only ECT(0) against CE."""

    @staticmethod
    def difference(outer, other, inner_tos):
        def frame(tos):
            inner = bytes(12) + bytes.fromhex('080045%02x' % inner_tos) + bytes(20)
            data = bytearray.fromhex(mask_tunnel_noise(tunnelled(inner)))
            data[15] = tos
            return data.hex()
        return (0, ['v1', ''], 'wire', [frame(outer)], [frame(other)])

    def test_outer_ecn(self):
        self.assertTrue(is_expected(self.difference(2, 3, 3)))
        self.assertFalse(is_expected(self.difference(2, 3, 2)))
        self.assertFalse(is_expected(self.difference(0, 3, 3)))
        self.assertFalse(is_expected(self.difference(2, 0xb3, 3)))

    def test_only_in_its_case(self):
        dropped = (0, ['v1', ''], 'v2', [], ['00' * 12 + '08004500' + '00' * 20])
        self.assertTrue(is_expected(dropped, 'match_network'))
        self.assertFalse(is_expected(dropped, 'l2_switch'))
        marked = (0, ['v1', ''], 'v2', [], ['00' * 12 + '080045b8' + '00' * 20])
        self.assertFalse(is_expected(marked, 'match_network'))


class KindTest(unittest.TestCase):
    def test_timers_are_forgiven_by_kind_only(self):
        garp = ('ffffffffffff' + '505400000001' + '0806' + '0001080006040001' + '505400000001'
            + '0a000001'
                + '000000000000' + '0a000001')
        request = garp[:-8] + '0a000002'
        self.assertEqual(compare(run_of({'wire': [['hv1', garp]]}), run_of({}),
            ignore_kinds=['garp']), [])
        self.assertNotEqual(compare(run_of({'wire': [['hv1', garp]]}), run_of({})), [])
        self.assertNotEqual(compare(run_of({'wire': [['hv1', request]]}), run_of({}),
                                    ignore_kinds=['garp']), [])


if __name__ == '__main__':
    unittest.main()
