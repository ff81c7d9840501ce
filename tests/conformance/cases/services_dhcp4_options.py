# SPDX-License-Identifier: Apache-2.0
"""DHCPv4 options: every name and type that the Southbound DHCP_Options table knows, alone, so that the
bytes of each are seen; and how bootfile names depend on iPXE.

Left out: an iPXE client of a port with both boot files and next_server. The reference moves the first
boot file while it walks the options and then misses next_server for siaddr, or not, as lengths fall."""
from dhcp import DISCOVER, INFORM, REQUEST, Client4, dhcp_options
from topologies import switched

VALUES = [
    ('dns_server', '{8.8.8.8, 7.7.7.7, 1.1.1.1}'), ('log_server', '1.2.3.4'), ('lpr_server', '{1.2.3.4, 5.6.7.8}'),
    ('swap_server', '1.2.3.4'), ('policy_filter', '{10.0.0.0, 255.0.0.0}'), ('router_solicitation', '1.2.3.4'),
    ('nis_server', '1.2.3.4'), ('ntp_server', '{1.2.3.4, 5.6.7.8}'), ('tftp_server', '"tftp.example.org"'),
    ('tftp_server', '10.0.1.9'), ('netbios_name_server', '1.2.3.4'), ('netbios_node_type', '8'),
    ('classless_static_route',
     '{30.0.0.0/24,10.0.0.4,0.0.0.0/0,10.0.0.1, 40.1.0.0/16, 10.0.0.2, 50.0.0.1, 10.0.0.3, 60.0.0.128/25, 1.1.1.1}'),
    ('ms_classless_static_route', '{30.0.0.0/9,10.0.0.4}'),
    ('classless_static_route', '{30.0.0.0/24,10.0.0.4,9.9.9.9}'),
    ('next_server', '10.0.1.200'), ('ip_forward_enable', '1'), ('ip_forward_enable', '0'), ('router_discovery', '0'),
    ('ethernet_encap', '1'), ('default_ttl', '64'), ('tcp_ttl', '255'), ('mtu', '1400'), ('mtu', '9000'),
    ('T1', '1800'),
    ('T2', '4294967295'), ('arp_cache_timeout', '65'), ('tcp_keepalive_interval', '70'), ('wpad', '"http://w/p.dat"'),
    ('bootfile_name', '"boot.ipxe"'), ('bootfile_name_alt', '"alt.ipxe"'), ('path_prefix', '"/images/"'),
    ('tftp_server_address', '{10.0.1.9, 10.0.1.10}'), ('hostname', '"one"'), ('domain_name', '"example.org"'),
    ('domain_search_list', '"abc.com"'), ('domain_search_list', '"abc.com,xyz.abc.com,q.xyz.abc.com,ovn.org,abc.com"'),
    ('domain_search_list', '"a.b,b,x.y.a.b"'), ('domain_search_list', '"%s.com"' % ('l' * 63)),
    ('broadcast_address', '10.0.1.255'), ('lease_time', '0'),
]
BASE = {'server_id': '10.0.1.254', 'server_mac': '00:00:00:00:ff:01', 'lease_time': '3600', 'router': '10.0.1.254'}

net = switched(1)
one = Client4(net.hosts[1])
steps = [one.message(DISCOVER)]


def ask(values, *messages):
    steps.append({'nb': dhcp_options('10.0.1.0/24', dict(BASE, **values), 'lp1') + ['sync']})
    steps.extend(messages)


for option, value in VALUES:
    ask({option: value}, one.message(DISCOVER))
BOOT = {'bootfile_name': '"first.efi"', 'bootfile_name_alt': '"second.efi"'}
for values in (BOOT, dict(BOOT, next_server='10.0.1.200'), {'bootfile_name_alt': '"other"'},
               {'netmask': '255.255.255.0', 'T1': '5', 'T2': '6', 'next_server': '10.0.1.200'}):
    both = len(set(values) & {'bootfile_name', 'bootfile_name_alt', 'next_server'}) == 3
    ask(values, one.message(DISCOVER), one.message(DISCOVER, extra=[] if both else [(175, b'')]),
        one.message(REQUEST, want='10.0.1.1', extra=[(77, b'iPXE')]), one.message(INFORM, ciaddr='10.0.1.1'),
        one.message(REQUEST, want='10.0.1.2', extra=[] if both else [(175, b'\1')]))

SPEC = net.spec(steps, nb=dhcp_options('10.0.1.0/24', BASE, 'lp1'))
