# SPDX-License-Identifier: Apache-2.0
"""Names by dns_lookup(): address and pointer records, several answers, both families, any case; what is
not known, not asked for or malformed goes on to the server it was sent to."""
from topologies import routed
from traffic import IP, UDP, Ether, IPv6, Raw

net = routed([1, 2], [3])
a, b, c = net.hosts[1], net.hosts[2], net.hosts[3]
A, NS, CNAME, PTR, TXT, AAAA, SRV, ANY = 1, 2, 5, 12, 16, 28, 33, 255


def name(text):
    return b''.join(bytes([len(label)]) + label.encode() for label in text.split('.') if label) + b'\0'


def message(text, kind, cls=1, ident=0x4242, flags=0x0100, counts=(1, 0, 0, 0), tail=b''):
    head = ident.to_bytes(2, 'big') + flags.to_bytes(2, 'big') + b''.join(n.to_bytes(2, 'big') for n in counts)
    return head + (text if isinstance(text, bytes) else name(text)) + kind.to_bytes(2, 'big') + cls.to_bytes(
        2, 'big') + tail


def ask(text, kind=A, host=a, **words):
    return over4(message(text, kind, **words), host)


def over4(payload, host=a, **udp):
    return host.send(Ether(src=host.mac, dst=host.gateway_mac) / IP(src=host.ip, dst='10.0.2.53')
                     / UDP(**{'sport': 5353, 'dport': 53, **udp}) / Raw(payload))


def ask6(text, kind=A, host=a, **words):
    return host.send(Ether(src=host.mac, dst=host.gateway_mac) / IPv6(src=host.ip6, dst='fd02::53')
                     / UDP(sport=5353, dport=53) / Raw(message(text, kind, **words)))


def records(switch, names):
    """The nb line that gives a switch a row of DNS."""
    text = ','.join('"%s"="%s"' % pair for pair in names.items())
    return "--id=@d create dns 'records={%s}' -- add logical_switch %s dns_records @d" % (text, switch)


EDNS = b'\0\0\x29\x10\0\0\0\0\0\0\0'
COOKIE = b'\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08' + bytes(range(8))
GOOD = message('one.ovn.org', A)

SPEC = net.spec([
    *[f(n, kind) for n in ('one.ovn.org', 'two.ovn.org', 'six.ovn.org', 'both.ovn.org', 'nobody.ovn.org', 'ovn.org')
      for kind in (A, AAAA, ANY) for f in (ask, ask6)],
    *[ask('one.ovn.org', kind) for kind in (NS, CNAME, PTR, TXT, SRV, 0, 6, 15, 65535)],
    ask('ONE.OVN.ORG'), ask('One.oVn.Org', AAAA), ask('one.ovn.org', cls=3), ask('one.ovn.org', cls=255),
    ask('4.1.0.10.in-addr.arpa', PTR), ask6('4.1.0.10.in-addr.arpa', PTR), ask('5.1.0.10.in-addr.arpa', PTR),
    ask('4.1.0.10.IN-ADDR.ARPA', PTR), ask('dot.in-addr.arpa', PTR), ask('one.ovn.org', host=c),
    ask('there.ovn.org', host=c),
    ask('there.ovn.org'), ask('single'), ask('x' * 63 + '.org'), ask('.'), ask('upper.ovn.org'), ask('bad.ovn.org'),
    ask('empty.ovn.org'), ask('many.ovn.org'), ask('many.ovn.org', ANY), ask('mask.ovn.org', ANY),
    ask('one.ovn.org', counts=(1, 0, 0, 1), tail=EDNS), ask6('one.ovn.org', counts=(1, 0, 0, 1), tail=EDNS),
    ask('one.ovn.org', counts=(1, 0, 0, 1), tail=COOKIE), ask('nobody.ovn.org', counts=(1, 0, 0, 1), tail=EDNS),
    ask('one.ovn.org', tail=EDNS), ask('one.ovn.org', counts=(2, 0, 0, 0), tail=name('two.ovn.org') + b'\0\1\0\1'),
    ask('one.ovn.org', counts=(0, 0, 0, 0)), ask('one.ovn.org', flags=0x8180), ask('one.ovn.org', flags=0x0000),
    ask('one.ovn.org', flags=0x0110), ask('one.ovn.org', flags=0x7900), ask('one.ovn.org', flags=0x018f),
    ask('one.ovn.org', counts=(1, 1, 1, 0)), ask('also.ovn.org'), ask('also.ovn.org', AAAA), ask6('also.ovn.org', AAAA),
    ask('also.ovn.org', ANY), ask('also6.ovn.org'), ask('also6.ovn.org', TXT),
    *[over4(GOOD[:n]) for n in (0, 5, 11, 12, 13, 20, 25, 26, 28, 29)], over4(GOOD, len=20), over4(GOOD, len=9999),
    over4(GOOD, len=8), over4(GOOD, dport=5353), over4(GOOD, chksum=0), over4(GOOD, chksum=0x1234),
    over4(message(b'\3one\x40ovn', A)), over4(message(b'\3one\xc0\x0c', A)), over4(message(b'\xff' * 30, A)),
    over4(GOOD + bytes(500)), over4(GOOD, dport=53, sport=53), b.udp(a, dport=53),
], nb=[records('s1', {
    'one.ovn.org': '10.0.1.1', 'two.ovn.org': '10.0.1.2 10.0.1.22', 'six.ovn.org': 'fd01::6',
    'dot.in-addr.arpa': 'dot.ovn.org.',
    'both.ovn.org': '10.0.1.3 fd01::3', '4.1.0.10.in-addr.arpa': 'four.ovn.org', 'single': '1.1.1.1',
    'upper.OVN.org': '10.0.1.9', 'bad.ovn.org': 'nonsense', 'empty.ovn.org': '',
    'many.ovn.org': '10.0.1.4, 10.0.1.5 fd01::4,fd01::5', 'mask.ovn.org': '10.0.1.4/24 fd01::4/64',
    'x' * 63 + '.org': '2.2.2.2'}),
    records('s2', {'there.ovn.org': '10.0.2.3'}),
    records('s1', {'also.ovn.org': '10.0.1.7', 'also6.ovn.org': 'fd01::7'})])
