# SPDX-License-Identifier: Apache-2.0
"""Southbound databases of scenarios, made by OVN itself from scn/NAME.nb.

What data/ holds can be made again: `bench/run southbound NAME` starts the databases and ovn-northd,
runs the script, registers the chassis hv1 and those of the scenario's `remote` lines, binds the ports
as their ovn-controller would, and packs what the Southbound then holds.
"""
import gzip
import os
import subprocess

from rig import Rig
from scenarios import HERE, SCN, Scenario
from sides import ENCAP_IP


def run_script(rig, name):
    """scn/NAME.nb, a shell script of ovn-nbctl commands."""
    env = dict(rig.env('central'), SCN=SCN)
    done = subprocess.run(['sh', '-e', '%s/%s.nb' % (SCN, name)], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    if done.returncode:
        raise RuntimeError('%s.nb: %s' % (name, done.stderr.strip()[-500:]))


def add_chassis(rig, name, ip, option=None):
    rig.sbctl('chassis-add', name, 'geneve', ip)
    if option:
        key, value = option.split('=')
        encap = rig.sbctl('--bare', '--columns=encaps', 'list', 'Chassis', name).strip()
        rig.sbctl('set', 'Encap', encap, 'options:%s=%s' % (key, value))


def bind(rig, chassis, ports):
    words = []
    for port in ports:
        words += ['--', 'lsp-bind', port, chassis]
    rig.sbctl(*words[1:])


def pack(rig, path):
    backup = subprocess.run(['ovsdb-client', 'backup', 'unix:%s/central/db.sock' % rig.folder,
                             'OVN_Southbound'], env=rig.env('central'), stdout=subprocess.PIPE,
                            check=True).stdout
    with open(path, 'wb') as file, gzip.GzipFile('', 'wb', 9, file, 0) as packed:
        packed.write(backup)


def make(name, path=None):
    scenario = Scenario(name)
    with Rig() as rig:
        rig.start_central()
        run_script(rig, os.path.basename(scenario.nb)[:-len('.nb')])
        rig.nbctl('--wait=sb', 'sync')
        add_chassis(rig, 'hv1', ENCAP_IP)
        for chassis, ip, option, ports in scenario.remote:
            add_chassis(rig, chassis, ip, option)
            bind(rig, chassis, ports)
        bind(rig, 'hv1', [port for kind, port, _ in scenario.ports if not kind.endswith('phys')])
        rig.nbctl('--wait=sb', 'sync')
        pack(rig, path or '%s/data/%s.sb.db.gz' % (HERE, scenario.sb))
        print('%s: %d logical flows' % (name, rig.sbctl('--bare', '--columns=_uuid', 'list',
                                                       'Logical_Flow').count('-') // 4))


def run(args):
    for name in args.scenarios:
        make(name, args.output)
    return 0
