#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is sent unasked: gratuitous ARP for VIFs and NAT addresses on a physical network, RARP for a port
without address, periodic router advertisements, and the MAC bindings that go with them.

Both sides run for a while; when exactly something is sent is chance, so the distinct frames of every port
are compared, and that they are sent again. Exit status 1 when they differ.
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

from topologies import PHYSICAL, public, routed

HERE = os.path.dirname(os.path.abspath(__file__))
RUN_MS = 9000


def spec():
    net = routed([1], [2])
    public(net)
    net.nb += [
        'lsp-add pub vm -- lsp-set-addresses vm "50:54:00:00:00:77 172.16.0.77 172.16.0.78"',
        'lsp-add pub bare -- lsp-set-addresses bare "50:54:00:00:00:78"',
        'lr-nat-add r dnat_and_snat 172.16.0.10 10.0.1.1', 'lr-nat-add r snat 172.16.0.11 10.0.2.0/24',
        'lr-nat-add r dnat_and_snat 172.16.0.12 10.0.2.2 lp2 00:00:00:00:aa:02',
        'lsp-set-options pub-r router-port=r-pub nat-addresses=router',
        'set logical_router_port r-s1 ipv6_ra_configs:send_periodic=true ipv6_ra_configs:address_mode=slaac '
        'ipv6_ra_configs:max_interval=4 ipv6_ra_configs:min_interval=3 ipv6_ra_configs:mtu=1400 '
        'ipv6_ra_configs:rdnss=\'"fd01::53"\' ipv6_ra_configs:dnssl=ovn.org '
        'ipv6_ra_configs:router_preference=HIGH ipv6_ra_configs:route_info=\'"LOW-fd09::/48"\'',
        'set logical_router_port r-s2 ipv6_ra_configs:send_periodic=true '
        'ipv6_ra_configs:address_mode=dhcpv6_stateful ipv6_ra_configs:max_interval=4 '
        'ipv6_ra_configs:min_interval=3']
    net.interfaces.update({'vm': 'vm', 'bare': 'bare'})
    return net.spec([{'sleep_ms': RUN_MS}, {'rows': ['MAC_Binding', 'logical_port', 'ip', 'mac']}],
                    chassis=PHYSICAL['chassis'])


def play(program, words, folder):
    out = '%s/%s.json' % (folder, program)
    done = subprocess.run([sys.executable, '%s/%s' % (HERE, program), *words, '-o', out],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit('%s failed:\n%s' % (program, done.stdout))
    with open(out) as file:
        result = json.load(file)
    seen = {}
    for ports in [result['startup']] + [step['out'] for step in result['steps']]:
        for port, frames in ports.items():
            for frame in frames:
                key = (port, frame if isinstance(frame, str) else frame[1])
                seen[key] = seen.get(key, 0) + 1
    return seen


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = folder + '/spec.json'
        with open(path, 'w') as file:
            json.dump(spec(), file)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            sides = [pool.submit(play, 'ref_hv.py', ['run', path], folder),
                     pool.submit(play, 'sluice_hv', [path], folder)]
            reference, sluice = [side.result() for side in sides]
    failed = False
    for key in sorted(set(reference) | set(sluice)):
        again = sluice.get(key, 0) > 1 or key[0].startswith('sb:')
        good = key in reference and key in sluice and again
        failed |= not good
        print('%s %-6s reference %d sluice %d  %s' % ('ok  ' if good else 'FAIL', key[0], reference.get(key, 0),
                                                     sluice.get(key, 0), key[1][:100]))
    kinds = {frame[24:28] for _, frame in reference}
    if not {'0806', '8035', '86dd'} <= kinds:
        failed = True
        print('FAIL the reference did not send ARP, RARP and router advertisements: %s' % kinds)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
