# SPDX-License-Identifier: Apache-2.0
"""What the tunnel's ends ask for: checksums by the receiver's row, DSCP and DF by our own
settings, which may be this chassis' alone."""
from topologies import switched

net = switched(1, 3, 4, 5)
for far in ('v3', 'v4', 'v5'):
    del net.interfaces[far]
a = net.hosts[1]
hosts = [net.hosts[n] for n in (3, 4, 5)]
NEW_ROW = ('sb -- --id=@e create Encap type=%s ip=192.168.0.2%d chassis_name=hv%d '
           'options:csum=%s -- set Chassis hv%d encaps=@e')
SPEC = net.spec([a.udp(h, tos=0xb8) for h in hosts] + [a.udp6(h) for h in hosts]
                + [{'nb': ['vs remove Open_vSwitch . external-ids ovn-encap-tos-hv1']}]
                + [a.udp(h, tos=0xb8) for h in hosts],
                nb=[NEW_ROW % ('geneve', 2, 2, 'false', 2),
                    NEW_ROW % ('vxlan', 3, 3, 'true', 3)],
                chassis=[{'name': 'hv1', 'encap_ip': '192.168.0.1', 'encap_type': 'geneve,vxlan',
                          'external_ids': {'ovn-encap-tos': '40', 'ovn-encap-tos-hv1': 'inherit',
                                           'ovn-encap-df_default': 'false'}}],
                remote=[{'name': 'hv%d' % n, 'ip': '192.168.0.%d' % n,
                         'mac': '02:bb:00:00:00:%02x' % n, 'ports': ['lp%d' % (n + 1)]}
                        for n in (2, 3, 4)]
                + [{'name': 'hv%d' % n, 'ip': '192.168.0.%d' % n, 'encap': 'stt',
                    'mac': '02:bb:00:00:00:%02x' % n} for n in (22, 23)])
