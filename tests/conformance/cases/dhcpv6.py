# SPDX-License-Identifier: Apache-2.0
"""DHCPv6: solicit, request, confirm, renew, rebind, release, information request, rapid commit;
stateful, stateless, and options."""
from scapy.layers.dhcp6 import (DHCP6_Confirm, DHCP6_Decline, DHCP6_InfoRequest, DHCP6_Rebind,
    DHCP6_Release, DHCP6_Renew, DHCP6_Request,
                                DHCP6_Solicit, DHCP6OptClientId, DHCP6OptElapsedTime, DHCP6OptIA_NA,
                                DHCP6OptIAAddress, DHCP6OptOptReq,
                                DHCP6OptRapidCommit, DHCP6OptServerId, DUID_LL, DUID_LLT)
from topologies import link_local, quoted, switched
from traffic import UDP, Ether, IPv6, Raw

net = switched(1, 2, 3)
a, b = net.hosts[1], net.hosts[2]


def dhcp(host, message, *options, duid=None):
    packet = Ether(src=host.mac, dst='33:33:00:01:00:02') / IPv6(src=link_local(host.mac),
        dst='ff02::1:2') / UDP(sport=546, dport=547) / message
    packet = packet / DHCP6OptClientId(duid=duid or DUID_LL(lladdr=host.mac))
    for option in options:
        packet = packet / option
    return host.send(packet) + [{'wait_ms': 80}]


SERVER = DHCP6OptServerId(duid=DUID_LL(lladdr='00:00:00:00:ff:01'))
IA = DHCP6OptIA_NA(iaid=77)
OWN = DHCP6OptIA_NA(iaid=77, ianaopts=[DHCP6OptIAAddress(addr='fd01::1')])
WRONG = DHCP6OptIA_NA(iaid=77, ianaopts=[DHCP6OptIAAddress(addr='fd01::99')])

SPEC = net.spec([
    dhcp(a, DHCP6_Solicit(trid=1), IA), dhcp(a, DHCP6_Solicit(trid=2), IA,
    DHCP6OptOptReq(reqopts=[23, 24]), DHCP6OptElapsedTime()),
    dhcp(a, DHCP6_Request(trid=3), SERVER, OWN),
    dhcp(a, DHCP6_Request(trid=4), SERVER, WRONG), dhcp(a, DHCP6_Confirm(trid=5), OWN),
    dhcp(a, DHCP6_Renew(trid=6), SERVER, OWN), dhcp(a, DHCP6_Rebind(trid=7), OWN),
    dhcp(a, DHCP6_Release(trid=8), SERVER, OWN), dhcp(a, DHCP6_Decline(trid=9), SERVER, OWN),
    dhcp(a, DHCP6_InfoRequest(trid=10), DHCP6OptOptReq(reqopts=[23])),
    dhcp(a, DHCP6_Solicit(trid=11), IA, DHCP6OptRapidCommit()), dhcp(a, DHCP6_Solicit(trid=12)),
    dhcp(a, DHCP6_Solicit(trid=13), IA, duid=DUID_LLT(lladdr=a.mac, timeval=1)),
    dhcp(b, DHCP6_Solicit(trid=14), IA), dhcp(b, DHCP6_InfoRequest(trid=15)),
    dhcp(b, DHCP6_Request(trid=16), SERVER, OWN), dhcp(net.hosts[3], DHCP6_Solicit(trid=17), IA),
    a.send(Ether(src=a.mac, dst='33:33:00:01:00:02') / IPv6(src=link_local(a.mac), dst='ff02::1:2')
    / UDP(sport=546, dport=547) / Raw(b'\x01\x00\x00')) + [{'wait_ms': 80}],
], nb=[
'--id=@d create DHCP_Options cidr="fd01\\:\\:/64" options:server_id="00:00:00:00:ff:01" '
'options:dns_server="{fd01::53,fd01::54}" options:domain_search=' + quoted('example.org') + ' '
       '-- set logical_switch_port lp1 dhcpv6_options=@d',
       '--id=@d create DHCP_Options cidr="fd01\\:\\:/64" options:server_id="00:00:00:00:ff:01" '
       'options:dhcpv6_stateless=true options:dns_server="fd01::53" '
       '-- set logical_switch_port lp2 dhcpv6_options=@d'])
