#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong options and a hostile or broken world: sluiced says clearly what is wrong, and where it can go
on it goes on."""
import subprocess
import time

from checks import run
from network1 import NetLab, configure, populate
from ovnlab.processes import SCHEMA, answers
from ovnlab.tools import find_program


def refused(checks, lab, claim, args, *mentions):
    """sluiced must end at once, not with success, and name what it does not like."""
    folder = lab.home('refused')
    argv = [find_program('sluiced', lab.sluiced), '--pidfile=%s/p.pid' % folder,
            '--unixctl=%s/p.ctl' % folder, *args]
    try:
        done = subprocess.run(argv, env=lab.env('refused'), stdout=subprocess.PIPE, timeout=30,
                              stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as late:
        checks.check(claim, False, 'it goes on running: %s' % (late.stdout or ''))
        return
    said = [word for word in mentions if word.lower() in done.stdout.lower()]
    checks.check(claim, done.returncode > 0 and len(said) == len(mentions),
                 'exit status %d, said: %s' % (done.returncode, done.stdout[-600:]))


def test_options(checks, lab):
    refused(checks, lab, 'an unknown option is named', ['--frobnicate'], 'frobnicate')
    refused(checks, lab, 'an option without its value is named', ['--sb'], 'sb')
    refused(checks, lab, 'zero workers are refused', ['--workers', '0'], 'workers')
    refused(checks, lab, 'workers that are no number are refused', ['--workers', 'many'], 'workers')
    refused(checks, lab, 'a core that does not exist is refused', ['--cores', '4000'], '4000')
    refused(checks, lab, 'no database and no Southbound is refused', ['--no-db'], '--sb')
    refused(checks, lab, 'a port without a driver is refused',
            ['--no-db', '--sb', lab.southbound, '--system-id', 'x', '--encap-ip', '10.0.0.1',
             '--port', 'vm1=floppy,iface-id=vm1'], 'floppy')
    refused(checks, lab, 'a bad tunnel address is refused',
            ['--no-db', '--sb', lab.southbound, '--system-id', 'x', '--encap-ip', '10.0.0.256'],
            '10.0.0.256')
    with open('/proc/meminfo') as file:
        hugepages = next(int(line.split()[1]) for line in file if line.startswith('HugePages_Free'))
    if hugepages == 0:
        refused(checks, lab, 'missing hugepages are explained',
                ['--db', 'unix:%s/hv1/db.sock' % lab.folder, '--huge'], 'hugepages')


def log_says(host, *words):
    def look():
        with open(host.main.log, errors='replace') as file:
            text = file.read().lower()
        return all(word.lower() in text for word in words)
    return look


def southbound_at(host, remote):
    host.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'external-ids:ovn-remote="%s"' % remote)


def test_remotes(checks, lab, vm1, vm2):
    host = vm1.hypervisor
    good = lab.southbound
    for remote, words in (('unix:/nonexistent/sb.sock', ['/nonexistent/sb.sock']),
                          ('tcp:127.0.0.1:1', ['127.0.0.1:1']),
                          ('carrier-pigeon:7', ['carrier-pigeon'])):
        southbound_at(host, remote)
        checks.within('a wrong Southbound address is logged: ' + remote, log_says(host, *words))
        checks.reaches(vm1, vm2)
    southbound_at(host, good)
    lab.sync()
    checks.check('and the right one heals it', True)


def make_pki(lab, name):
    """A certificate authority of its own with one server certificate."""
    folder = lab.home(name)
    lab.run(name, 'openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj',
            '/CN=%s authority' % name, '-keyout', folder + '/ca.key', '-out', folder + '/ca.crt')
    lab.run(name, 'openssl', 'req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=' + name,
            '-keyout', folder + '/key.pem', '-out', folder + '/request.pem')
    lab.run(name, 'openssl', 'x509', '-req', '-days', '2', '-in', folder + '/request.pem', '-CA',
            folder + '/ca.crt', '-CAkey', folder + '/ca.key', '-CAcreateserial', '-out',
            folder + '/cert.pem')
    return folder


def test_tls(checks, lab, vm1, vm2):
    """The server of the Southbound shows a certificate of an authority that hv1 does not trust."""
    host = vm1.hypervisor
    ours, theirs = make_pki(lab, 'ours'), make_pki(lab, 'theirs')
    central = next(d for d in lab.daemons if d.name == 'ovsdb-server' and d.home == 'central')
    tls_socket = '16642:127.0.0.1'
    # The TLS listener has to be where hv1 can reach it: in its namespace.
    server = lab.daemon('theirs', 'ovsdb-server', '--private-key=%s/key.pem' % theirs,
                        '--certificate=%s/cert.pem' % theirs, '--ca-cert=%s/ca.crt' % theirs,
                        '--remote=pssl:' + tls_socket,
                        lab_database(lab, theirs), prefix=host.ns.enter)
    lab.wait(lambda: answers(server.ctl), 'TLS server')
    host.vsctl('--no-wait', 'set-ssl', ours + '/key.pem', ours + '/cert.pem', ours + '/ca.crt')
    southbound_at(host, 'ssl:127.0.0.1:16642')
    checks.within('a refused certificate is logged', log_says(host, 'certificate'))
    checks.reaches(vm1, vm2)
    southbound_at(host, lab.southbound)
    host.vsctl('--no-wait', 'del-ssl')
    lab.sync()
    lab.end(server)
    checks.check('and the database of before heals it', central.alive())


def lab_database(lab, folder):
    path = folder + '/sb.db'
    lab.run('theirs', 'ovsdb-tool', 'create', path, SCHEMA['sb'])
    return path


def test_duplicate(checks, lab, vm1, vm2):
    """A second interface says the same iface-id: the first keeps its traffic."""
    host = vm1.hypervisor
    twin = lab.vm('twin', host, '40:44:00:00:00:09', '192.168.0.19/24', plug=False)
    host.plug('twin', 'vm1')
    checks.within('a duplicate iface-id is logged', log_says(host, 'vm1', 'twin'))
    checks.reaches(vm1, vm2)
    host.vsctl('del-port', 'br-int', 'twin')
    time.sleep(0.5)
    checks.reaches(vm1, vm2)
    del twin


def test(checks):
    with NetLab() as lab:
        configure(lab)
        vm1, vm2 = populate(lab)
        test_options(checks, lab)
        test_duplicate(checks, lab, vm1, vm2)
        test_remotes(checks, lab, vm1, vm2)
        test_tls(checks, lab, vm1, vm2)
        second = subprocess.run(
            [find_program('sluiced', lab.sluiced), '--db', 'unix:%s/db.sock' % lab.home('hv1'),
             '--pidfile=%s/sluiced.pid' % lab.home('hv1')], env=lab.env('hv1'),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        checks.check('a second sluiced with the same pidfile is refused',
                     second.returncode != 0 and 'already running' in second.stdout, second.stdout)
        for host in lab.hypervisors.values():
            checks.check('%s still runs' % host.name, host.main.alive())


if __name__ == '__main__':
    run(test)
