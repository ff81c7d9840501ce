#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The verdicts on generated scenarios: what is forgiven, what is not, and how a failure is shrunk."""
import unittest

from choices import Recorder, Steering, flow_of, is_icmp, packed, translated
from compare import compare
from detours import is_detoured
from fleet import Fleet, SideFailed
from reopened import is_reopened
from repeated import is_repeated
from shrink import shrink
from traffic import Host

A, B = Host('v1', 1, '10.0.0.1', 'fd01::1'), Host('v2', 2, '10.0.0.2', 'fd01::2')


class Staged(Fleet):
    """Two sides that are functions: packets of the scenario -> {'out', 'excuses', 'chosen'} each."""

    def __init__(self, reference, sluice, runs=3):
        super().__init__('/nonexistent', reference, sluice, runs)
        self.played = 0     # runs of the reference

    def play(self, command, side, spec, name, like=None):
        if side == 'reference':
            self.played += 1
            steps = command(spec['packets'], self.played, like)
        else:
            steps = command(spec['packets'])
        return {'steps': [dict({'in': ['v1', packet], 'out': {}}, **step)
                          for packet, step in zip(spec['packets'], steps)],
                'died': len(steps) < len(spec['packets']), 'members': [['0a000002', 80]]}


def forwards(packets):
    return [{'out': {'v2': [packet]}} for packet in packets]


SPEC = {'nb': ['a', 'b', 'c'], 'packets': ['00', '11', '22', '33']}


def judge(reference, sluice=forwards, spec=SPEC):
    return Staged(reference, sluice).judge(spec, 'x')


class VerdictTest(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(judge(lambda packets, *_: forwards(packets)).kind(), 'equal')

    def test_a_packet_that_the_reference_loses_once(self):
        def loses(packets, run, _):
            return forwards(packets) if run > 1 else [{}] + forwards(packets)[1:]
        self.assertEqual(judge(loses).kind(), 'equal in a later run')

    def test_a_packet_that_sluice_loses(self):
        def loses(packets):
            return forwards(packets)[:2] + [{}] + forwards(packets)[3:]
        verdict = judge(lambda packets, *_: forwards(packets), loses)
        self.assertEqual(verdict.kind(), 'UNEXPLAINED')
        self.assertEqual([d[0] for d in verdict.unexplained], [2])

    @staticmethod
    def gives_up(packets, *_):
        return [{'excuses': ['recirculation limit']} if packet == '11' else step
                for packet, step in zip(packets, forwards(packets))]

    def test_a_packet_that_the_reference_gives_up(self):
        verdict = judge(self.gives_up)
        self.assertEqual(verdict.kind(), 'explained')
        self.assertEqual(verdict.explained, {'reference: recirculation limit': 1})

    def test_an_excuse_covers_its_own_packet_only(self):
        def damages(packets):
            return [{'out': {'v2': ['ff']}} if packet == '33' else step
                    for packet, step in zip(packets, forwards(packets))]
        verdict = judge(self.gives_up, damages)
        self.assertEqual(verdict.kind(), 'UNEXPLAINED')
        self.assertEqual(verdict.unexplained[0][4], ['ff'])

    def test_a_reference_that_dies_of_a_packet(self):
        def dies(packets, *_):
            at = packets.index('22') if '22' in packets else len(packets)
            return forwards(packets[:at]) + [{'excuses': ['it aborts']}] * (at < len(packets))
        self.assertEqual(judge(dies).explained, {'reference: it aborts': 1})

    def test_a_side_that_cannot_play(self):
        def fails(*_):
            raise SideFailed('sluice: no')
        self.assertEqual(judge(lambda packets, *_: forwards(packets), fails).failure, 'sluice: no')

    def test_a_choice_without_a_trace(self):
        def chooses(packets, _, like):
            return [{} if step.get('chosen') == [['0a000002', 80]] or number else {
                'out': {'v9': ['99']}} for number, step in enumerate(like['steps'])]
        self.assertEqual(judge(chooses, lambda packets: [{} for _ in packets]).kind(),
                         'equal as sets')

    def test_shrinking(self):
        def needs_two(packets):
            bad = '11' in packets and '33' in packets
            return [{} if bad and packet == '33' else step
                    for packet, step in zip(packets, forwards(packets))]
        fleet = Staged(lambda packets, *_: forwards(packets), needs_two)
        small = shrink(SPEC, fleet, 'x')
        self.assertEqual(small['packets'], ['11', '33'])
        self.assertEqual(len(small['nb']), 1)
        self.assertIsNone(shrink(dict(SPEC, packets=['00']), fleet, 'x'))


class DetourTest(unittest.TestCase):
    """B answers what A sent by a route of two next hops with an error, or the other way round."""

    def setUp(self):
        self.sent = A.udp(B)[1]
        answer = B.udp(A, 2000, 1000)[1]
        self.assertEqual(self.sent[68:76], answer[72:76] + answer[68:72])
        # A sends the error, about B's answer.
        self.error = self.sent[:46] + '01' + self.sent[48:68] + '0301ffff00000000' + answer[28:]

    def side(self, conversation, error):
        return [{'in': ['v1', self.sent], 'out': {conversation: [self.sent]}},
                {'in': ['v1', self.error], 'out': {error: [self.error]} if error else {}}]

    def judge(self, reference, own):
        choices = [{'ports': ['v8', 'v9']}]
        frames = [list(side[1]['out'].values()) for side in (reference, own)]
        return is_detoured((reference, own), 1, *[f[0] if f else [] for f in frames], choices)

    def test_who_loses_it(self):
        self.assertTrue(self.judge(self.side('v8', 'v8'), self.side('v8', None)))
        self.assertTrue(self.judge(self.side('v8', None), self.side('v9', 'v9')))

    def test_what_is_no_excuse(self):
        self.assertFalse(self.judge(self.side('v8', 'v9'), self.side('v8', None)))   # not lost there
        self.assertFalse(self.judge(self.side('v8', 'v8'), self.side('v7', None)))   # no conversation
        self.assertFalse(self.judge(self.side('v7', 'v7'), self.side('v8', None)))   # no such route
        self.assertFalse(self.judge(self.side('v8', 'v8'), self.side('v8', 'v9')))   # two answers
        self.error = self.sent
        self.assertFalse(self.judge(self.side('v8', 'v8'), self.side('v8', None)))   # no error


DUMP = ('udp,orig=(src=10.0.0.1,dst=30.0.0.1,sport=1000,dport=80),'
        'reply=(src=10.0.0.2,dst=10.0.0.1,sport=8080,dport=1000),zone=8,mark=2\n'
        'udp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1000,dport=2000),'
        'reply=(src=10.0.0.2,dst=10.0.0.1,sport=2000,dport=1000),zone=8\n'
        'tcp,orig=(src=fd01::1,dst=fd30::1,sport=1,dport=80),'
        'reply=(src=fd01::2,dst=fd01::1,sport=8080,dport=1),zone=8,protoinfo=(state=SYN_SENT)\n')


class ChoiceTest(unittest.TestCase):
    def test_reading_connections(self):
        self.assertEqual(translated(DUMP), {
            ('udp', packed('10.0.0.1'), packed('30.0.0.1'), '03e80050'): {('0a000002', 8080)},
            ('tcp', packed('fd01::1'), packed('fd30::1'), '00010050'): {(packed('fd01::2'), 8080)}})

    def test_new_and_reopened_connections(self):
        recorder = Recorder(lambda: DUMP)
        virtual = Host('', 0, '30.0.0.1')
        other = A.udp(B)[1]
        self.assertEqual(len(recorder.after(other)), 2)     # both are new
        self.assertEqual(recorder.after(other), [])
        self.assertEqual(recorder.after(A.udp(virtual, 1000, 80)[1]), [['0a000002', 8080]])
        self.assertEqual(recorder.after(A.tcp(virtual, 1000, 80)[1]), [])

    def test_flows_of_frames(self):
        self.assertEqual(flow_of(A.tcp6(B, 5, 6)[1]),
                         ('tcp', packed('fd01::1'), packed('fd01::2'), '00050006'))
        self.assertIsNone(flow_of(A.arp('10.0.0.2')[1]))
        self.assertIsNone(flow_of('00'))
        self.assertTrue(is_icmp(A.ping(B)[1]))
        self.assertFalse(is_icmp(A.udp(B)[1]))

    def test_cutting_groups_down(self):
        head = 'group_id=%d,type=select,selection_method=dp_hash'
        bucket = ('bucket_id:%d,weight:100,actions=ct(commit,table=21,nat(dst=%s),'
                  'exec(set_field:0x2/0x2->ct_mark))')
        both = [bucket % (0, '10.0.0.2:8080'), bucket % (1, '10.0.0.3:8080')]
        listed = '\n'.join(['OFPST_GROUP_DESC reply:', ' ' + ',bucket='.join([head % 1, *both]),
                            ' ' + ',bucket='.join([head % 2, both[0]]),
                            ' ' + ',bucket='.join([head % 3, bucket % (0, '[fd01::2]:8080'),
                                                   bucket % (1, '[fd01::3]:8080')])])
        sent, purged = [], []
        steering = Steering('/none', {}, lambda: purged.append(1))
        steering.ofctl = lambda *words: listed if words[0] == 'dump-groups' else sent.append(words)
        steering.read()
        self.assertFalse(steering.before([['0a000009', 8080]]))     # nobody's member
        self.assertTrue(steering.before([['0a000003', 8080]]))
        self.assertEqual(sent, [('mod-group', ',bucket='.join([head % 1, both[1]]))])
        self.assertFalse(steering.before([['0a000003', 8080]]))     # is so already
        self.assertTrue(steering.before([[packed('fd01::2'), 8080], ['0a000002', 8080]]))
        self.assertEqual((len(sent), len(purged)), (3, 2))
        self.assertEqual(len(steering.members()), 4)


class ReopenedTest(unittest.TestCase):
    def test_only_the_port_of_a_closed_connection(self):
        vip = Host('', 0, '30.0.0.1')
        syn, fin = A.segment(vip, 'S', 1, 0), A.segment(vip, 'FA', 2, 7)
        steps = [{'in': step} for step in (syn, fin, syn)]

        def seen(to='10.0.0.2', sport=1000, flags='S'):
            return [A.segment(Host('', 0, to), flags, 1, 0, sport=sport)[1]]
        self.assertTrue(is_reopened(steps, 2, seen(sport=1005), seen()))
        self.assertFalse(is_reopened(steps, 0, seen(sport=1005), seen()))   # nothing was closed
        self.assertFalse(is_reopened(steps, 2, seen(), seen(sport=1005)))   # not its own port
        self.assertFalse(is_reopened(steps, 2, seen('10.0.0.3', 1005), seen()))
        self.assertTrue(is_reopened(steps, 2, [], seen()))                  # lost by an ACL
        self.assertFalse(is_reopened(steps, 0, [], seen()))
        self.assertFalse(is_reopened([steps[0], steps[1], steps[1]], 2, seen(sport=1005), seen()))


class RepeatedTest(unittest.TestCase):
    def test_a_fragment_three_times(self):
        later = A.udp(B, frag=3)[1]
        whole = A.udp(B)[1]

        def judge(frame, times, left=('00',), right=()):
            steps = [{'in': ['v1', frame], 'out': {}} for _ in range(times)]
            return is_repeated(steps, times - 1, list(left), list(right))
        self.assertTrue(judge(later, 3))
        self.assertFalse(judge(later, 2))
        self.assertFalse(judge(whole, 3))
        self.assertFalse(judge(later, 3, left=()))
        self.assertFalse(judge(later, 3, right=['00']))


class RowsTest(unittest.TestCase):
    def test_rows_in_any_order_of_their_uuids(self):
        def run(*lines):
            return {'steps': [{'in': {'rows': []}, 'out': {'sb:T': sorted(lines)}}]}
        one, two = ('%08d-0000-0000-0000-000000000000' % n for n in (1, 2))
        left, right = run(one + ',a', two + ',b'), run(two + ',a', one + ',b')
        self.assertEqual(compare(left, right), [])
        self.assertNotEqual(compare(left, run(two + ',a', one + ',c')), [])


if __name__ == '__main__':
    unittest.main()
