# SPDX-License-Identifier: Apache-2.0
"""Matches on the link layer: eth.*, vlan.*, arp.* and rarp.*, as users may write them in ACLs."""
from topologies import switched
from traffic import ARP, BROADCAST, Dot1Q, Ether, payload

net = switched(*range(1, 10))
h = net.hosts
a = h[1]


def arp(to, op=1, link=0x0806, **fields):
    return a.send(Ether(src=a.mac, dst=to.mac, type=link)
        / ARP(**{'op': op, 'hwsrc': a.mac, 'psrc': a.ip, 'pdst': to.ip, **fields}))


def tagged(to, vid, pcp=0):
    return a.send(Ether(src=a.mac, dst=to.mac) / Dot1Q(vlan=vid, prio=pcp, type=0x88b5)
        / payload(40))


def raw(to, kind, src=None):
    return a.send(Ether(src=src or a.mac, dst=to if isinstance(to, str) else to.mac, type=kind)
        / payload(46))


RULES = {2: 'eth.type == 0x88b5', 3: 'eth.src == 50:54:00:00:00:01 && eth.type == 0x88b6',
    4: 'vlan.present', 5: 'vlan.vid == 10 || vlan.pcp == 5',
         6: 'vlan.tci == 0x1007', 7: 'arp.op == 2 || arp.sha == 50:54:00:00:00:77',
         8: 'arp.spa == 10.0.1.77 || arp.tpa == 10.0.1.88 || arp.tha == 50:54:00:00:00:99',
         9:
         'rarp.op == 3 || rarp.sha == 50:54:00:00:00:77 || rarp.spa == 10.0.1.77 || rarp.tpa == '
         '10.0.1.88 || rarp.tha == 50:54:00:00:00:99'}

SPEC = net.spec(
    [raw(h[n], k) for n in (2, 3) for k in (0x88b5, 0x88b6, 0x0800)]
    + [raw(h[3], 0x88b6, '50:54:00:00:00:55')] + [tagged(h[n], v, p) for n in (4, 5, 6) for v,
    p in ((7, 0), (10, 0), (7, 5), (0, 5))]
    + [raw(h[n], 0x88b5) for n in (4, 5, 6)]
    + [arp(h[n], op=op, **f) for n in (7, 8) for op,
    f in ((1, {}), (2, {}), (2, {'hwsrc': '50:54:00:00:00:77'}), (2, {'psrc': '10.0.1.77'}),
    (2, {'pdst': '10.0.1.88'}), (2, {'hwdst': '50:54:00:00:00:99'}), (9, {}))]
    + [arp(h[9], link=0x8035, op=op, **f) for op, f in ((3, {}), (4, {}), (4,
    {'hwsrc': '50:54:00:00:00:77'}), (4, {'psrc': '10.0.1.77'}), (4, {'pdst': '10.0.1.88'}),
    (4, {'hwdst': '50:54:00:00:00:99'}))]
    + [arp(h[7], link=0x8035, op=2), raw(BROADCAST, 0x88b7), raw('01:00:5e:01:01:01', 0x88b7),
    raw('33:33:00:00:00:01', 0x88b7), raw('03:00:00:00:00:01', 0x88b7)],
    nb=["acl-add s1 to-lport 1000 'outport == \"lp%d\" && (%s)' drop" % (n, rule) for n,
    rule in RULES.items()]
    + ["acl-add s1 from-lport 1000 'eth.bcast && eth.type == 0x88b7' drop",
    "acl-add s1 from-lport 1000 'eth.mcastv6 && eth.type == 0x88b7' drop",
       "acl-add s1 from-lport 999 'eth.mcast && eth.dst[0..7] == 1 && eth.type == 0x88b7 && "
       "eth.dst[41] == 0' drop", "acl-add s1 from-lport 1 'rarp && rarp.op == 77' drop",
       "acl-add s1 from-lport 1 'arp && arp.op == 77' drop"])
