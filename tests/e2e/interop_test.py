#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sluiced on hv1, Open vSwitch and ovn-controller on hv2: ping, large fragmented ICMP and TCP both ways
across Geneve, within a switch and through a distributed router."""
import json
import subprocess

from checks import run
from ovnlab.netlab import NetLab

# VM, hypervisor, switch, MAC, address
VMS = [('red1', 'hv1', 'red', '40:44:00:00:01:01', '10.1.0.1'),
       ('red2', 'hv2', 'red', '40:44:00:00:01:02', '10.1.0.2'),
       ('blue1', 'hv1', 'blue', '40:44:00:00:02:01', '10.2.0.1'),
       ('blue2', 'hv2', 'blue', '40:44:00:00:02:02', '10.2.0.2')]
ROUTER = {'red': ('40:44:00:00:01:fe', '10.1.0.254'), 'blue': ('40:44:00:00:02:fe', '10.2.0.254')}
TCP_BYTES = 4000000


def configure(lab):
    lab.start_central()
    lab.nbctl('lr-add', 'router')
    for switch, (mac, ip) in ROUTER.items():
        lab.nbctl('ls-add', switch, '--', 'lrp-add', 'router', 'router-' + switch, mac, ip + '/24',
                  '--', 'lsp-add', switch, switch + '-router',
                  '--', 'lsp-set-type', switch + '-router', 'router',
                  '--', 'lsp-set-addresses', switch + '-router', 'router',
                  '--', 'lsp-set-options', switch + '-router', 'router-port=router-' + switch)
    for name, _, switch, mac, ip in VMS:
        lab.nbctl('lsp-add', switch, name, '--', 'lsp-set-addresses', name, '%s %s' % (mac, ip))


def tcp(checks, client, server):
    """A transfer by iperf3. What the receiver counted ends with the test, not with the last byte."""
    listener = server.ns.popen('iperf3', '-s', '-1', '-p', '5201', stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    server.ns.lab.wait(lambda: ':5201' in server.ns.run('ss', '-ltn'), 'iperf3 server', 10)
    text = client.ns.run('iperf3', '-c', server.ip, '-p', '5201', '-n', str(TCP_BYTES), '-J',
                         check=False, timeout=120)
    try:
        listener.wait(10)
    except subprocess.TimeoutExpired:
        listener.kill()
        listener.wait()
    result = json.loads(text or '{}')
    sent, received = [result.get('end', {}).get(side, {}).get('bytes', 0)
                      for side in ('sum_sent', 'sum_received')]
    checks.check('TCP %s to %s' % (client.name, server.name),
                 sent >= TCP_BYTES and received >= TCP_BYTES / 4,
                 result.get('error') or '%d sent, %d received' % (sent, received))


def test(checks):
    with NetLab() as lab:
        configure(lab)
        hosts = {'hv1': lab.hypervisor('hv1', '192.168.50.100', 'sluice'),
                 'hv2': lab.hypervisor('hv2', '192.168.50.101', 'ovs')}
        vms = {}
        for name, host, switch, mac, ip in VMS:
            vms[name] = lab.vm(name, hosts[host], mac, ip + '/24', gateway=ROUTER[switch][1])
        lab.wait_up(vms)
        lab.sync()
        pairs = [('red1', 'red2'), ('red2', 'red1'),        # one switch
                 ('red1', 'blue2'), ('blue2', 'red1'),      # routed
                 ('blue1', 'red2'), ('red2', 'blue1')]
        for a, b in pairs:
            checks.reaches(vms[a], vms[b])
            checks.reaches(vms[a], vms[b], size=9000)
        checks.reaches(vms['red1'], vms['blue1'])           # routed within hv1
        checks.reaches(vms['red1'], '10.1.0.254')
        checks.reaches(vms['red1'], '10.2.0.254')
        for a, b in pairs[:4]:
            tcp(checks, vms[a], vms[b])
        for host in hosts.values():
            checks.check('%s still runs' % host.name, host.main.alive())


if __name__ == '__main__':
    run(test)
