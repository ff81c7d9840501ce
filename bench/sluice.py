# SPDX-License-Identifier: Apache-2.0
"""sluiced as a side of a comparison: the same local database, the same devices."""
import json
import os
import time

from ovnlab.processes import answers
from ovnlab.tools import find_program
from ovnlab.unixctl import unixctl
from sides import BRIDGE_MAC, ENCAP_IP, Side


KB_PER_MBUF = 3     # data room, private area and headers

ANSWERS = 300000    # packets: tens of milliseconds of answers


def repeated(path, times):
    """The packets of a capture file, again and again, in a file beside it."""
    with open(path, 'rb') as file:
        data = file.read()
    out = path + '.repeated'
    with open(out, 'wb') as file:
        file.write(data[:24])
        for _ in range(times):
            file.write(data[24:])
    return out


class Sluice(Side):
    home = 'sluice'
    label = 'sluice'

    def start(self, scenario, ports):
        self.southbound = self.southbound_of(scenario)
        self.local = self.rig.serve_local(self.home)
        self.ns = self.rig.namespace(self.home)
        self.configure()
        self.start_switch(sum(p.preload() for p in ports))
        self.plug_all(ports)
        if any(p.physical and p.name == 'underlay' for p in ports):
            self.join_underlay(scenario)
        self.rig.wait_hv(self.southbound)
        self.prefer()

    def southbound_of(self, scenario):
        return self.rig.serve_southbound(self.home, scenario)

    def configure(self):
        ids = {'system-id': 'hv1', 'ovn-remote': '"%s"' % self.southbound,
               'ovn-encap-type': 'geneve', 'ovn-encap-ip': ENCAP_IP, 'ovn-encap-csum': 'false',
               'ovn-bridge-mappings': 'physnet1:br-phys'}
        self.vsctl('--no-wait', 'init', '--', 'set', 'Open_vSwitch', '.',
                   *['external-ids:%s=%s' % pair for pair in ids.items()])

    def start_switch(self, preload=0):
        self.spawn(preload)
        self.rig.wait(lambda: answers(self.main.ctl), 'sluiced', 120)
        self.add_bridges()

    def spawn(self, preload):
        options, cores = self.options, self.rig.cores
        kilobytes = KB_PER_MBUF if options.huge else 2 * KB_PER_MBUF    # a small page holds one
        # A source keeps every frame of its file in a packet buffer; copies of them are on the way.
        # There is a pool for ports and one of the same size for copies.
        mbufs = preload + 32767
        words = ['--cores', str(cores.poll), '--idle-sleep-us', '0', '--mbufs', str(mbufs),
                 '--memory-mb', str(options.memory_mb + 2 * preload * kilobytes // 1024),
                 '--cache-entries', str(options.cache_entries),
                 '--conntrack-connections', str(options.connections)]
        words += ['--huge'] if options.huge else []
        self.main = self.rig.pinned(self.home, 'sluiced', '--db', self.local, *words,
                                    program=find_program('sluiced', options.sluiced),
                                    prefix=self.ns.enter)
        self.processes = [self.main]

    def add_bridges(self, *first):
        self.vsctl(*first, '--may-exist', 'add-br', 'br-int', '--', 'set', 'bridge', 'br-int',
                   'fail-mode=secure', '--', '--may-exist', 'add-br', 'br-phys', '--', 'set',
                   'bridge', 'br-phys', 'other_config:hwaddr="%s"' % BRIDGE_MAC)

    def join_underlay(self, scenario):
        unixctl(self.main.ctl, 'netdev-dummy/ip4addr', 'br-phys', ENCAP_IP + '/24')
        unixctl(self.main.ctl, 'ovs/route/add', ENCAP_IP + '/24', 'br-phys')
        for ip, mac in scenario.neigh:
            unixctl(self.main.ctl, 'tnl/neigh/set', 'br-phys', ip, mac)

    def warm_up(self, ports, rounds=3):
        """A replaced device releases its logical port, and with it go the connections of its zone: the
        answers must last until what they answer has made them again, and the port stays as it is
        then. A source that has ended is as good a sink as any."""
        for port in ports:
            if port.late and port.how == 'once':
                port.pcap = repeated(port.pcap, max(rounds, ANSWERS // max(port.packets, 1)))
                self.replug(port, 'device')
                self._drain(port)
            elif port.late:
                self.replug(port, 'device')

    def prefer(self):
        """Its own threads keep away from the polling core; then as for everybody."""
        pid = self.main.process.pid
        workers = [t for t in os.listdir('/proc/%d/task' % pid) if self._name(pid, t).startswith(
            'sluice-w')]
        for task in os.listdir('/proc/%d/task' % pid):
            if workers and task not in workers:
                os.sched_setaffinity(int(task), {self.rig.cores.rest})
        super().prefer()

    @staticmethod
    def _name(pid, task):
        with open('/proc/%d/task/%s/comm' % (pid, task)) as file:
            return file.read().strip()

    def counters(self):
        before = time.monotonic()
        text = unixctl(self.main.ctl, 'sluice/ports')
        at = (before + time.monotonic()) / 2
        return at, {port['name']: (port['rx_packets'], port['tx_packets'])
                    for port in json.loads(text)['ports']}

    def _totals(self):
        rows = json.loads(unixctl(self.main.ctl, 'sluice/counters'))['counters']
        return {row['name']: row['total'] for row in rows}

    def clear_own(self):
        self.cleared = self._totals()

    def own_cycles(self):
        now, before = self._totals(), getattr(self, 'cleared', {})
        value = {name: total - before.get(name, 0) for name, total in now.items()}
        packets = max(value.get('rx_packets', 0), 1)
        words = ['own_cycles=%.0f' % (value.get('busy_cycles', 0) / packets)]
        words += ['%s=%.3f' % (word, value.get(name, 0) / packets) for name, word in (
            ('cache_hit', 'hit'), ('cache_miss', 'miss'), ('cache_bypass', 'bypass'),
            ('cache_ct_changed', 'ct_changed'), ('cache_shortcut', 'shortcut'))]
        return ' '.join(words)

    def sweep(self, *_):
        """Nothing to choose."""
