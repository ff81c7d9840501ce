# SPDX-License-Identifier: Apache-2.0
"""A lab of network namespaces: hypervisors, the wire between them, and VMs that are namespaces.

    VM eth0 --veth-- NAME (hypervisor) uplink --veth-- wire bridge --veth-- uplink (hypervisor) ...

A namespace lives as long as its holder, a sleeping process that dies with the lab: nothing has a name
on the machine outside, and nothing is left behind. Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN).
"""
import json
import os
import re
import subprocess

from .processes import Lab, LabError, answers
from .tools import find_program
from .unixctl import unixctl

VM_MTU = 1400           # leaves room for outer headers in the 1500 of an unprepared network
UNDERLAY_MTU = 1500
UPLINK = 'eth1'


class Namespace:
    """One network namespace and its holder."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.holder = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', '--', 'unshare', '--net',
                                        '--', 'sleep', 'infinity'], stdin=subprocess.DEVNULL)
        own = os.readlink('/proc/self/ns/net')

        def entered():
            try:
                return os.readlink('/proc/%d/ns/net' % self.holder.pid) != own
            except OSError:
                return False
        lab.wait(entered, 'namespace ' + name, 10)
        self.run('ip', 'link', 'set', 'lo', 'up')
        self.set_ipv6('default', False)

    @property
    def enter(self):
        return ['nsenter', '-t', str(self.holder.pid), '-n', '--']

    def run(self, *argv, check=True, timeout=60):
        return self.lab.run('central', *self.enter, *argv, check=check, timeout=timeout)

    def popen(self, *argv, **kwargs):
        return subprocess.Popen([*self.enter, *argv], **kwargs)

    def set_ipv6(self, interface, enabled):
        """Interfaces speak no IPv6 of their own unless asked to: captures stay readable."""
        folder = '/proc/sys/net/ipv6/conf/' + interface
        self.run('sh', '-c', 'echo 0 > %s/accept_dad; echo %d > %s/disable_ipv6' % (
            folder, not enabled, folder), check=False)

    def end(self):
        self.holder.kill()
        self.holder.wait()


class Vm:
    """A namespace with one interface, eth0, plugged into a hypervisor."""

    def __init__(self, namespace, hypervisor, name, mac, addresses):
        self.ns, self.hypervisor, self.name, self.mac = namespace, hypervisor, name, mac
        self.addresses = addresses
        self.ip = addresses[0].split('/')[0] if addresses else None

    def ping(self, target, count=3, interval_s=0.2, size=56, wait_s=2):
        """Returns (sent, received, the text of ping)."""
        text = self.ns.run('ping', '-n', '-c', str(count), '-i', str(interval_s), '-s', str(size),
                           '-W', str(wait_s), target.ip if isinstance(target, Vm) else target,
                           check=False, timeout=count * interval_s + 60)
        match = re.search(r'(\d+) packets transmitted, (\d+) received', text)
        return (int(match[1]), int(match[2]), text) if match else (count, 0, text)


class Hypervisor:
    """What all chassis share: a namespace, a local Open_vSwitch database, an uplink."""

    kind = ''

    def __init__(self, lab, name, ip, prefix_len=None, remote=None, encap='geneve', ids=()):
        self.lab, self.name, self.ip = lab, name, ip
        self.prefix_len = prefix_len or (64 if ':' in ip else 24)
        self.remote = remote or lab.southbound
        self.ns = lab.namespace(name)
        lab.connect(self.ns, UPLINK, lab.wire, 'to-' + name, UNDERLAY_MTU)
        lab.wire.run('ip', 'link', 'set', 'to-' + name, 'master', 'wire')
        lab.database(name, 'db', 'vs')
        self.vsctl('--no-wait', 'init')
        ids = {'system-id': name, 'hostname': name, 'ovn-remote': self.remote,
               'ovn-encap-type': encap, 'ovn-encap-ip': ip, **dict(ids)}
        self.vsctl('--no-wait', 'set', 'Open_vSwitch', '.',
                   *['external-ids:%s=%s' % (k, json.dumps(v)) for k, v in ids.items()])
        self.main = None
        self.start()

    def vsctl(self, *args):
        return self.lab.vsctl(self.name, *args)

    def control(self, command, *args):
        return unixctl(self.main.ctl, command, *args)

    def start(self):
        raise NotImplementedError

    def plug(self, port, iface_id, options=()):
        """`ovs-vsctl add-port`, as any hypervisor integration does it."""
        self.vsctl('add-port', 'br-int', port, '--', 'set', 'Interface', port,
                   'external_ids:iface-id=' + json.dumps(iface_id), *options)

    def interface(self, port, column):
        return self.vsctl('get', 'Interface', port, column).strip()


class SluiceHypervisor(Hypervisor):
    """sluiced; the uplink belongs to it, the kernel has no address there."""

    kind = 'sluice'

    def start(self, *options):
        self.program = find_program('sluiced', self.lab.sluiced)
        self.spawn(*options)
        self.vsctl('--may-exist', 'add-br', 'br-int', '--', 'set', 'bridge', 'br-int',
                   'fail-mode=secure', '--', '--may-exist', 'add-br', 'br-phys',
                   '--', '--may-exist', 'add-port', 'br-phys', UPLINK)
        self.address_underlay()

    def spawn(self, *options):
        self.main = self.lab.daemon(self.name, 'sluiced',
                                    '--db', 'unix:%s/db.sock' % self.lab.home(self.name),
                                    '--workers', '1', *options, program=self.program,
                                    prefix=self.ns.enter)
        self.lab.wait(lambda: answers(self.main.ctl), 'sluiced of ' + self.name)

    def address_underlay(self):
        address = '%s/%d' % (self.ip, self.prefix_len)
        self.control('netdev-dummy/ip%daddr' % (6 if ':' in self.ip else 4), 'br-phys', address)
        self.control('ovs/route/add', address, 'br-phys')

    def stop(self, *exit_args):
        return self.lab.end(self.main, *exit_args)


class OvsHypervisor(Hypervisor):
    """ovs-vswitchd with its userspace datapath, and ovn-controller."""

    kind = 'ovs'

    def start(self):
        self.main = self.lab.daemon(self.name, 'ovs-vswitchd', '--disable-system',
                                    'unix:%s/db.sock' % self.lab.home(self.name),
                                    prefix=self.ns.enter)
        self.lab.wait(lambda: answers(self.main.ctl), 'ovs-vswitchd of ' + self.name)
        self.vsctl('add-br', 'br-int', '--', 'set', 'bridge', 'br-int', 'datapath_type=netdev',
                   'fail-mode=secure', '--', 'add-br', 'br-phys', '--', 'set', 'bridge', 'br-phys',
                   'datapath_type=netdev', '--', 'add-port', 'br-phys', UPLINK)
        self.ns.set_ipv6('br-phys', ':' in self.ip)
        self.ns.run('ip', 'address', 'add', '%s/%d' % (self.ip, self.prefix_len), 'dev', 'br-phys')
        self.ns.run('ip', 'link', 'set', 'br-phys', 'up')
        self.lab.daemon(self.name, 'ovn-controller', 'unix:%s/db.sock' % self.lab.home(self.name),
                        prefix=self.ns.enter)


KINDS = {'sluice': SluiceHypervisor, 'ovs': OvsHypervisor}


class NetLab(Lab):
    """OVN central, the wire, hypervisors and VMs."""

    def __init__(self, prefix='netlab.', keep=False, sluiced=None):
        if os.geteuid() != 0:
            raise SystemExit('namespaces need root: run this as root, or under "unshare -Urn --map-'
                             'root-user --mount"')
        super().__init__(prefix, keep)
        self.sluiced = sluiced
        self.namespaces, self.helpers = [], []
        self.hypervisors, self.vms = {}, {}
        self.southbound = 'unix:%s/central/db.sock' % self.folder
        self.wire = self.namespace('wire')
        # A bridge that forwards everything and speaks no protocol of its own.
        self.wire.run('ip', 'link', 'add', 'wire', 'type', 'bridge', 'stp_state', '0')
        self.wire.run('ip', 'link', 'set', 'wire', 'up')

    def namespace(self, name):
        made = Namespace(self, name)
        self.namespaces.append(made)
        return made

    def connect(self, a, a_port, b, b_port, mtu):
        """A cable between two namespaces, without offloads: what a NIC would do must be on the wire."""
        self.run('central', 'ip', 'link', 'add', 'name', a_port, 'mtu', str(mtu), 'netns',
                 str(a.holder.pid), 'type', 'veth', 'peer', 'name', b_port, 'mtu', str(mtu), 'netns',
                 str(b.holder.pid))
        for ns, port in ((a, a_port), (b, b_port)):
            ns.run('ip', 'link', 'set', port, 'up')
            ns.run('ethtool', '-K', port, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off',
                   check=False)

    def hypervisor(self, name, ip, kind='sluice', **kwargs):
        self.hypervisors[name] = KINDS[kind](self, name, ip, **kwargs)
        return self.hypervisors[name]

    def vm(self, name, hypervisor, mac, *addresses, gateway=None, port=None, plug=True):
        """A VM of logical port `port` (default: its name) on a hypervisor."""
        made = Vm(self.namespace(name), hypervisor, name, mac, addresses)
        self.connect(made.ns, 'eth0', hypervisor.ns, name, VM_MTU)
        made.ns.set_ipv6('eth0', any(':' in address for address in addresses))
        made.ns.run('ip', 'link', 'set', 'eth0', 'address', mac)
        for address in addresses:
            made.ns.run('ip', 'address', 'add', address, 'dev', 'eth0')
        if gateway:
            made.ns.run('ip', 'route', 'add', 'default', 'via', gateway)
        if plug:
            hypervisor.plug(name, port or name)
        self.vms[name] = made
        return made

    def capture(self, namespace, interface, path, *words):
        """Starts tcpdump; `finish` returns once it has written everything."""
        process = namespace.popen('tcpdump', '-U', '--immediate-mode', '-n', '-i', interface, '-w',
                                  path, *words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        line = process.stderr.readline().decode()
        while line and 'listening on' not in line:
            line = process.stderr.readline().decode()
        if not line:
            raise LabError('tcpdump did not start on %s of %s' % (interface, namespace.name))
        self.helpers.append(process)
        return process

    def finish(self, process):
        process.terminate()
        process.communicate(timeout=10)
        self.helpers.remove(process)

    def stop(self):
        for process in list(self.helpers):
            process.kill()
            process.wait()
        super().stop()
        for namespace in reversed(self.namespaces):
            namespace.end()
