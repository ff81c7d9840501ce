# SPDX-License-Identifier: Apache-2.0
"""A transit switch between two availability zones, as ovn-ic leaves it in the databases: our
router's port here, the other zone's as a remote port behind its gateway chassis."""
from topologies import routed, rows
from traffic import Host, geneve, router_port

JOIN, THEIRS = '00:00:00:00:77:01', '00:00:00:00:77:02'
net = routed([1], [2])
a, b = net.hosts[1], net.hosts[2]
away = Host('wire', 9, '10.7.0.9', 'fd77::9')
net.nb += (['ls-add ts', 'set logical_switch ts other_config:requested-tnl-key=16711683 '
            'other_config:interconn-ts=ts']
           + router_port('r', 'ts', JOIN, '169.254.100.1/24 fe80:7::1/64')
           + ['set logical_switch_port ts-r options:requested-tnl-key=1',
              'lrp-set-gateway-chassis r-ts hv1 10',
              'lsp-add ts ts-lr2 -- lsp-set-type ts-lr2 remote -- lsp-set-addresses ts-lr2 '
              '"%s 169.254.100.2/24 fe80:7::2/64" -- set logical_switch_port ts-lr2 '
              'options:requested-tnl-key=2' % THEIRS,
              'lsp-add ts ts-lr3 -- lsp-set-type ts-lr3 remote -- lsp-set-addresses ts-lr3 '
              '"00:00:00:00:77:03 169.254.100.3/24" -- set logical_switch_port ts-lr3 '
              'options:requested-tnl-key=3',
              'lr-route-add r 10.7.0.0/16 169.254.100.2', 'lr-route-add r fd77::/64 fe80:7::2',
              'lr-route-add r 10.8.0.0/16 169.254.100.3'])
TRANSIT = 16711683


def arrives(step, outport, inport=2):
    """From the other zone's gateway, by its tunnel."""
    return geneve(step, TRANSIT, inport, outport, '192.168.0.2', '192.168.0.1', '02:aa:00:00:00:01')


def from_them(host):
    other = Host('wire', 9, away.ip, away.ip6, JOIN)
    frame = other.udp(host)[1]
    return frame[:12] + THEIRS.replace(':', '') + frame[24:]


SPEC = net.spec([
    a.udp(away), b.udp(away), a.udp6(away), a.udp(Host('wire', 8, '10.8.0.1')), a.udp(b),
    a.ping('169.254.100.1'), a.ping('169.254.100.2'), arrives(from_them(a), 1),
    arrives(from_them(b), 1), arrives(from_them(b), 2), arrives(from_them(b), 32768),
    arrives(Host('wire', 9, '169.254.100.2').arp('169.254.100.1', hwsrc=THEIRS)[1], 32768),
    arrives(from_them(a), 1, inport=3),
    rows('Port_Binding', 'logical_port', 'type', 'tunnel_key', at_least=1)],
    remote=[{'name': 'hv2', 'ip': '192.168.0.2', 'mac': '02:bb:00:00:00:02', 'ports': ['ts-lr2']},
            {'name': 'hv3', 'ip': '192.168.0.3', 'mac': '02:bb:00:00:00:03', 'ports': ['ts-lr3']}],
    ignore_kinds=['garp', 'rarp', 'na', 'bfd'])
