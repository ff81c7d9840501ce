#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Random topologies and packets for the differential test, each from a seed.

generate.py SEED [--packets N] prints the SPEC

A topology has a distributed router or none, one to three switches with hosts, and by chance: a
physical network behind a gateway, ACLs of all verdicts over sets and groups, load balancers,
NAT of all kinds, DHCP, DNS, policies, static routes, QoS, multicast snooping, a remote
chassis. Packets are conversations that fit the topology, with answers by who really
received the packet (ref_hv.py, "answer"), and random or damaged frames between them.

The same seed gives the same SPEC. Tunnel keys are asked for, so they do not depend on the order
in which northd comes by the rows. run.py --generated plays them.
"""
import argparse
import json
import random
import sys

from topologies import OUTSIDE, PHYSICAL, Net, answer, at, choice, gateway, public
from traffic import (ARP, BROADCAST, ICMP, IP, TCP, UDP, Dot1Q, Ether, Host, ICMPv6EchoRequest,
                     IPv6, Raw, SCTPChunkInit, mac, payload, router_port, switch_port)

BARRIER = 0xee      # number of the host whose DHCP request is the barrier
MEMBERS = (0x71, 0x72)  # numbers of the hosts that are the two ways of a multipath route


class Topology(Net):
    """A random network, and the words to make traffic in it."""

    def __init__(self, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.remote = []
        self.has_choices = False
        self.vips = []      # (address, port or None, protocol)
        self.fips = []      # floating addresses
        self.outside = None
        self.far = []       # hosts on the remote chassis
        self.groups = {}    # switch -> numbers of its hosts
        self.ways = []      # the hosts that a multipath route chooses among
        self.switches()
        if self.is_routed:
            self.routing()
            self.multipath(random.Random('ways of %d' % seed))
        self.access_lists()
        self.balancers()
        self.services()
        self.barrier()

    def maybe(self, probability):
        return self.random.random() < probability

    # The network -------------------------------------------------------------------------------

    def switches(self):
        count = self.random.choice([1, 1, 2, 2, 3])
        self.is_routed = count > 1 or self.maybe(0.3)
        if self.is_routed:
            self.nb.append('lr-add r -- set logical_router r options:requested-tnl-key=40')
        number = 0
        for switch in range(1, count + 1):
            name = 's%d' % switch
            self.nb.append('ls-add %s -- set logical_switch %s other_config:requested-tnl-key=%d'
                           % (name, name, 10 + switch))
            if self.is_routed:
                self.nb += router_port('r', name, gateway(switch),
                                       '10.0.%d.254/24 fd%02d::ff/64' % (switch, switch))
                self.nb.append('set logical_switch_port %s-r options:requested-tnl-key=100' % name)
            self.groups[switch] = []
            for _ in range(self.random.randint(1, 3)):
                number += 1
                self.host(number, switch, router=self.is_routed)
                self.groups[switch].append(number)
                self.nb.append('set logical_switch_port lp%d options:requested-tnl-key=%d'
                               % (number, 200 + number))
                if self.maybe(0.3):
                    h = self.hosts[number]
                    self.nb.append('lsp-set-port-security lp%d "%s %s %s"' % (number, h.mac, h.ip,
                                                                            h.ip6))
        if self.maybe(0.3):
            number += 1
            self.far.append(self.host(number, 1, router=self.is_routed))
            self.nb.append('set logical_switch_port lp%d options:requested-tnl-key=%d'
                % (number, 200 + number))
            del self.interfaces['v%d' % number], self.hosts[number]
            self.remote = [{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02',
                            'ports': ['lp%d' % number]}]

    def any_host(self):
        return self.hosts[self.random.choice(sorted(self.hosts))]

    def other_host(self, host):
        others = [h for h in self.hosts.values() if h is not host] + self.far
        return self.random.choice(others) if others else self.any_host()

    def routing(self):
        if self.maybe(0.6):
            self.outside = public(self, kind=self.random.choice(['distributed', 'gateway']))
            self.nb += ['set logical_switch pub other_config:requested-tnl-key=30',
                        'set logical_switch_port pub-r options:requested-tnl-key=100',
                        'set logical_switch_port ln options:requested-tnl-key=101']
            self.translations()
        for n in range(self.random.randint(0, 3)):
            target = self.any_host()
            if self.maybe(0.5):
                self.nb.append('--may-exist lr-route-add r 20.0.%d.0/24 %s'
                    % (n, self.random.choice(
                    [target.ip, 'discard'])))
            else:
                self.nb.append('--may-exist lr-route-add r fd20:%d::/64 %s' % (n, target.ip6))
        for n in range(self.random.randint(0, 2)):
            match = '%s && %s' % (self.address_match('src'), self.random.choice(
                ['udp.dst == 53', 'tcp', 'ip.ttl == 46', 'ip4', '1']))
            verdict = self.random.choice(['allow', 'drop', 'reroute ' + self.any_host().ip])
            self.nb.append("lr-policy-add r %d 'ip4 && %s' %s" % (1000 - n, match, verdict))

    def multipath(self, own_random):
        """Two ways to 21.0.0.0/16 and fd21::/64, by hosts that do nothing else."""
        if own_random.random() > 0.4:
            return
        switch = own_random.choice(sorted(self.groups))
        kind = own_random.choice(['--ecmp', '--ecmp', '--ecmp-symmetric-reply'])
        for number in MEMBERS:
            way = self.host(number, switch)
            self.nb.append('set logical_switch_port lp%d options:requested-tnl-key=%d'
                           % (number, 200 + number))
            self.nb += ['%s lr-route-add r 21.0.0.0/16 %s' % (kind, way.ip),
                        '%s lr-route-add r fd21::/64 %s' % (kind, way.ip6)]
            self.ways.append(self.hosts.pop(number))

    def translations(self):
        is_gateway = any('options:chassis=hv1' in line for line in self.nb)
        if self.maybe(0.6):
            self.nb.append('lr-nat-add r snat 172.16.0.60 10.0.0.0/16')
        for n, number in enumerate(sorted(self.hosts)[:3]):
            if not self.maybe(0.5):
                continue
            host, ip = self.hosts[number], '172.16.0.%d' % (81 + n)
            words = '--stateless ' if self.maybe(0.2) else ''
            tail = '' if is_gateway or self.maybe(0.5) else ' lp%d 00:00:00:00:aa:%02x' % (number,
                n)
            self.nb.append('%slr-nat-add r dnat_and_snat %s %s%s' % (words, ip, host.ip, tail))
            if not tail:
                self.fips.append(ip)
        if is_gateway and self.maybe(0.3):
            self.nb.append('lr-nat-add r dnat 172.16.0.70 %s' % self.any_host().ip)
            self.fips.append('172.16.0.70')

    # Who may talk ------------------------------------------------------------------------------

    def address_match(self, side):
        host = self.any_host()
        return self.random.choice([
            'ip4.%s == %s' % (side, host.ip), 'ip4.%s == 10.0.0.0/16' % side,
            'ip4.%s == $some' % side, 'ip4.%s == {%s, %s}' % (side, host.ip, self.any_host().ip)])

    def access_lists(self):
        numbers = sorted(self.hosts)
        some = self.random.sample(numbers, self.random.randint(1, len(numbers)))
        # First of all: policies may name it too, and ovn-controller complains of unknown names.
        self.nb.insert(0, 'create address_set name=some addresses='
                       + ','.join(self.hosts[n].ip for n in some))
        self.nb.append('pg-add pg ' + ' '.join('lp%d' % n for n in self.random.sample(
            numbers, self.random.randint(1, len(numbers)))))
        if self.maybe(0.25):
            return
        used = set()
        for _ in range(self.random.randint(1, 8)):
            self.access_list(used)

    def access_list(self, used):
        direction = self.random.choice(['from-lport', 'to-lport'])
        port = 'inport' if direction == 'from-lport' else 'outport'
        where = self.random.choice(['s%d' % s for s in self.groups] + ['pg'])
        number = self.random.choice(sorted(self.hosts))
        place = '%s == @pg' % port if where == 'pg' else self.random.choice(
            ['%s == "lp%d"' % (port, number), 'ip'])
        what = self.random.choice([
            'ip4', 'ip6', 'ip', 'udp', 'tcp', 'icmp', 'tcp.dst == {80, 443}', 'udp.dst == 53',
            '1000 <= udp.src <= 1003', 'icmp4.type == 8', 'sctp', 'ip.is_frag',
            'tcp.flags == 0x2/0x12', 'ip.ttl == {1, 46}', self.address_match('src'),
            self.address_match('dst'), 'udp && ' + self.address_match('src')])
        verdict = self.random.choice(['allow', 'allow-related', 'allow-related', 'allow-related',
                                      'drop', 'drop', 'reject', 'allow-stateless'])
        priority = self.random.randint(100, 1000)
        if priority in used:        # OVN leaves open which of two equal priorities wins
            return
        used.add(priority)
        self.nb.append("acl-add %s %s %d '%s && %s' %s" % (where, direction, priority, place, what,
                                                         verdict))

    # Services ----------------------------------------------------------------------------------

    def balancers(self):
        pool = sorted(self.hosts)
        for n in range(self.random.choice([0, 0, 1, 1, 2, 3])):
            v6 = self.maybe(0.25)
            protocol = self.random.choice(['tcp', 'udp', 'tcp', 'udp', 'sctp', None])
            on_router = self.is_routed and self.outside and self.maybe(0.4)
            ip = ('fd99::%x' % (0x100 + n) if v6 else '172.16.0.%d' % (100 + n)) if on_router else (
                'fd30::%x' % (n + 1) if v6 else '30.0.0.%d' % (n + 1))
            members = [self.hosts[m] for m in self.random.sample(
                pool, min(len(pool), self.random.choice([0, 1, 1, 2, 2, 3])))]
            port = 80 if protocol else None
            wrap = '[%s]' if v6 else '%s'
            vip = wrap % ip + ':80' if port else ip
            backends = ','.join((wrap % (h.ip6 if v6 else h.ip) + ':8080') if port else
                                (h.ip6 if v6 else h.ip) for h in members)
            words = '--reject ' if not members else ''
            if not members and not port:
                continue
            self.nb.append("%slb-add lb%d '%s' '%s' %s" % (words, n, vip, backends, protocol or ''))
            if on_router:
                self.nb.append('lr-lb-add r lb%d' % n)
            if not on_router or self.maybe(0.5):
                self.nb += ['ls-lb-add s%d lb%d' % (s, n) for s in self.groups]
            self.vips.append((ip, port, protocol))
            self.has_choices |= len(members) > 1

    def services(self):
        for switch, numbers in self.groups.items():
            if self.maybe(0.3):
                self.nb.append(
                    '--id=@d%d create DHCP_Options cidr=10.0.%d.0/24 options:server_id=10.0.%d.254 '
                    'options:server_mac=%s options:lease_time=3600 options:router=10.0.%d.254 '
                    '-- set logical_switch_port lp%d dhcpv4_options=@d%d'
                    % (switch, switch, switch, gateway(switch), switch, numbers[0], switch))
            if self.maybe(0.2):
                self.nb.append('--id=@n%d create DNS records="{\\"vm.test\\"=\\"%s\\"}" '
                               '-- add logical_switch s%d dns_records @n%d'
                               % (switch, self.any_host().ip, switch, switch))
            if self.maybe(0.2):
                self.nb.append("qos-add s%d from-lport 100 '%s' dscp=%d" % (
                    switch, self.address_match('src'), self.random.randint(1, 63)))
            if self.maybe(0.15):
                self.nb.append('set logical_switch s%d other_config:mcast_snoop=true '
                               'other_config:mcast_querier=false '
                               'other_config:mcast_flood_unregistered=%s'
                               % (switch, self.random.choice(['true', 'false'])))

    def barrier(self):
        """A switch of its own, whose DHCP is the last thing that the controller does for a step."""
        self.nb += [
            'ls-add barrier -- set logical_switch barrier other_config:requested-tnl-key=99']
        self.nb += switch_port('barrier', 'barrier', '%s 10.99.0.1' % mac(BARRIER))
        self.nb += ['--id=@d create DHCP_Options cidr=10.99.0.0/24 options:server_id=10.99.0.254 '
                    'options:server_mac=00:00:00:00:ff:ee options:lease_time=3600 '
                    '-- set logical_switch_port barrier dhcpv4_options=@d']
        self.nb.append(
            'lsp-add barrier bn -- lsp-set-type bn localnet -- lsp-set-addresses bn unknown '
                       '-- lsp-set-options bn network_name=phys -- set logical_switch_port bn '
                       'tag=999')
        self.interfaces['barrier'] = 'barrier'

    # Traffic -----------------------------------------------------------------------------------

    def target(self, host):
        """Somebody to talk to, maybe by another address: (Host, is it on host's own switch)."""
        kinds = ['host'] * 4
        kinds += ['vip'] * 3 if self.vips else []
        kinds += ['out'] * 2 if self.outside else []
        kinds += ['fip'] if self.fips else []
        kinds += ['way'] * 2 if self.ways else []
        kinds += ['router', 'nowhere'] if self.is_routed else []
        kind = self.random.choice(kinds)
        if kind == 'vip':
            ip, port, _ = self.random.choice(self.vips)
            other = at(ip, self.other_host(host))
            other.is_vip, other.port = True, port
            return other
        if kind == 'out' and host is not self.outside:
            return self.outside
        if kind == 'fip':
            return at(self.random.choice(self.fips), self.outside)
        if kind == 'way':
            other = at('21.0.0.%d' % self.random.randint(1, 9), host)
            other.ip6 = 'fd21::%x' % self.random.randint(1, 9)
            return other
        if kind == 'router':
            return at('10.0.%d.254' % self.random.choice(sorted(self.groups)), host)
        if kind == 'nowhere':
            return at(self.random.choice(['20.0.0.7', '20.0.1.7', '20.0.2.7', '77.0.0.1']), host)
        return self.other_host(host)

    def conversation(self):
        """A few steps between two hosts."""
        host = self.outside if self.outside and self.maybe(0.25) else self.any_host()
        to = self.target(host)
        sport = self.random.choice([1000, 1001, 1002, 1003, 40000])
        dport = self.random.choice([53, 80, 443, 8080, 2000])
        if getattr(to, 'is_vip', False):
            dport = to.port or dport
            sixth = ':' in str(to.ip6) and to.ip6.startswith(('fd30', 'fd99'))
        else:
            sixth = self.maybe(0.3) and to.ip6 is not None
        ttl = self.random.choice([64, 64, 64, 64, 64, 46, 2, 1])
        v6 = {'hlim': ttl} if sixth else {'ttl': ttl}
        kind = self.random.choice(['udp', 'udp', 'tcp', 'tcp', 'ping', 'sctp', 'error'])
        if kind == 'udp':
            step = (host.udp6 if sixth else host.udp)(to, sport, dport,
                self.random.choice([0, 18, 500, 1300]), **v6)
            return [step, answer(), step]
        if kind == 'tcp':
            if sixth:
                return [host.tcp6(to, sport, dport), answer(), host.tcp6(to, sport, dport, 'A')]
            steps = [host.segment(to, 'S', 1, 0, sport=sport, dport=dport), answer(),
                     host.segment(to, 'A', 2, 5001, sport=sport, dport=dport),
                     host.segment(to, 'PA', 2, 5001, b'GET / HTTP/1.0', sport, dport),
                     answer(tcp='PA'),
                     host.segment(to, 'FA', 16, 5007, sport=sport, dport=dport), answer(tcp='FA')]
            return steps[:self.random.randint(1, len(steps))]
        if kind == 'ping':
            return [self.ping(host, to, sixth, v6), answer()]
        if kind == 'sctp' and not sixth:
            return [host.sctp(to, SCTPChunkInit(init_tag=7), 0, sport, dport), answer()]
        step = (host.udp6 if sixth else host.udp)(to, sport, dport)
        return [step, answer(error=self.random.choice(['port', 'host', 'ttl']))]

    def ping(self, host, to, sixth, fields):
        ident = self.random.randint(1, 3)
        body = ICMPv6EchoRequest(id=ident, seq=1) if sixth else ICMP(type=8, id=ident, seq=1)
        network = (IPv6(src=host.ip6, dst=to.ip6, **fields) if sixth
                   else IP(src=host.ip, dst=to.ip, **fields))
        return host.send(host.ether(to) / network / body / payload(16))

    def oddity(self):
        """A frame that no well-behaved host sends, or a broadcast."""
        host = self.any_host()
        other = self.other_host(host)
        choices = [
            lambda: host.udp(other, link=host.ether(BROADCAST)),
            lambda: host.arp(self.random.choice([other.ip, '10.0.1.254', '10.0.1.99',
            '172.16.0.60'])),
            lambda: host.solicit(self.random.choice([other.ip6, 'fd01::ff', 'fd01::99'])),
            lambda: host.send(Ether(src=host.mac, dst=other.mac, type=0x88b5) / payload(46)),
            lambda: host.udp(other, src='10.0.1.77'), lambda: host.udp(other, src=other.ip),
            lambda: host.udp(other, link=Ether(src='50:54:00:00:00:99', dst=other.mac)),
            lambda: host.udp(other, frag=3), lambda: host.udp(other, tos=0xb8, ttl=255),
            lambda: host.send(host.ether(other) / Dot1Q(vlan=7) / IP(src=host.ip, dst=other.ip)
            / UDP()),
            lambda: host.send(host.ether(other) / IP(src=host.ip, dst=other.ip) / TCP(flags=0)),
            lambda: host.send(host.ether(other) / IP(src=host.ip, dst=other.ip, proto=47)
            / payload(20)),
            lambda: host.send(Ether(src=host.mac, dst='01:00:5e:01:01:01')
                              / IP(src=host.ip, dst='239.1.1.1', ttl=4) / UDP(sport=9, dport=9)
                              / payload(9)),
            lambda: host.send(Ether(src=host.mac, dst=BROADCAST)
                              / ARP(op=1, hwsrc=host.mac, psrc=host.ip, pdst=host.ip)),
            lambda: self.damaged(host.udp(other)), lambda: self.damaged(host.tcp6(other)),
            lambda: self.damaged(host.arp(other.ip))]
        return [self.random.choice(choices)()]

    def damaged(self, step):
        data = bytearray.fromhex(step[1])
        if self.maybe(0.5):
            del data[self.random.randint(14, len(data)):]
        else:
            for _ in range(self.random.randint(1, 3)):
                data[self.random.randint(12, len(data) - 1)] = self.random.randint(0, 255)
        return [step[0], bytes(data).hex()]

    def packets(self, count):
        steps = []
        while len(steps) < count:
            steps += self.conversation() if self.maybe(0.75) else self.oddity()
        return steps[:count]


def barrier_packet():
    from scapy.layers.dhcp import BOOTP, DHCP
    own = mac(BARRIER)
    return ['barrier', bytes(
        Ether(src=own, dst=BROADCAST) / IP(src='0.0.0.0', dst='255.255.255.255')
        / UDP(sport=68, dport=67) / BOOTP(chaddr=bytes.fromhex(own.replace(':', '')), xid=1)
        / DHCP(options=[('message-type', 'discover'), 'end'])).hex()]


def generate(seed, count=200):
    topology = Topology(seed)
    over = ['barrier', bytes(Ether(src=mac(BARRIER), dst=BROADCAST, type=0x88b7)
                             / Raw(b'the barrier of this run' * 3)).hex()]
    words = dict(PHYSICAL, any_order=True, together=True, barrier={'packet': barrier_packet(), 'wire': over})
    if topology.has_choices:
        words['steer'] = True
    if topology.ways:
        words['alternatives'] = [choice(*topology.ways)]
    if topology.remote:
        words['remote'] = topology.remote
    return topology.spec(topology.packets(count), **words)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('seed', type=int)
    parser.add_argument('--packets', type=int, default=200)
    args = parser.parse_args()
    json.dump(generate(args.seed, args.packets), sys.stdout, indent=1)
    return 0


if __name__ == '__main__':
    sys.exit(main())
