#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Words of newer OVN that no network of tests/data/modern uses, by their documented meaning.

documented.py [--sluiced PATH]

The flows are written by hand in a Southbound database that says it is of OVN 26.03 (flows.py); what
has to come out follows from ovn-sb(5) and is written next to each packet. What a flow found is
shown by the TTL that it gives the packet.
"""
import argparse
import sys

from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from hypervisor import Sluice
from topologies import routed

net = routed([1], [2])
a, b = net.hosts[1], net.hosts[2]
FIRST = 2000    # destination port of the first experiment; each has its own


def flow(datapath, pipeline, table, priority, match, actions):
    return [datapath, pipeline, table, priority, match, actions]


def with_ttl(step, ttl):
    """The same frame as it comes out with another TTL."""
    packet = Ether(bytes.fromhex(step[1]))
    packet[IP].ttl = ttl
    del packet[IP].chksum
    return bytes(packet).hex()


def found(ttl):
    return 'ip.ttl = %d; next;' % ttl


# Transport: s1 and s2 pass packets between their host and the router, r between s1 and s2.
FLOWS = [
    flow('s1', 'ingress', 0, 1, 'inport == "lp1"', 'outport = "s1-r"; output;'),
    flow('s1', 'ingress', 0, 1, 'inport == "s1-r"', 'outport = "lp1"; output;'),
    flow('s2', 'ingress', 0, 1, 'inport == "lp2"', 'outport = "s2-r"; output;'),
    flow('s2', 'ingress', 0, 1, 'inport == "s2-r"', 'outport = "lp2"; output;'),
    flow('r', 'ingress', 9, 1, 'inport == "r-s1"', 'outport = "r-s2"; output;'),
    flow('r', 'ingress', 9, 1, 'inport == "r-s2"', 'outport = "r-s1"; output;'),
    *[flow(d, 'egress', 0, 0, '1', 'output;') for d in ('s1', 's2', 'r')],
    *[flow('r', 'ingress', table, 0, '1', 'next;') for table in range(9)]]
PACKETS = []    # (step, what has to come out)


def experiment(_name, *flows, answer=None, first=None):
    """Flows of the router for packets of one port: (table, match, actions); `first` and `answer` are
    the TTLs that a's packet and b's answer get, if they do."""
    port = FIRST + sum(step[0] == 'v1' for step, _ in PACKETS)
    for table, match, actions in flows:
        FLOWS.append(flow('r', 'ingress', table, 100, '(udp.dst == %d || udp.src == %d) && %s'
                          % (port, port, match), actions))
    there, back = a.udp(b, dport=port), b.udp(a, sport=port, dport=1000)
    PACKETS.append((there, {'v2': [with_ttl(there, first or 64)]}))
    if answer is not None:
        PACKETS.append((back, {'v1': [with_ttl(back, answer)]}))


FORTH, BACK = 'inport == "r-s1"', 'inport == "r-s2"'

# A bit or a field that is written is read back, by its own name and not by its neighbour's.
for name, other in (('flags.from_ctrl', 'flags.unsnat_new'), ('flags.localnet', 'flags.icmp_snat'),
                    ('flags.icmp_snat', 'flags.localnet'),
                    ('flags.igmp_loopback', 'flags.unsnat_not_tracked'),
                    ('flags.unsnat_new', 'flags.from_ctrl'),
                    ('flags.unsnat_not_tracked', 'flags.igmp_loopback')):
    experiment(name, (0, '1', name + ' = 1; next;'), (1, '%s && !%s' % (name, other), found(7)),
               first=7)
experiment('remote_outport', (0, '1', 'remote_outport = "r-s2"; outport = "r-s1"; next;'),
           (1, 'remote_outport == "r-s2" && outport == "r-s1"', found(8)), first=8)
experiment('__inport', (0, '__inport == $KEY_R_S1 && __inport != $KEY_R_S2', found(9)), first=9)
experiment('__outport', (0, '1', '__outport = $KEY_R_S2; next;'),
           (1, 'outport == "r-s2"', found(10)), first=10)
experiment('to_evpn_vtep', (0, '1', '__outport = 0x80000005; next;'),
           (1, 'to_evpn_vtep && !from_evpn_vtep', found(11)), first=11)
experiment('not to_evpn_vtep', (0, '1', '__outport = 0x7fffffff; next;'),
           (1, 'to_evpn_vtep', found(12)), first=64)

# Connections of a router: the zone is named, and the two zones know nothing of each other. The commit
# goes on in the next table by itself.
for zone, other in (('dnat', 'snat'), ('snat', 'dnat')):
    experiment('ct_commit_to_zone(%s)' % zone, (0, '1', 'ct_next(%s);' % zone),
               (1, 'ct.new', 'ct_commit_to_zone(%s);' % zone),
               (1, 'ct.est && ct.rpl', found(20)), answer=20)
    experiment('the other zone of ' + zone, (0, FORTH, 'ct_next(%s);' % zone),
               (0, BACK, 'ct_next(%s);' % other),
               (1, 'ct.new && ' + FORTH, 'ct_commit_to_zone(%s);' % zone),
               (1, 'ct.est', found(21)), (1, 'ct.new && ' + BACK, found(22)), answer=22)
# ct_state_save: the low bits of ct_state (new 0, est 1, rel 2, rpl 3, inv 4, trk 5), before and
# after the packet has been looked up.
experiment('ct_state_save', (0, '1', 'reg1[0..7] = ct_state_save(); next;'),
           (1, 'reg1[0..7] == 0', 'ct_next(dnat);'),
           (2, '1', 'reg1[0..7] = ct_state_save(); next;'),
           (3, 'reg1[0..7] == 0x21', 'ip.ttl = 30; ct_commit_to_zone(dnat);'),
           (3, 'reg1[0..7] == 0x2a', found(31)), first=30, answer=31)
experiment('ct_label.tun_if', (0, '1', 'ct_next(dnat);'),
           (1, 'ct.new', 'ct_commit { ct_label.tun_if = 1; ct_label.tun_if_id = 0x1234; }; next;'),
           (1, 'ct_label.tun_if && ct_label.tun_if_id == 0x1234 && ct_label[80..95] == 0x1234 && '
               'ct_label[8] == 1', found(40)), answer=40)


class Documented(Sluice):
    """Learns the keys of the router's ports before the flows are written."""

    def sync(self, wait='hv'):
        super().sync(wait)
        for port in ('r-s1', 'r-s2'):
            key = self.sbctl('--bare', '--columns=tunnel_key', 'find', 'Port_Binding',
                             'logical_port=' + port).strip()
            for words in self.spec['flows']:
                name = '$KEY_' + port.upper().replace('-', '_')
                words[4:] = [text.replace(name, key) for text in words[4:]]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sluiced')
    args = parser.parse_args()
    spec = net.spec([step for step, _ in PACKETS], flows=FLOWS,
                    sb=['set SB_Global . options:northd_internal_version=26.03.0-20.41.0-80.0'])
    played = Documented(spec, sluiced=args.sluiced).go()
    failed = 0
    for (step, expected), done in zip(PACKETS, played['steps']):
        if done['out'] != expected:
            failed += 1
            print('%s %s\n   documented %s\n   sluice     %s' % (*step, expected, done['out']))
    print('%d passed, %d failed' % (len(PACKETS) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
