#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A broadcast into a switch with 300 routers, and 500 networks behind one physical port, as northd
compiles them: everybody gets a copy, nothing is dropped for being one too many."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
from checks import run  # noqa: E402
from hypervisor import Sluice  # noqa: E402
from traffic import BROADCAST, Host, mac  # noqa: E402

ROUTERS, NETWORKS = 300, 500
LIMITS = ('too_many_reentries', 'walk_too_deep', 'mbuf_exhausted', 'no_mbuf', 'tx_full')


def in_chunks(lines, size=60):
    return [' -- '.join(lines[i:i + size]) for i in range(0, len(lines), size)]


class Big(Sluice):
    """Waiting for northd after every line would take minutes."""

    def line(self, text):
        words = text.split()
        if words and words[0] == 'sync':
            return super().line(text)
        import shlex
        return self.nbctl(*shlex.split(text))


def drops(lab):
    found = {}
    for line in lab.control('hv1', 'drop/show', '--all').splitlines():
        words = line.split()
        if len(words) > 1 and words[1].replace(',', '').isdigit():
            found[words[0]] = int(words[1].replace(',', ''))
    return found


def routers(checks):
    lines = ['ls-add s', 'lsp-add s lp1', 'lsp-set-addresses lp1 "%s 10.0.0.1"' % mac(1)]
    for n in range(ROUTERS):
        ip = '10.%d.%d.254' % (n // 200, n % 200)
        lines += ['lr-add r%d' % n, 'set logical_router r%d options:dynamic_neigh_routers=true' % n,
                  'lrp-add r%d p%d 00:00:00:01:%02x:%02x %s/8' % (n, n, n >> 8, n & 255, ip),
                  'lsp-add s s%d' % n, 'lsp-set-type s%d router' % n, 'lsp-set-addresses s%d router' % n,
                  'lsp-set-options s%d router-port=p%d' % (n, n)]
    spec = {'nb': in_chunks(lines), 'interfaces': {'v1': 'lp1'}, 'packets': []}
    with Big(spec) as lab:
        lab.start()
        # Every router learns who announces himself: one MAC_Binding each.
        lab.control('hv1', 'netdev-dummy/receive', 'v1', Host('v1', 1, '10.0.0.1').arp('10.0.0.1')[1])
        checks.within('each of %d routers has learnt from one broadcast' % ROUTERS, lambda: len(
            lab.sbctl('--bare', '--columns=logical_port', 'find', 'MAC_Binding',
                      'ip=10.0.0.1').split()) == ROUTERS, 60)
        found = drops(lab)
        checks.equal('nothing was dropped for a limit', {k: found.get(k, 0) for k in LIMITS
                                                         if found.get(k, 0)}, {})


def networks(checks):
    lines, interfaces = [], {}
    for n in range(NETWORKS):
        lines += ['ls-add n%d' % n, 'lsp-add n%d l%d' % (n, n), 'lsp-set-type l%d localnet' % n,
                  'lsp-set-addresses l%d unknown' % n, 'lsp-set-options l%d network_name=phys' % n]
    # Interfaces cost a device each: every tenth network has a VM, the others are there all the same.
    for n in range(0, NETWORKS, 10):
        lines += ['lsp-add n%d lp%d' % (n, n), 'lsp-set-addresses lp%d "50:54:00:00:%02x:%02x"' % (
            n, n >> 8, n & 255)]
        interfaces['v%d' % n] = 'lp%d' % n
    spec = {'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1', 'bridge_mappings': 'phys:br-phys'}],
            'nb': in_chunks(lines), 'interfaces': interfaces, 'packets': []}
    with Big(spec) as lab:
        lab.start()
        out = Host('wire', 0x90, '10.0.0.90')
        frame = out.udp(Host('wire', 1, '10.0.0.255'), link=out.ether(BROADCAST))[1]
        step = lab.inject('wire', frame, {'wait_ms': 500})
        # VMs announce themselves meanwhile, which all networks hear, too.
        got = {port for port, seen in step['out'].items() if port != 'wire' and seen.count(frame) == 1}
        checks.equal('every VM got the broadcast once', got, set(interfaces))
        found = drops(lab)
        checks.equal('nothing was dropped for a limit', {k: found.get(k, 0) for k in LIMITS
                                                         if found.get(k, 0)}, {})


def test(checks):
    routers(checks)
    networks(checks)


if __name__ == '__main__':
    run(test)
