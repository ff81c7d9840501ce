# SPDX-License-Identifier: Apache-2.0
"""The incumbent: ovs-vswitchd on DPDK and ovn-controller, with the settings that suit it best."""
import os
import re
import time

from ovnlab.processes import answers
from ovnlab.unixctl import UnixctlError, unixctl
from sides import BRIDGE_MAC, ENCAP_IP, Side

DEBIAN = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk'
SHARED_MBUFS = 262144 - 20000   # Open vSwitch's shared pool, less what is in flight
SETTLE = 0.4     # seconds, after a setting


def vswitchd_path(given=None):
    """None when there is no Open vSwitch on DPDK here."""
    path = given or os.environ.get('OVS_VSWITCHD') or DEBIAN
    return path if os.access(path, os.X_OK) else None


class Incumbent(Side):
    home = 'incumbent'

    def __init__(self, rig, options):
        super().__init__(rig, options)
        self.label = options.incumbent_label
        self.setting = ''

    def start(self, scenario, ports):
        self.southbound = self.southbound_of(scenario)
        self.local = self.rig.serve_local(self.home)
        self.ns = self.rig.namespace(self.home)
        self.start_switch(per_port_pools=sum(p.preload() for p in ports) > SHARED_MBUFS)
        self.start_controller()
        self.plug_all(ports)
        self.join_underlay(scenario, ports)
        self.rig.wait_hv(self.southbound)
        self.join_localnet(ports)
        self.prefer()

    def southbound_of(self, scenario):
        return self.rig.serve_southbound(self.home, scenario)

    def start_switch(self, per_port_pools=False):
        cores, memory = self.rig.cores, self.options.memory_mb
        huge = self.options.huge
        config = {'dpdk-init': 'true', 'dpdk-lcore-mask': hex(1 << cores.rest),
                  'pmd-cpu-mask': hex(1 << cores.poll), 'n-handler-threads': '1',
                  'n-revalidator-threads': '1', 'max-idle': '3600000',
                  'dpdk-extra': '"--no-pci %s"' % ('--in-memory' if huge else (
                      '--no-huge --legacy-mem -m %d --file-prefix=bench%d' % (memory, os.getpid())))}
        if huge:
            config['dpdk-socket-mem'] = str(memory)
        if per_port_pools:
            config['per-port-memory'] = 'true'
        ids = {'system-id': 'hv1', 'ovn-remote': '"%s"' % self.southbound,
               'ovn-encap-type': 'geneve', 'ovn-encap-ip': ENCAP_IP, 'ovn-encap-csum': 'false',
               'ovn-bridge-datapath-type': 'netdev', 'ovn-bridge-mappings': 'physnet1:br-phys'}
        self.vsctl('--no-wait', 'init', '--', 'set', 'Open_vSwitch', '.',
                   *['external-ids:%s=%s' % pair for pair in ids.items()],
                   *['other_config:%s=%s' % pair for pair in config.items()])
        # The control socket is named after the program, which may be any build.
        control = self.rig.home(self.home) + '/switch.ctl'
        self.main = self.rig.pinned(self.home, 'ovs-vswitchd', '--disable-system',
                                    '--unixctl=' + control, self.local,
                                    program=vswitchd_path(self.options.vswitchd),
                                    prefix=self.ns.enter)
        self.main.ctl, self.processes = control, [self.main]
        self.rig.wait(lambda: answers(self.main.ctl), 'ovs-vswitchd', 120)
        self.vsctl('add-br', 'br-int', '--', 'set', 'bridge', 'br-int', 'datapath_type=netdev',
                   'fail-mode=secure', '--', 'add-br', 'br-phys', '--', 'set', 'bridge', 'br-phys',
                   'datapath_type=netdev', 'other_config:hwaddr="%s"' % BRIDGE_MAC)
        self.ns.run('ip', 'address', 'add', ENCAP_IP + '/24', 'dev', 'br-phys')
        for bridge in ('br-phys', 'br-int'):
            self.ns.run('ip', 'link', 'set', bridge, 'up')

    def start_controller(self):
        self.controller = self.rig.pinned(self.home, 'ovn-controller', self.local,
                                          prefix=self.ns.enter)
        self.processes = [self.main, self.controller]

    def preload_words(self, preload):
        # A pool per port is sized n_rxq * n_rxq_desc; the device has one queue whatever is asked.
        if preload <= SHARED_MBUFS:
            return []
        return ['options:n_rxq_desc=4096', 'options:n_rxq=%d' % (preload // 4096 + 16)]

    # ---- two flows on the outer bridge instead of learning
    def ofctl(self, *args):
        return self.rig.run(self.home, 'ovs-ofctl', *args)

    def join_underlay(self, scenario, ports):
        if not any(p.physical and p.name == 'underlay' for p in ports):
            return
        self.ofctl('del-flows', 'br-phys')
        self.ofctl('add-flow', 'br-phys', 'in_port=phys0,actions=LOCAL')
        self.ofctl('add-flow', 'br-phys', 'in_port=LOCAL,actions=output:phys0')
        for ip, mac in scenario.neigh:
            unixctl(self.main.ctl, 'tnl/neigh/set', 'br-phys', ip, mac)

    def join_localnet(self, ports):
        if not any(p.physical and p.name == 'physnet1' for p in ports):
            return

        def patch():
            return [p for p in self.vsctl('list-ports', 'br-phys').split()
                    if p.startswith('patch-')]
        self.rig.wait(patch, 'the patch port of physnet1')
        number = self.vsctl('wait-until', 'Interface', patch()[0], 'ofport>0', '--', 'get',
                            'Interface', patch()[0], 'ofport').strip()
        self.ofctl('del-flows', 'br-phys')
        self.ofctl('add-flow', 'br-phys', 'in_port=phys0,actions=output:' + number)
        self.ofctl('add-flow', 'br-phys', 'in_port=%s,actions=output:phys0' % number)

    # ---- counters
    def counters(self):
        before = time.monotonic()
        text = unixctl(self.main.ctl, 'dpctl/show', '-s')
        at = (before + time.monotonic()) / 2
        table, port = {}, None
        for line in text.splitlines():
            match = re.match(r'\s+port \d+: (\S+)', line)
            port = match[1] if match else port
            match = re.match(r'\s+([RT]X) packets:(\d+)', line)
            if match and port:
                received, sent = table.get(port, (0, 0))
                number = int(match[2])
                table[port] = (number, sent) if match[1] == 'RX' else (received, number)
        return at, table

    def own_cycles(self):
        values, reading = {}, False
        for line in unixctl(self.main.ctl, 'dpif-netdev/pmd-stats-show').splitlines():
            if not line.startswith(' '):
                reading = line.startswith('pmd thread')
            elif reading:
                key, _, value = line.strip().partition(':')
                match = re.match(r'\s*([0-9.]+)', value)
                if match:
                    values[key] = float(match[1])
        packets = max(values.get('packets received', 0), 1)
        hits = ['%s=%.2f' % (word, values.get(key, 0) / packets) for key, word in (
            ('packet recirculations', 'recirc'), ('emc hits', 'emc'), ('smc hits', 'smc'),
            ('megaflow hits', 'mf'), ('miss with success upcall', 'miss'))]
        flows = re.search(r'flows: (\d+)', unixctl(self.main.ctl, 'dpctl/show'))
        return 'set=%s own_cycles=%.0f megaflows=%s %s' % (
            self.setting, values.get('avg cycles per packet', 0), flows[1] if flows else '?',
            ' '.join(hits))

    def clear_own(self):
        unixctl(self.main.ctl, 'dpif-netdev/pmd-stats-clear')

    # ---- what can be tuned without another build
    def vector_units(self):
        return 'avx512' in unixctl(self.main.ctl, 'dpif-netdev/dpif-impl-get')

    def apply(self, setting):
        """'emc100', 'noemc+smc+vec' ...: cache mode, vector units, conntrack's sequence check."""
        words = setting.split('+')
        config = {'emc-insert-inv-prob': '0' if 'noemc' in words else '100',
                  'smc-enable': 'true' if 'smc' in words else 'false'}
        for word in words:
            if re.fullmatch(r'emc\d+', word):
                config['emc-insert-inv-prob'] = word[3:]
        self.vsctl('set', 'Open_vSwitch', '.', *['other_config:%s=%s' % p for p in config.items()])
        if self.vector_units():
            vec = 'vec' in words
            for command in (['dpif-netdev/dpif-impl-set', 'dpif_avx512' if vec else 'dpif_scalar'],
                            ['dpif-netdev/subtable-lookup-prio-set', 'avx512_gather',
                             '5' if vec or 'vcls' in words else '0'],
                            ['dpif-netdev/miniflow-parser-set', 'study' if vec else 'scalar']):
                unixctl(self.main.ctl, *command)
            self._try('odp-execute/action-impl-set', 'avx512' if vec else 'scalar')
        self._try('dpctl/ct-%s-tcp-seq-chk' % ('disable' if 'noseq' in words else 'enable'))
        self.setting = setting

    def _try(self, *command):
        try:
            unixctl(self.main.ctl, *command)
        except UnixctlError:
            pass            # a build without this knob

    def sweep(self, glimpse, flows, tracks, new_connections):
        """Greedy, as a careful operator would: the caches, then vector units, then conntrack.
        glimpse(): Mpps with the setting as it is."""
        if self.options.setting:
            self.apply(self.options.setting)
            return
        tried = {}

        def rate(setting):
            if setting not in tried:
                self.apply(setting)
                time.sleep(SETTLE)
                tried[setting] = max(glimpse() for _ in range(1 if new_connections else 2))
            return tried[setting]
        vectors = self.vector_units()
        caches = ['emc100', 'noemc', 'noemc+smc'] if new_connections else [
            'emc100', 'emc100+smc', 'noemc+smc', 'emc1' if flows < 50000 else 'noemc']
        for cache in caches:
            for more in ('', '+vec') if vectors else ('',):
                rate(cache + more)
        best = max(tried, key=tried.get)
        if vectors:
            rate(best.replace('+vec', '') + '+vcls')
            best = max(tried, key=tried.get)
        if tracks and not new_connections and rate(best + '+noseq') > tried[best] * 1.01:
            best += '+noseq'
        self.apply(best)
        time.sleep(SETTLE)
