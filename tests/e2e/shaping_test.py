#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rates of logical ports on the way out of the node: qos_max_rate and qos_burst hold back what is too
much, in order, and nothing else. Counts packets, not time: at the rate that is set here, what waits
would take minutes. No network: in-memory ports."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

from checks import run  # noqa: E402
from hypervisor import Sluice  # noqa: E402

COUNT, SIZE = 100, 1000
OUTSIDE = '00:00:00:00:00:99'
SPEC = {
    'chassis': [{'name': 'hv1', 'encap_ip': '192.168.0.1', 'bridge_mappings': 'phys:br-phys'}],
    'interfaces': {'v1': 'lp1', 'v2': 'lp2'}, 'packets': [],
    'nb': ['ls-add s', 'lsp-add s ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown '
           '-- lsp-set-options ln network_name=phys',
           'lsp-add s lp1 -- lsp-set-addresses lp1 "00:00:00:00:00:01 10.0.0.1"',
           'lsp-add s lp2 -- lsp-set-addresses lp2 "00:00:00:00:00:02 10.0.0.2"'],
}


def burst(lab, number, first=0):
    """Sends COUNT packets from a port to the outside, as fast as it goes; which came out."""
    lab.hub.take()
    for sport in range(first, first + COUNT):
        packet = (Ether(src='00:00:00:00:00:%02x' % number, dst=OUTSIDE)
                  / IP(src='10.0.0.%d' % number, dst='10.0.0.99') / UDP(sport=sport, dport=9)
                  / Raw(bytes(SIZE - 42)))
        lab.control('hv1', 'netdev-dummy/receive', 'v%d' % number, bytes(packet).hex())
    out = lab.wait_quiet(200)
    frames = [Ether(bytes.fromhex(frame)) for _, frame in out.get('wire', [])]
    return [f[UDP].sport for f in frames if UDP in f and f[IP].src == '10.0.0.%d' % number]


def test(checks):
    lab = Sluice(SPEC)
    with lab:
        lab.start()
        everything = list(range(COUNT))
        checks.equal('without a rate all goes out', burst(lab, 1), everything)
        # 8 kbit are one packet; at 8 kbit/s there is one more each second.
        lab.nbctl('--wait=hv', 'set', 'Logical_Switch_Port', 'lp1', 'options:qos_max_rate=8000',
                  'options:qos_burst=40000')
        checks.equal('a rate takes nothing on an interface that is not the way out',
                     burst(lab, 1), everything)
        lab.vsctl('hv1', 'set', 'Interface', 'uplink', 'external_ids:ovn-egress-iface=true')
        lab.control('hv1', 'sync')

        def is_shaped():
            return len(burst(lab, 1, 1000)) < COUNT / 2
        checks.within('on the way out the rate holds', is_shaped, 60)
        checks.equal('other ports have no part in it', burst(lab, 2), everything)
        lab.nbctl('--wait=hv', 'remove', 'Logical_Switch_Port', 'lp1', 'options', 'qos_max_rate',
                  'qos_burst')

        def is_free():
            return burst(lab, 1, 2000) == list(range(2000, 2000 + COUNT))
        checks.within('without the rate all goes out again', is_free, 60)


if __name__ == '__main__':
    run(test)
