// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "control/compile/actions_parser.h"

namespace sluice::lang {

namespace {

constexpr unsigned kV4 = 32;
constexpr unsigned kV6 = 128;
constexpr unsigned kBit = 1;

/// A T that `fill` has filled, or nothing when it could not.
template <typename T, typename Fill>
std::optional<ActionNode> filled(Fill fill) {
    T node;
    if (!fill(node)) {
        return std::nullopt;
    }
    return ActionNode(std::move(node));
}

}  // namespace

const ActionParser::Form* ActionParser::find_form(std::string_view name) {
    using P = ActionParser;
#define PLAIN(T) [](P&) { return Node(T{}); }
#define FORM(T, CALL) [](P& p) { return filled<T>([&p](T& n) { return p.CALL; }); }
    static constexpr Form kForms[] = {
        {"next", [](P& p) { return p.next(); }},
        {"output", PLAIN(Output)},
        {"ip.ttl", FORM(DecTtl, dec_ttl(n))},
        {"push", FORM(Push, push_or_pop(n.field, false))},
        {"pop", FORM(Pop, push_or_pop(n.field, true))},
        {"ct_next", FORM(CtNext, optional_zone(n.zone, "ct_next"))},
        {"ct_commit", [](P& p) { return p.ct_commit(); }},
        {"ct_commit_to_zone", FORM(CtCommitToZone, ct_commit_to_zone(n))},
        {"ct_commit_nat", FORM(CtCommitNat, optional_zone(n.zone, "ct_commit_nat"))},
        {"ct_dnat", FORM(CtDnat, nat(n, "ct_dnat"))},
        {"ct_snat", FORM(CtSnat, nat(n, "ct_snat"))},
        {"ct_dnat_in_czone", FORM(CtDnatInCzone, nat(n, "ct_dnat_in_czone"))},
        {"ct_snat_in_czone", FORM(CtSnatInCzone, nat(n, "ct_snat_in_czone"))},
        {"ct_lb", FORM(CtLb, load_balance(n, "ct_lb"))},
        {"ct_lb_mark", FORM(CtLbMark, load_balance(n, "ct_lb_mark"))},
        {"ct_lb_mark_local", FORM(CtLbMarkLocal, load_balance(n, "ct_lb_mark_local", true))},
        {"ct_clear", PLAIN(CtClear)},
        {"ct_snat_to_vip", PLAIN(CtSnatToVip)},
        {"clone", FORM(Clone, block(n, nullptr))},
        {"arp", FORM(Arp, block(n, p.any_ip("ip4")))},
        {"nd_ns", FORM(NdNs, block(n, p.any_ip("ip6")))},
        {"nd_na", FORM(NdNa, block(n, "nd_ns"))},
        {"nd_na_router", FORM(NdNaRouter, block(n, "nd_ns"))},
        {"icmp4", FORM(Icmp4, block(n, "ip4"))},
        {"icmp4_error", FORM(Icmp4Error, block(n, "ip4"))},
        {"icmp6", FORM(Icmp6, block(n, "ip6"))},
        {"icmp6_error", FORM(Icmp6Error, block(n, "ip6"))},
        {"tcp_reset", FORM(TcpReset, block(n, "tcp"))},
        {"sctp_abort", FORM(SctpAbort, block(n, "sctp"))},
        {"reject", FORM(Reject, block(n, nullptr))},
        {"igmp", PLAIN(Igmp)},
        {"get_arp", FORM(GetArp, mac_lookup(n, kV4))},
        {"put_arp", FORM(PutArp, mac_store(n, kV4))},
        {"get_nd", FORM(GetNd, mac_lookup(n, kV6))},
        {"put_nd", FORM(PutNd, mac_store(n, kV6))},
        {"put_fdb", FORM(PutFdb, put_fdb(n))},
        {"set_queue", FORM(SetQueue, set_queue(n))},
        {"set_meter", FORM(SetMeter, set_meter(n))},
        {"log", FORM(Log, log(n))},
        {"trigger_event", FORM(TriggerEvent, trigger_event(n))},
        {"bind_vport", FORM(BindVport, bind_vport(n))},
        {"handle_svc_check", FORM(HandleSvcCheck, handle_svc_check(n))},
        {"fwd_group", FORM(FwdGroup, fwd_group(n))},
        {"handle_dhcpv6_reply", PLAIN(Dhcp6Reply)},
        {"handle_bfd_msg", FORM(BfdMsg, handle_bfd_msg(n))},
        {"sample", FORM(Sample, sample(n))},
        {"mirror", FORM(Mirror, mirror(n))},
        {"commit_ecmp_nh", FORM(CommitEcmpNh, commit_ecmp_nh(n))},
        {"commit_lb_aff", FORM(CommitLbAff, commit_lb_aff(n))},
        {"mac_cache_use", PLAIN(MacCacheUse)},
        {"flood_remote", PLAIN(FloodRemote)},
    };
#undef PLAIN
#undef FORM
    const auto found = std::find_if(std::begin(kForms), std::end(kForms),
                                    [name](const Form& form) { return form.name == name; });
    return found == std::end(kForms) ? nullptr : found;
}

const ActionParser::ResultForm* ActionParser::find_result_form(std::string_view name) {
    using P = ActionParser;
#define FORM(T, CALL) \
    [](P& p, const FieldUse& d) { return filled<T>([&p, &d](T& n) { return p.CALL; }); }
    static constexpr ResultForm kForms[] = {
        {"lookup_arp", FORM(LookupArp, mac_test(n, d, kV4))},
        {"lookup_nd", FORM(LookupNd, mac_test(n, d, kV6))},
        {"lookup_arp_ip", FORM(LookupArpIp, ip_test(n, d, kV4))},
        {"lookup_nd_ip", FORM(LookupNdIp, ip_test(n, d, kV6))},
        {"lookup_fdb", FORM(LookupFdb, lookup_fdb(n, d))},
        {"get_fdb", FORM(GetFdb, fdb_lookup(n.dst, n.mac, d))},
        {"get_remote_fdb", FORM(GetRemoteFdb, fdb_lookup(n.dst, n.mac, d))},
        {"put_dhcp_opts", FORM(PutDhcpv4Opts, put_dhcp_opts(n, d))},
        {"put_dhcpv6_opts", FORM(PutDhcpv6Opts, options(n, d, "DHCPv6"))},
        {"put_nd_ra_opts", FORM(PutNdRaOpts, put_nd_ra_opts(n, d))},
        {"dhcp_relay_req_chk", FORM(DhcpRelayReqChk, relay_check(n, d))},
        {"dhcp_relay_resp_chk", FORM(DhcpRelayRespChk, relay_check(n, d))},
        {"dns_lookup", FORM(DnsLookup, dns_lookup(n, d))},
        {"check_pkt_larger", FORM(CheckPktLarger, check_pkt_larger(n, d))},
        {"select", FORM(Select, select(n, d))},
        {"chk_lb_hairpin", FORM(ChkLbHairpin, result(n, d, kBit, "chk_lb_hairpin"))},
        {"chk_lb_hairpin_reply",
         FORM(ChkLbHairpinReply, result(n, d, kBit, "chk_lb_hairpin_reply"))},
        {"check_in_port_sec", FORM(CheckInPortSec, result(n, d, kBit, "check_in_port_sec"))},
        {"check_out_port_sec", FORM(CheckOutPortSec, result(n, d, kBit, "check_out_port_sec"))},
        {"chk_ecmp_nh_mac", FORM(ChkEcmpNhMac, result(n, d, kBit, "chk_ecmp_nh_mac"))},
        {"chk_ecmp_nh", FORM(ChkEcmpNh, result(n, d, kBit, "chk_ecmp_nh"))},
        // ovn-sb(5) spells these two differently from OVN's parser; both are taken.
        {"check_ecmp_nh_mac", FORM(ChkEcmpNhMac, result(n, d, kBit, "check_ecmp_nh_mac"))},
        {"check_ecmp_nh", FORM(ChkEcmpNh, result(n, d, kBit, "check_ecmp_nh"))},
        {"chk_lb_aff", FORM(ChkLbAff, result(n, d, kBit, "chk_lb_aff"))},
        {"ct_nw_dst", FORM(CtOrigNwDst, result(n, d, kV4, "ct_nw_dst"))},
        {"ct_ip6_dst", FORM(CtOrigIp6Dst, result(n, d, kV6, "ct_ip6_dst"))},
        {"ct_tp_dst", FORM(CtOrigTpDst, result(n, d, 16, "ct_tp_dst"))},
        {"ct_proto", FORM(CtOrigProto, result(n, d, 8, "ct_proto"))},
        {"ct_state_save", FORM(CtStateSave, result(n, d, 8, "ct_state_save"))},
        {"chk_evpn_arp", FORM(ChkEvpnArp, chk_evpn_arp(n, d))},
    };
#undef FORM
    const auto found = std::find_if(std::begin(kForms), std::end(kForms),
                                    [name](const ResultForm& form) { return form.name == name; });
    return found == std::end(kForms) ? nullptr : found;
}

}  // namespace sluice::lang
