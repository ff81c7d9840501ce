#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Conntrack zones over a change from ovn-controller to sluiced and back, over restarts, and when their
owners go; connections by command, and flushed with their backend. No network: in-memory ports."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
from scapy.layers.inet import IP, TCP, UDP  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

from checks import run  # noqa: E402
from hypervisor import Sluice  # noqa: E402
from ovnlab.unixctl import unixctl  # noqa: E402

MACS = {'lp1': '00:00:00:00:00:01', 'lp2': '00:00:00:00:00:02'}
IPS = {'lp1': '10.0.0.1', 'lp2': '10.0.0.2'}
SPEC = {
    'interfaces': {'vif1': 'lp1', 'vif2': 'lp2'}, 'packets': [],
    'nb': ['ls-add sw0', *['lsp-add sw0 %s' % lp for lp in MACS],
           *['lsp-set-addresses %s "%s %s"' % (lp, MACS[lp], IPS[lp]) for lp in MACS],
           'lsp-add sw0 sw0-lr0 -- lsp-set-type sw0-lr0 router -- lsp-set-addresses sw0-lr0 router'
           ' -- lsp-set-options sw0-lr0 router-port=lr0-sw0',
           'lr-add lr0', 'lrp-add lr0 lr0-sw0 00:00:00:00:ff:01 10.0.0.254/24',
           'set Logical_Router lr0 options:snat-ct-zone=777',
           'acl-add sw0 from-lport 100 ip allow-related', 'acl-add sw0 to-lport 100 ip allow-related',
           'lb-add lb0 10.0.1.1:80 10.0.0.2:8080 tcp', 'set Load_Balancer lb0 options:ct_flush=true',
           'ls-lb-add sw0 lb0'],
}


class Lab(Sluice):
    """Ports that either of the two can serve, one after the other."""

    def start_switch(self, chassis):
        if self.incumbent:
            self.vswitchd = self.daemon(chassis, 'ovs-vswitchd', '--enable-dummy=system',
                                        '--disable-system', '--disable-system-route',
                                        'unix:%s/db.sock' % self.home(chassis))
            return self.vswitchd
        return super().start_switch(chassis)

    def start_controller(self, chassis):
        if self.incumbent:
            self.controller = self.daemon(chassis, 'ovn-controller',
                                          'unix:%s/db.sock' % self.home(chassis))

    def settle(self, wait_ms=0):
        return {}

    def become(self, incumbent):
        """Ends who is there and starts the other (or itself again)."""
        if self.incumbent:
            self.end(self.controller, '--restart')
            self.end(self.vswitchd)
        else:
            self.end(self.switch['hv1'], '--restart')
        self.incumbent = incumbent
        self.switch['hv1'] = self.start_switch('hv1')
        self.wait(lambda: os.path.exists(self.switch['hv1'].ctl), 'its socket')
        self.start_controller('hv1')
        self.sync()

    def zones(self):
        """What the bridge says, by user."""
        ids = json.loads(self.vsctl('hv1', '--format=json', '--columns=external_ids', 'list', 'Bridge',
                                    'br-int'))['data'][0][0][1]
        return {key[8:]: int(value) for key, value in ids if key.startswith('ct-zone-')}

    def zone_list(self):
        daemon = self.controller if self.incumbent else self.switch['hv1']
        return {line.split()[0]: int(line.split()[1])
                for line in unixctl(daemon.ctl, 'ct-zone-list').splitlines() if line.strip()}

    def send(self, port, packet):
        self.control('hv1', 'netdev-dummy/receive', port, bytes(packet).hex())

    def connections(self, *args):
        return self.control('hv1', 'dpctl/dump-conntrack', *args).split()


def ether(source, target):
    return Ether(src=MACS[source], dst=MACS[target])


def talk(lab):
    """A datagram, and the first segment to the balancer, from lp1 to lp2."""
    lab.send('vif1', ether('lp1', 'lp2') / IP(src=IPS['lp1'], dst=IPS['lp2']) /
             UDP(sport=5, dport=6) / Raw(b'hello'))
    lab.send('vif1', ether('lp1', 'lp2') / IP(src=IPS['lp1'], dst='10.0.1.1') /
             TCP(sport=1000, dport=80, flags='S', seq=1))


def zones_over_changes(checks, lab):
    before = lab.zones()
    checks.check('ovn-controller has written zones', {'lp1', 'lp2'} <= set(before), before)
    lab.become(incumbent=False)
    checks.equal('sluiced works in the zones of ovn-controller', lab.zone_list(), before)
    checks.equal('and leaves them in the database', lab.zones(), before)
    lab.become(incumbent=False)
    checks.equal('a restart changes none', lab.zone_list(), before)
    lab.nbctl('--wait=hv', 'set', 'Logical_Router', 'lr0', 'options:snat-ct-zone=778')
    router = lab.sbctl('--bare', '--columns=_uuid', 'find', 'Datapath_Binding',
                       'external_ids:name=lr0').strip()
    checks.within('a router gets the SNAT zone it asks for',
                  lambda: lab.zones().get(router + '_snat') == 778)
    now = lab.zones()
    lab.become(incumbent=True)
    checks.equal('ovn-controller works in the zones of sluiced', lab.zone_list(), now)
    lab.become(incumbent=False)


def entry(proto, zone, text):
    return lambda line: line.startswith(proto + ',') and ',zone=%d' % zone in line and text in line


def connections_by_command(checks, lab):
    zones = lab.zones()
    talk(lab)
    lines = lab.connections()
    checks.check('a datagram is in the zones of both ports',
                 any(map(entry('udp', zones['lp1'], 'sport=5,dport=6'), lines)) and
                 any(map(entry('udp', zones['lp2'], 'sport=5,dport=6'), lines)), '\n'.join(lines))
    vip = entry('tcp', zones['lp1'], 'dst=10.0.1.1,sport=1000,dport=80')
    checks.check('the balanced connection is known by its VIP', any(map(vip, lines)),
                 '\n'.join(lines))
    only = lab.connections('zone=%d' % zones['lp2'])
    checks.check('one zone alone', only and all(',zone=%d' % zones['lp2'] in x for x in only), only)
    report = json.loads(lab.control('hv1', 'sluice/conntrack', 'zone=lp1', 'proto=udp'))
    checks.equal('filters by the name of a port', [r['sport'] for r in report['connections']], [5])
    lab.control('hv1', 'dpctl/flush-conntrack', 'zone=%d' % zones['lp2'])
    checks.equal('a zone is flushed', lab.connections('zone=%d' % zones['lp2']), [])
    return vip


def flushed_with_owner(checks, lab, vip):
    lab.nbctl('--wait=hv', 'set', 'Load_Balancer', 'lb0', 'vips:"10.0.1.1:80"="10.0.0.1:8080"')
    checks.within('connections go with their backend (ct_flush)',
                  lambda: not any(map(vip, lab.connections())))
    checks.check('others stay', any(x.startswith('udp') for x in lab.connections()))
    talk(lab)
    zone = lab.zones()['lp2']
    checks.check('lp2 has connections', lab.connections('zone=%d' % zone))
    lab.nbctl('--wait=hv', 'lsp-del', 'lp2')
    checks.within('the zone goes with its port', lambda: 'lp2' not in lab.zones())
    checks.within('and so do its connections', lambda: not lab.connections('zone=%d' % zone))
    lab.nbctl('--wait=hv', 'lsp-add', 'sw0', 'lp2')
    checks.within('it gets a zone when it comes back', lambda: lab.zones().get('lp2'))
    lab.vsctl('hv1', 'set', 'Open_vSwitch', '.', 'external_ids:ct-zone-range=100-120')

    def in_range():
        return all(100 <= zone <= 120 or zone == 778 for zone in lab.zones().values())
    checks.within('zones follow ct-zone-range', in_range)


def datagrams(lab, count):
    """How many of so many new flows get a connection in the zone of lp1."""
    zone = lab.zones()['lp1']
    lab.control('hv1', 'dpctl/flush-conntrack')
    for sport in range(2000, 2000 + count):
        lab.send('vif1', ether('lp1', 'lp2') / IP(src=IPS['lp1'], dst=IPS['lp2']) /
                 UDP(sport=sport, dport=6) / Raw(b'hello'))
    lab.control('hv1', 'sync')
    return len(lab.connections('zone=%d' % zone))


def limited(checks, lab):
    checks.equal('without a limit every flow has a connection', datagrams(lab, 8), 8)
    lab.nbctl('--wait=hv', 'set', 'Logical_Switch_Port', 'lp1', 'options:ct-zone-limit=3')
    checks.within('ct-zone-limit of a port keeps the rest out', lambda: datagrams(lab, 8) == 3)
    told = [row for row in json.loads(lab.control('hv1', 'sluice/ct-zones'))['zones']
            if row['user'] == 'lp1']
    checks.equal('and is told', [row['limit'] for row in told], [3])
    lab.nbctl('--wait=hv', 'set', 'Logical_Switch_Port', 'lp1', 'options:ct-zone-limit=0')
    checks.within('0 is no limit', lambda: datagrams(lab, 8) == 8)
    lab.control('hv1', 'dpctl/flush-conntrack')
    lab.nbctl('--wait=hv', 'remove', 'Logical_Switch_Port', 'lp1', 'options', 'ct-zone-limit')


def replaced(checks, lab):
    """Another device under the same Interface: the logical port stays here, and so does its zone."""
    lab.control('hv1', 'dpctl/flush-conntrack')
    talk(lab)
    zone = lab.zones()['lp1']
    before = lab.connections('zone=%d' % zone)
    checks.check('lp1 has connections', before)
    log = lab.home('hv1') + '/sluiced.log'
    with open(log) as text:
        said = len(text.read())
    pcap = lab.home('hv1') + '/vif1-second.pcap'
    lab.vsctl('hv1', 'set', 'Interface', 'vif1', 'options:tx_pcap=' + pcap)
    checks.within('the new device is opened', lambda: os.path.exists(pcap))
    lab.sync()
    checks.equal('the connections of the port are still there',
                 sorted(lab.connections('zone=%d' % zone)), sorted(before))
    checks.equal('in the same zone', lab.zones()['lp1'], zone)
    with open(log) as text:
        news = text.read()[said:]
    checks.check('the port was not released for it',
                 'Releasing lport lp1' not in news and 'Claiming lport lp1' not in news, news)
    size = os.path.getsize(pcap)

    def answered():
        lab.send('vif2', ether('lp2', 'lp1') / IP(src=IPS['lp2'], dst=IPS['lp1']) /
                 UDP(sport=6, dport=5) / Raw(b'back'))
        return os.path.getsize(pcap) > size
    checks.within('and traffic goes on by the new device', answered)


def without_database(checks, lab):
    """sluiced that has no local database keeps its zones in a file."""
    home = lab.home('hv2')
    file = home + '/zones'
    words = ['--no-db', '--sb', 'unix:%s/central/db.sock' % lab.folder, '--system-id', 'hv2',
             '--encap-ip', '192.168.0.2', '--workers', '1', '--zones-file', file,
             '--port', 'x=dummy,iface-id=lp9']
    lab.nbctl('--wait=sb', 'lsp-add', 'sw0', 'lp9')

    def zones(daemon):
        return {line.split()[0]: int(line.split()[1])
                for line in unixctl(daemon.ctl, 'ct-zone-list').splitlines() if line.strip()}

    def start():
        daemon = lab.daemon('hv2', 'sluiced', *words, program=lab.program)
        lab.wait(lambda: os.path.exists(daemon.ctl), 'its socket')
        lab.wait(lambda: 'lp9' in zones(daemon), 'a zone for lp9')
        return daemon

    first = start()
    before = zones(first)
    lab.wait(lambda: os.path.exists(file), 'the zones file')
    with open(file) as text:
        checks.check('the file says the zone', 'lp9' in text.read())
    lab.end(first, '--restart')
    # A port that comes before the other in every order would take its zone if none were kept.
    lab.nbctl('--wait=sb', 'lsp-add', 'sw0', 'lp0')
    words.extend(['--port', 'w=dummy,iface-id=lp0'])
    second = start()
    lab.wait(lambda: 'lp0' in zones(second), 'a zone for lp0')
    after = zones(second)
    checks.equal('a restart changes no zone', {k: after[k] for k in before}, before)
    checks.check('a new port has its own', after['lp0'] not in before.values(), after)
    lab.end(second)


def test(checks):
    lab = Lab(SPEC)
    lab.incumbent = True
    with lab:
        lab.start()
        zones_over_changes(checks, lab)
        limited(checks, lab)
        replaced(checks, lab)
        without_database(checks, lab)
        flushed_with_owner(checks, lab, connections_by_command(checks, lab))


if __name__ == '__main__':
    run(test)
