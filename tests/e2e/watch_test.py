#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Conversations that take time, on in-memory devices: health checks of backends, BFD of a static
route, IPFIX samples, IGMP rows that age, seen in the Southbound database and by tshark.

  watch_test.py [--reference] [WORD...]    with --reference the same on Open vSwitch and OVN, whose
                                           claims these are; WORDs choose tests
"""
import os
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'conformance')]

from checks import Checks  # noqa: E402
from hypervisor import Reference, Sluice  # noqa: E402
from topologies import at, routed, switched  # noqa: E402
from traffic import ICMP, IP, TCP, UDP, Ether, Raw  # noqa: E402
from scapy.contrib.igmp import IGMP  # noqa: E402
from scapy.utils import wrpcap  # noqa: E402

BFD_PORT = 3784


class Talk:
    """A running hypervisor whose ports the test answers for."""

    def __init__(self, kind, spec):
        self.lab = kind(spec)

    def __enter__(self):
        self.lab.__enter__()
        self.lab.start()
        return self

    def __exit__(self, *args):
        return self.lab.__exit__(*args)

    def send(self, step):
        port, frame = step[:2]
        self.lab.control(self.lab.owner[port], 'netdev-dummy/receive', port, frame)

    def until(self, done, reply=None, timeout_s=20):
        """Lets `reply(port, packet)` answer what comes out, until done() holds."""
        end = time.time() + timeout_s
        while time.time() < end:
            for port, frames in self.lab.collect().items():
                for frame in frames if port != 'wire' else []:
                    answer = reply(port, Ether(bytes.fromhex(frame))) if reply else None
                    if answer is not None:
                        self.send([port, bytes(answer).hex()])
            if done():
                return True
            time.sleep(0.02)
        return False

    def column(self, table, column):
        return self.lab.sbctl('--bare', '--columns=' + column, 'list', table).split()

    def find(self, table, column, *conditions):
        return self.lab.sbctl('--bare', '--columns=' + column, 'find', table, *conditions).split()


# Health checks --------------------------------------------------------------------------------

def accept(packet):
    """SYN+ACK for a SYN."""
    tcp = packet[TCP]
    return (Ether(src=packet.dst, dst=packet.src) / IP(src=packet[IP].dst, dst=packet[IP].src)
            / TCP(sport=tcp.dport, dport=tcp.sport, flags='SA', seq=1000, ack=tcp.seq + 1))


def refuse(packet):
    """"Port unreachable" for a datagram."""
    return (Ether(src=packet.dst, dst=packet.src) / IP(src=packet[IP].dst, dst=packet[IP].src)
            / ICMP(type=3, code=3) / Raw(bytes(packet[IP])))


def test_health(checks, kind):
    net = switched(1, 2, 3)
    check = ('--id=@hc create load_balancer_health_check vip="30.0.0.1\\:%d" options:interval=1 '
             'options:timeout=1 options:success_count=1 options:failure_count=2 '
             '-- add load_balancer %s health_check @hc')
    spec = net.spec([], nb=[
        'set nb_global . options:svc_monitor_mac="00:00:00:00:fe:01"',
        'lb-add lb0 30.0.0.1:80 10.0.1.2:80 tcp', 'ls-lb-add s1 lb0',
        'lb-add lb1 30.0.0.1:53 10.0.1.3:53 udp', 'ls-lb-add s1 lb1',
        'set load_balancer lb0 ip_port_mappings:10.0.1.2=lp2:10.0.1.200',
        'set load_balancer lb1 ip_port_mappings:10.0.1.3=lp3:10.0.1.200',
        check % (80, 'lb0'), check % (53, 'lb1')])
    with Talk(kind, spec) as talk:
        seen = {'probe': None, 'reset': False, 'datagram': None, 'tcp': True, 'udp': True}

        def reply(port, packet):
            if TCP in packet and packet[TCP].flags == 'S':
                seen['probe'] = packet
                return accept(packet) if seen['tcp'] else None
            if TCP in packet and packet[TCP].flags == 'RA':
                seen['reset'] = True
            if UDP in packet and packet[UDP].dport == 53:
                seen['datagram'] = packet
                return None if seen['udp'] else refuse(packet)
            return None

        def status(protocol, wanted):
            return lambda: talk.find('Service_Monitor', 'status',
                                     'protocol=' + protocol) == [wanted]

        checks.check('a TCP backend that accepts is online',
                     talk.until(status('tcp', 'online'), reply))
        probe = seen['probe']
        checks.equal('the probe comes from the configured address',
                     probe and (probe.src, probe[IP].src, probe[TCP].dport),
                     ('00:00:00:00:fe:01', '10.0.1.200', 80))
        checks.check('its connection is reset', talk.until(lambda: seen['reset'], reply))
        checks.check('a silent UDP backend is online', talk.until(status('udp', 'online'), reply))
        checks.equal('UDP probes are eight zero bytes',
                     seen['datagram'] and bytes(seen['datagram'][UDP].payload), bytes(8))
        seen['tcp'] = seen['udp'] = False
        checks.check('a TCP backend that is silent goes offline',
                     talk.until(status('tcp', 'offline'), reply))
        checks.check('a UDP backend whose port is closed goes offline',
                     talk.until(status('udp', 'offline'), reply))
        seen['tcp'] = True
        checks.check('and comes back', talk.until(status('tcp', 'online'), reply))


# BFD ------------------------------------------------------------------------------------------

class BfdPeer:
    """The other end of a session: three states, RFC 5880 6.2, and nothing else."""

    DOWN, INIT, UP = 1, 2, 3

    def __init__(self):
        self.state, self.heard, self.polled = self.DOWN, None, 0

    def reply(self, _port, packet):
        if UDP not in packet or packet[UDP].dport != BFD_PORT:
            return None
        body = bytes(packet[UDP].payload)
        self.heard, theirs = packet, body[1] >> 6
        if self.state == self.DOWN:
            self.state = {1: self.INIT, 2: self.UP}.get(theirs, self.DOWN)
        elif self.state == self.INIT and theirs >= 2:
            self.state = self.UP
        elif self.state == self.UP and theirs <= 1:
            self.state = self.DOWN
        out = bytes([0x20, self.state << 6, 3, 24]) + (77).to_bytes(4, 'big') + body[4:8]
        out += (100000).to_bytes(4, 'big') * 2 + bytes(4)
        return (Ether(src=packet.dst, dst=packet.src)
                / IP(src=packet[IP].dst, dst=packet[IP].src, ttl=255)
                / UDP(sport=49999, dport=BFD_PORT) / Raw(out))


def test_bfd(checks, kind):
    net = routed([1], [2])
    spec = net.spec([], nb=[
        'set logical_router r options:chassis=hv1',
        '--bfd lr-route-add r 20.0.0.0/16 10.0.2.2 r-s2'])
    with Talk(kind, spec) as talk:
        row = talk.lab.nbctl('--bare', '--columns=_uuid', 'list', 'bfd').strip()
        talk.lab.nbctl('set', 'bfd', row, 'min_tx=200', 'min_rx=200', 'detect_mult=3')
        talk.lab.sync()
        peer = BfdPeer()

        def status(wanted):
            return lambda: talk.column('BFD', 'status') == [wanted]

        checks.check('the session comes up', talk.until(status('up'), peer.reply))
        talk.until(lambda: peer.heard and bytes(peer.heard[UDP].payload)[8:12] != bytes(4),
                   peer.reply)
        packet = peer.heard
        checks.equal('its packets are RFC 5881\'s', packet and (
            packet[IP].ttl, packet[IP].src, packet[IP].dst, packet[UDP].sport >= 49152,
            len(packet[UDP].payload)), (255, '10.0.2.254', '10.0.2.2', True, 24))
        body = bytes(packet[UDP].payload)
        checks.equal('with our discriminator, the peer\'s and the configured times',
                     (int.from_bytes(body[4:8], 'big'), int.from_bytes(body[8:12], 'big'),
                      int.from_bytes(body[12:16], 'big'), int.from_bytes(body[16:20], 'big'),
                      body[2]),
                     (int(talk.column('BFD', 'disc')[0]), 77, 200000, 200000, 3))
        checks.check('silence takes it down', talk.until(status('down')))
        peer = BfdPeer()
        checks.check('and it comes up again', talk.until(status('up'), peer.reply))
        a = net.hosts[1]
        talk.lab.sync()
        got = []

        def catch(port, packet):
            if UDP in packet and packet[UDP].dport == 4321:
                got.append(packet)
            return peer.reply(port, packet)

        talk.send(a.udp(at('20.0.0.1', a), dport=4321))
        checks.check('the route is used while it is up', talk.until(lambda: got, catch))
        talk.lab.nbctl('lr-route-del', 'r', '20.0.0.0/16')
        talk.lab.sync()
        checks.check('the row goes with the route',
                     talk.until(lambda: not talk.column('BFD', 'status'), peer.reply))
        talk.lab.sync()
        talk.until(lambda: False, timeout_s=0.5)
        peer.heard = None
        talk.until(lambda: peer.heard, peer.reply, timeout_s=2)
        checks.check('and so does the session', peer.heard is None)


# IPFIX ----------------------------------------------------------------------------------------

FIELDS = ['cflow.od_id', 'cflow.observation_point_id', 'cflow.srcmac', 'cflow.srcaddr',
          'cflow.dstaddr', 'cflow.protocol', 'cflow.srcport', 'cflow.dstport', 'cflow.ip_ttl']


def decode(messages):
    """Records as tshark reads them: one line for each packet that has any."""
    with tempfile.TemporaryDirectory() as folder:
        path = folder + '/ipfix.pcap'
        wrpcap(path, [Ether() / IP(src='127.0.0.1', dst='127.0.0.1')
                      / UDP(sport=4000, dport=4739) / Raw(m) for m in messages])
        words = ['tshark', '-r', path, '-Y', 'cflow.srcaddr', '-T', 'fields']
        for field in FIELDS:
            words += ['-e', field]
        text = subprocess.run(words, capture_output=True, text=True).stdout
        expert = subprocess.run(['tshark', '-r', path, '-Y', '_ws.malformed or _ws.expert.severity'
                                 ' >= warning'], capture_output=True, text=True).stdout
    return [dict(zip(FIELDS, line.split('\t'))) for line in text.splitlines()], expert


def test_ipfix(checks, kind):
    net = switched(1, 2)
    a, b = net.hosts[1], net.hosts[2]
    collector = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    collector.bind(('127.0.0.1', 0))
    collector.setblocking(False)
    spec = net.spec([], nb=[
        'set nb_global . options:debug_drop_collector_set=123 options:debug_drop_domain_id=45',
        "acl-add s1 from-lport 1000 'udp.dst == 9' drop"])
    with Talk(kind, spec) as talk:
        talk.lab.vsctl('hv1', '--id=@i', 'create', 'IPFIX',
                       'targets="127.0.0.1:%d"' % collector.getsockname()[1],
                       '--', '--id=@b', 'get', 'Bridge', 'br-int',
                       '--', 'create', 'Flow_Sample_Collector_Set', 'id=123', 'bridge=@b',
                       'ipfix=@i')
        talk.lab.sync()
        messages = []

        def received():
            try:
                while True:
                    messages.append(collector.recv(65536))
            except BlockingIOError:
                return bool(decode(messages)[0])

        end = time.time() + 20
        while not received() and time.time() < end:
            talk.send(a.udp(b, dport=9))
            time.sleep(0.3)
        records, expert = decode(messages)
        checks.check('dropped packets are exported', records, messages)
        if not records:
            return
        flows = talk.find('Logical_Flow', '_uuid', 'match="udp.dst == 9"', 'actions!=""')
        datapath = int(talk.column('Datapath_Binding', 'tunnel_key')[0])
        record = records[0]
        checks.equal('the domain is the configured one and the datapath',
                     int(record['cflow.od_id']), 45 << 24 | datapath)
        cookies = {uuid[:8] for uuid in talk.column('Logical_Flow', '_uuid')}
        checks.check('the point is the flow that dropped',
                     '%08x' % int(record['cflow.observation_point_id']) in cookies,
                     (record, flows))
        checks.equal('the record has the packet',
                     [record[f] for f in FIELDS[2:]],
                     [a.mac, a.ip, b.ip, '17', '1000', '9', '64'])
        if kind is Sluice:
            checks.equal('tshark finds nothing to complain about', expert, '')
    collector.close()


# IGMP -----------------------------------------------------------------------------------------

def test_igmp(checks, kind):
    net = switched(1, 2)
    a = net.hosts[1]
    spec = net.spec([], nb=['set logical_switch s1 other_config:mcast_snoop=true '
                            'other_config:mcast_querier=false other_config:mcast_idle_timeout=15'])

    def report(group):
        return a.send(Ether(src=a.mac, dst='01:00:5e:01:01:01')
                      / IP(src=a.ip, dst=group, ttl=1, options=[b'\x94\x04\0\0'])
                      / IGMP(type=0x16, gaddr=group, mrcode=0))

    with Talk(kind, spec) as talk:
        def addresses():
            return sorted(talk.column('IGMP_Group', 'address'))

        checks.check('the switch has a row for its routers',
                     talk.until(lambda: addresses() == ['mrouters']))
        talk.send(report('239.1.1.1'))
        checks.check('a report makes a row',
                     talk.until(lambda: addresses() == ['239.1.1.1', 'mrouters']))
        port = talk.find('Port_Binding', '_uuid', 'logical_port=lp1')
        checks.equal('with the port', talk.find('IGMP_Group', 'ports', 'address=239.1.1.1'), port)
        checks.check('that goes when nobody reports any more',
                     talk.until(lambda: addresses() == ['mrouters'], timeout_s=90))
        talk.send(report('239.1.1.1'))
        talk.until(lambda: '239.1.1.1' in addresses())
        talk.lab.sbctl('ip-multicast-flush')
        checks.check('ip-multicast-flush forgets it',
                     talk.until(lambda: addresses() == ['mrouters']))
        talk.lab.nbctl('set', 'logical_switch', 's1', 'other_config:mcast_snoop=false')
        checks.check('without snooping there are no rows', talk.until(lambda: addresses() == []))


TESTS = {'health': test_health, 'bfd': test_bfd, 'ipfix': test_ipfix, 'igmp': test_igmp}


def main():
    words = sys.argv[1:]
    kind = Reference if '--reference' in words else Sluice
    chosen = [w for w in words if w in TESTS] or list(TESTS)
    checks = Checks()
    for name in chosen:
        TESTS[name](checks, kind)
    return checks.finish()


if __name__ == '__main__':
    sys.exit(main())
