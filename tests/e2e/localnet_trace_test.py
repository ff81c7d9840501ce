#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Networks without encapsulation, as ovn-architecture(7) tells their packets' way: two VMs on two
chassis in a switch with a localnet port. Nothing is tunnelled; the sender's chassis runs ingress and
egress to the localnet port, the receiver's runs ingress again, from the localnet port, and egress to
the VM. sluice-trace says so, and what it says is what goes over the wire."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
from checks import run  # noqa: E402
from hypervisor import Sluice  # noqa: E402
from ovnlab.tools import find_program  # noqa: E402
from traffic import Host, mac, switch_port  # noqa: E402
from vlans import localnet, mapped  # noqa: E402

a, b = Host('v1', 1, '10.0.0.1'), Host('w2', 2, '10.0.0.2')
SPEC = {
    'chassis': [mapped('hv1', 1), mapped('hv2', 2)],
    'nb': ['ls-add net'] + localnet('net', 'ln', 'phys', 42)
    + switch_port('net', 'lp1', '%s 10.0.0.1' % mac(1))
    + switch_port('net', 'lp2', '%s 10.0.0.2' % mac(2))
    + ['acl-add net from-lport 100 "inport==\\"ln\\" && ip4 && udp.dst==666" drop'],
    'interfaces': [{'name': 'v1', 'iface_id': 'lp1', 'chassis': 'hv1'},
                   {'name': 'w2', 'iface_id': 'lp2', 'chassis': 'hv2'}],
    'packets': [],
}


def trace(lab, chassis, inport, frame):
    return lab.run('central', find_program('sluice-trace'), '--sb',
                   'unix:%s/central/db.sock' % lab.folder, '--chassis', chassis, '--inport', inport,
                   '--port', 'wire=dummy,physnet=phys', '--hex', frame)


def pipelines(text):
    """The pipelines that a packet went through, in order: where it entered, where it was put out."""
    found = re.findall(r'^ *(?:(ingress)\((.*)\)|(output) to "(.*)", here)$', text, re.M)
    return [(side or out, words or port) for side, words, out, port in found]


def stages(text):
    return set(re.findall(r'\b(ls_(?:in|out)_\w+)', text))


def frames(text):
    """What left, by port."""
    found = {}
    for port, dump in re.findall(r'frame out of (\S+), \d+ bytes:\n((?: +[0-9a-f]{4}  .*\n?)+)', text):
        found[port] = ''.join(''.join(line.split()[1:]) for line in dump.splitlines())
    return found


def counters(lab, chassis, name):
    text = lab.control(chassis, 'counter/show', '--all')
    return [int(line.split()[1].replace(',', '')) for line in text.splitlines()
            if line.split()[:1] == [name]]


def test(checks):
    with Sluice(SPEC) as lab:
        lab.start()
        packet = a.udp(b)[1]
        sent = trace(lab, 'hv1', 'lp1', packet)
        checks.equal('the sender: ingress from the VM, egress to the localnet port', pipelines(sent), [
            ('ingress', 'dp="net", inport="lp1"'), ('output', 'ln')])
        checks.check('no tunnel', 'tunnel' not in sent, sent)
        checks.check('stages of both', {'ls_in_l2_lkup', 'ls_out_apply_port_sec'} <= stages(sent),
                     sorted(stages(sent)))
        wire = frames(sent).get('wire', '')
        checks.equal('on the wire: the frame with the tag and nothing else', wire,
                     packet[:24] + '8100002a' + packet[24:])

        got = trace(lab, 'hv2', 'wire', wire)
        checks.equal('the receiver: ingress again, from the localnet port, then egress to the VM',
                     pipelines(got), [('ingress', 'dp="net", inport="ln"'), ('output', 'lp2')])
        checks.check('no tunnel there either', 'tunnel' not in got, got)
        checks.check('stages of both ran there, too',
                     {'ls_in_l2_lkup', 'ls_out_apply_port_sec'} <= stages(got), sorted(stages(got)))
        checks.equal('the VM gets the frame as it was sent', list(frames(got).values()), [packet])

        # An ACL on the localnet port bites where the packet comes in, not where it leaves.
        refused = a.udp(b, dport=666)[1]
        out = trace(lab, 'hv1', 'lp1', refused)
        checks.check('a flow of the localnet port does not concern the sender', 'wire' in frames(out), out)
        at_end = trace(lab, 'hv2', 'wire', frames(out).get('wire', '00'))
        checks.check('and drops at the receiver', not frames(at_end) and 'drop' in at_end, at_end)

        # The same by the daemons.
        step = lab.inject('v1', packet)

        def without_arp(frames):    # announcements come when they come
            return [frame for frame in frames if '0806000108000604' not in frame]
        checks.equal('the VM gets it', without_arp(step['out'].get('w2', [])), [packet])
        checks.equal('one frame crossed the wire', without_arp(
            frame for _, frame in step['out'].get('wire', [])), [wire])
        for chassis in ('hv1', 'hv2'):
            checks.equal('%s used no tunnel' % chassis,
                         sum(counters(lab, chassis, 'tunnel_tx')
                             + counters(lab, chassis, 'tunnel_rx')), 0)


if __name__ == '__main__':
    run(test)
