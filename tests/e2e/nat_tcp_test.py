#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""TCP through SNAT and a load balancer against the stack of Linux: 1000 connections over wires that lose
1 % of all frames, double some and deliver some late. Every transfer completes with the right bytes, and
no connection stays in the table once its time is over."""
import os
import re
import shlex
import subprocess
import sys

from checks import run
from ovnlab.netlab import VM_MTU, NetLab, Vm

HERE = os.path.dirname(os.path.abspath(__file__))
TRANSFERS, BAD_WIRE = os.path.join(HERE, 'transfers.py'), os.path.join(HERE, 'bad_wire.py')
PER_KIND = int(os.environ.get('SLUICE_TRANSFERS', '500'))
PARALLEL = 50
BAD = ('0.01', '0.005', '0.01')     # loss, duplication, reordering
VIP, SNAT = '172.16.0.100', '172.16.0.200'
DAYS_MS = 10 * 24 * 3600 * 1000

NORTHBOUND = '''
lr-add gw -- set Logical_Router gw options:chassis=hv1
ls-add in -- ls-add out
lrp-add gw gw-in 40:44:00:00:00:fe 10.0.0.254/24 -- lrp-add gw gw-out 40:44:00:00:01:fe 172.16.0.254/24
lsp-add in in-gw -- lsp-set-type in-gw router -- lsp-set-addresses in-gw router
lsp-set-options in-gw router-port=gw-in
lsp-add out out-gw -- lsp-set-type out-gw router -- lsp-set-addresses out-gw router
lsp-set-options out-gw router-port=gw-out
lsp-add in in1 -- lsp-set-addresses in1 "40:44:00:00:00:01 10.0.0.11"
lsp-add in in2 -- lsp-set-addresses in2 "40:44:00:00:00:02 10.0.0.12"
lsp-add out out1 -- lsp-set-addresses out1 "40:44:00:00:01:01 172.16.0.11"
lr-nat-add gw snat 172.16.0.200 10.0.0.0/24
lb-add web 172.16.0.100:80 10.0.0.11:8080,10.0.0.12:8080 tcp -- lr-lb-add gw web
'''


def configure(lab):
    lab.start_central()
    for line in NORTHBOUND.strip().splitlines():
        lab.nbctl(*shlex.split(line))


def start(lab, namespace, *argv):
    """A helper program in a namespace, once it says that it is ready."""
    process = namespace.popen(sys.executable, *argv, stdout=subprocess.PIPE, text=True)
    lab.helpers.append(process)
    if process.stdout.readline().strip() != 'ready':
        raise RuntimeError('%s did not start' % argv[0])
    return process


def vm(lab, host, name, mac, ip, gateway, seed):
    """A VM behind a bad wire of its own. Its checksums and segments are its kernel's."""
    made = Vm(lab.namespace(name), host, name, mac, (ip + '/24',))
    relay = lab.namespace('relay-' + name)
    lab.connect(made.ns, 'eth0', relay, 'left', VM_MTU)
    lab.connect(relay, 'right', host.ns, name, VM_MTU)
    made.ns.run('ip', 'link', 'set', 'eth0', 'address', mac)
    made.ns.run('ip', 'address', 'add', ip + '/24', 'dev', 'eth0')
    made.ns.run('ip', 'route', 'add', 'default', 'via', gateway)
    host.plug(name, name)
    made.wire = start(lab, relay, BAD_WIRE, 'left', 'right', str(seed), *BAD)
    return made


def fetch(checks, lab, claim, client, address, port):
    text = client.ns.run(sys.executable, TRANSFERS, 'fetch', address, str(port), str(PER_KIND),
                         str(PARALLEL), check=False, timeout=900)
    checks.check(claim, text.startswith('%d good, 0 bad' % PER_KIND), text)


def connections(host):
    return int(host.control('dpctl/ct-get-nconns'))


def test(checks):
    with NetLab() as lab:
        configure(lab)
        host = lab.hypervisor('hv1', '192.168.50.100', 'sluice')
        in1 = vm(lab, host, 'in1', '40:44:00:00:00:01', '10.0.0.11', '10.0.0.254', 1)
        in2 = vm(lab, host, 'in2', '40:44:00:00:00:02', '10.0.0.12', '10.0.0.254', 2)
        out1 = vm(lab, host, 'out1', '40:44:00:00:01:01', '172.16.0.11', '172.16.0.254', 3)
        lab.wait_up(['in1', 'in2', 'out1'])
        lab.sync()
        for one in (in1, in2):
            start(lab, one.ns, TRANSFERS, 'serve', '8080')
        start(lab, out1.ns, TRANSFERS, 'serve', '9090')
        checks.within('the gateway answers', lambda: out1.ping('172.16.0.254', count=1)[1], 30)

        fetch(checks, lab, '%d transfers through the load balancer' % PER_KIND, out1, VIP, 80)
        seen = host.control('dpctl/dump-conntrack')
        backends = {ip for ip in ('10.0.0.11', '10.0.0.12') if 'src=%s' % ip in seen}
        checks.equal('both backends were used', backends, {'10.0.0.11', '10.0.0.12'})
        fetch(checks, lab, '%d transfers through SNAT' % PER_KIND, in1, '172.16.0.11', 9090)
        checks.check('SNAT was used', 'dst=' + SNAT in host.control('dpctl/dump-conntrack'))
        checks.check('connections are tracked', connections(host) >= PER_KIND, connections(host))

        for one in (in1, in2, out1):
            one.wire.terminate()
            counts = dict(re.findall(r'(\w+)=(\d+)', one.wire.communicate(timeout=10)[0]))
            lab.helpers.remove(one.wire)
            checks.check('the wire of %s was bad' % one.name,
                         all(int(counts.get(what, 0)) > 0 for what in ('lost', 'doubled', 'late')),
                         counts)
        host.control('conntrack/skip-time', str(DAYS_MS))
        checks.within('no connection is left when its time is over', lambda: connections(host) == 0)
        checks.check('sluiced still runs', host.main.alive())


if __name__ == '__main__':
    run(test)
