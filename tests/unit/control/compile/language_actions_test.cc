// SPDX-License-Identifier: Apache-2.0
// Every kind of action: how it prints, and what it demands of the packet.
#include <catch2/catch.hpp>
#include <set>

#include "control/compile/actions.h"
#include "control/compile/expr.h"
#include "control/compile/print.h"

using namespace sluice::lang;

namespace {

struct Case {
    const char* text;
    const char* printed;        ///< nullptr: as the text
    const char* prerequisites;  ///< a match; nullptr: none
};

constexpr const char* kSame = nullptr;
constexpr const char* kNone = nullptr;

// Prerequisites as ovn-sb(5) gives them; main's where the branches differ.
constexpr Case kCases[] = {
    {"drop;", kSame, kNone},
    {"", kSame, kNone},
    {"/* nothing */", "", kNone},
    {"output;", kSame, kNone},
    {"next;", kSame, kNone},
    {"next(11);", kSame, kNone},
    {"next(table=7);", "next(7);", kNone},
    {"next(pipeline=egress);", kSame, kNone},
    {"next(pipeline=egress,table=5);", "next(pipeline=egress, table=5);", kNone},
    {"next(table=5, pipeline=ingress);", "next(pipeline=ingress, table=5);", kNone},
    {"tcp.dst=80;", "tcp.dst = 80;", "tcp"},
    {"eth.dst[40] = 1;", kSame, kNone},
    {"vlan.pcp = 2;", kSame, "vlan.present"},
    {"vlan.pcp = 4/4;", kSame, "vlan.present"},
    {"inport = \"\";", kSame, kNone},
    {"outport = \"a\\\"b\";", kSame, kNone},
    {"ip.ttl=4;", "ip.ttl = 4;", "ip"},
    {"ip4.dst = 10.0.0.0/8;", kSame, "ip4"},
    {"ip6.dst = fd00::1;", kSame, "ip6"},
    {"eth.src = 00:01:02:03:04:05;", kSame, kNone},
    {"reg0[0..3] = 255;", "reg0[0..3] = 15;", kNone},
    {"reg1 = ^vip;", kSame, kNone},
    {"reg0=reg1;", "reg0 = reg1;", kNone},
    {"vlan.pcp = reg0[0..2];", kSame, "vlan.present"},
    {"reg0[10] = vlan.pcp[1];", kSame, "vlan.present"},
    {"outport = inport;", kSame, kNone},
    {"ip4.src = ip6.src[0..31];", kSame, "ip4 && ip6"},
    {"reg0 <-> reg1;", kSame, kNone},
    {"outport<->inport;", "outport <-> inport;", kNone},
    {"push(xxreg0);", kSame, kNone},
    {"pop(xxreg0[0..47]);", kSame, kNone},
    {"push(arp.sha);", kSame, "arp"},
    {"ip.ttl--;", kSame, "ip"},
    {"ct_next;", kSame, "ip"},
    {"ct_next(dnat);", kSame, "ip"},
    {"ct_next(snat);", kSame, "ip"},
    {"ct_commit;", kSame, "ip"},
    {"ct_commit { };", "ct_commit;", "ip"},
    {"ct_commit { ct_mark = 1/1; ct_label = 0x10000000000000000; };", kSame, "ip"},
    {"ct_commit { ct_label.ecmp_reply_eth = eth.src; ct_mark.ecmp_reply_port = 2; };", kSame, "ip"},
    {"ct_commit(ct_mark=1, ct_label=2/3);", kSame, "ip"},
    {"ct_commit();", kSame, "ip"},
    {"ct_commit_to_zone(dnat);", kSame, "ip"},
    {"ct_commit_to_zone(snat);", kSame, "ip"},
    {"ct_commit_nat;", kSame, "ip"},
    {"ct_commit_nat(snat);", kSame, "ip"},
    {"ct_dnat;", kSame, "ip"},
    {"ct_dnat(192.168.1.2);", kSame, "ip"},
    {"ct_dnat(fd11::2);", kSame, "ip"},
    {"ct_dnat(192.168.1.2, 1-3000);", "ct_dnat(192.168.1.2,1-3000);", "ip"},
    {"ct_snat;", kSame, "ip"},
    {"ct_snat(192.168.1.2,1000);", kSame, "ip"},
    {"ct_dnat_in_czone;", kSame, "ip"},
    {"ct_dnat_in_czone(192.168.1.2);", kSame, "ip"},
    {"ct_snat_in_czone;", kSame, "ip"},
    {"ct_snat_in_czone(^ip);", kSame, "ip"},
    {"ct_lb;", kSame, "ip"},
    {"ct_lb();", "ct_lb;", "ip"},
    {"ct_lb(backends=192.168.1.2, 192.168.1.3, );", "ct_lb(backends=192.168.1.2,192.168.1.3);",
     "ip"},
    {"ct_lb_mark;", kSame, "ip"},
    {"ct_lb_mark(backends=192.168.1.2:80,192.168.1.3:80; skip_snat);", kSame, "ip"},
    {"ct_lb_mark(backends=[fd0f::2]:80,fd0f::3; hash_fields=\"eth_src,ip_dst\"; force_snat);",
     kSame, "ip"},
    {"ct_lb_mark(backends=^backends);", kSame, "ip"},
    {"ct_lb_mark_local(backends=\"p1\":10.0.0.2:80,\"p2\":[fd00::2]:80);", kSame, "ip"},
    {"reg9[16..31] = select(1=50, 2=100, 3, );", "reg9[16..31] = select(1=50, 2=100, 3=100);",
     kNone},
    {"reg0 = select(values=(1, 2); hash_fields=\"ip_dst,ip_src\");",
     "reg0 = select(values=(1=100, 2=100); hash_fields=\"ip_dst,ip_src\");", kNone},
    {"ct_clear;", kSame, kNone},
    {"clone { ip4.dst = 255.255.255.255; output; }; next;", kSame, "ip4"},
    {"arp { eth.dst = ff:ff:ff:ff:ff:ff; output; }; output;", kSame, "ip"},
    {"arp { };", kSame, "ip"},
    {"arp { drop; };", kSame, "ip"},
    {"nd_ns { nd.target = xxreg0; output; };", kSame, "ip"},
    {"nd_na { nd.tll = eth.src; outport = inport; inport = \"\"; output; };", kSame, "nd_ns"},
    {"nd_na_router { ip6.src = fd00::1; output; };", kSame, "nd_ns"},
    {"icmp4 { icmp4.type = 3; icmp4.frag_mtu = 1500; output; };", kSame, "ip4"},
    {"icmp4 { icmp4.inner_ip4.src = 10.0.0.1; next; };", kSame, "ip4"},
    {"icmp4 { icmp4.inner_ip4.src = ip4.src; next; };", kSame, "ip4"},
    {"icmp4_error { icmp4.type = 3; };", kSame, "ip4"},
    {"icmp6 { icmp6.type = 1; };", kSame, "ip6"},
    {"icmp6_error { icmp6.frag_mtu = 1500; };", kSame, "ip6"},
    {"tcp_reset { next(pipeline=egress, table=3); };", kSame, "tcp"},
    {"sctp_abort { output; };", kSame, "sctp"},
    {"reject { outport <-> inport; next(pipeline=egress, table=3); };", kSame, kNone},
    {"igmp;", kSame, kNone},
    {"get_arp(outport, ip4.dst);", kSame, "ip4"},
    {"get_arp(outport, reg0);", kSame, kNone},
    {"put_arp(inport, arp.spa, arp.sha);", kSame, "arp"},
    {"reg0[0] = lookup_arp(inport, arp.spa, arp.sha);", kSame, "arp"},
    {"reg0[0] = lookup_arp_ip(inport, arp.spa);", kSame, "arp"},
    {"get_nd(outport, xxreg0);", kSame, kNone},
    {"put_nd(inport, ip6.src, nd.sll);", kSame, "ip6 && nd_ns"},
    {"reg2[0] = lookup_nd(inport, ip6.src, nd.tll);", kSame, "ip6 && nd_na"},
    {"reg2[0] = lookup_nd_ip(inport, ip6.src);", kSame, "ip6"},
    {"reg2[5] = put_dhcp_opts(offerip=10.0.0.4,dns_server={8.8.8.8,7.7.7.7},domain_name=\"a\");",
     "reg2[5] = put_dhcp_opts(offerip = 10.0.0.4, dns_server = {8.8.8.8, 7.7.7.7}, "
     "domain_name = \"a\");",
     kNone},
    {"reg1[0] = put_dhcpv6_opts();", kSame, kNone},
    {"reg1[0] = put_dhcpv6_opts(ia_addr = ae70::4, server_id = 00:00:00:00:10:02);", kSame, kNone},
    {"reg1[0] = put_nd_ra_opts(addr_mode = \"slaac\", mtu = 1500, prefix = aef0::/64, "
     "slla = ae:01:02:03:04:05);",
     kSame, "ip6"},
    {"reg9[7] = dhcp_relay_req_chk(192.168.1.1, 172.16.1.1);", kSame, kNone},
    {"reg9[8] = dhcp_relay_resp_chk(192.168.1.1, 172.16.1.1);", kSame, kNone},
    {"set_queue(61440);", kSame, kNone},
    {"reg1[0] = dns_lookup();", kSame, "udp"},
    {"log(name=\"test1\", verdict=drop, severity=alert, meter=\"m\");", kSame, kNone},
    {"log(severity=warning, verdict=allow);", "log(verdict=allow, severity=warning);", kNone},
    {"log(verdict=pass);", "log(verdict=pass, severity=info);", kNone},
    {"log(verdict=reject, severity=debug);", kSame, kNone},
    {"log(verdict=reject, severity=notice);", kSame, kNone},
    {"set_meter(100);", kSame, kNone},
    {"set_meter(4294967295, 4294967296);", kSame, kNone},
    {"reg0[6] = check_pkt_larger(1500);", kSame, kNone},
    {"trigger_event(event = \"empty_lb_backends\", meter = \"event-elb\", vip = \"10.0.0.1:80\", "
     "protocol = \"tcp\", load_balancer = \"12345678-abcd-9876-fedc-11119f8e7d6c\");",
     kSame, kNone},
    {"bind_vport(\"vip\", inport);", kSame, kNone},
    {"handle_svc_check(inport);", kSame, kNone},
    {"fwd_group(liveness=true, childports=\"p1\", \"p2\");",
     "fwd_group(liveness=\"true\", childports=\"p1\", \"p2\");", kNone},
    {"fwd_group(childports=\"p1\");", kSame, kNone},
    {"handle_dhcpv6_reply;", kSame, kNone},
    {"reg0[0] = chk_lb_hairpin();", kSame, kNone},
    {"reg0[0] = chk_lb_hairpin_reply();", kSame, kNone},
    {"ct_snat_to_vip;", kSame, kNone},
    {"handle_bfd_msg();", kSame, kNone},
    {"put_fdb(inport, eth.src);", kSame, kNone},
    {"put_fdb(inport, arp.sha);", kSame, "arp"},
    {"outport = get_fdb(eth.dst);", kSame, kNone},
    {"reg0 = get_fdb(arp.tha);", kSame, "arp"},
    {"outport = get_remote_fdb(eth.dst);", kSame, kNone},
    {"reg0[0] = lookup_fdb(inport, eth.src);", kSame, kNone},
    {"reg0[15] = check_in_port_sec();", kSame, kNone},
    {"reg0[15] = check_out_port_sec();", kSame, kNone},
    {"commit_ecmp_nh(ipv6 = \"false\", proto = tcp);", kSame, kNone},
    {"commit_ecmp_nh(ipv6 = true, proto = sctp);", "commit_ecmp_nh(ipv6 = \"true\", proto = sctp);",
     kNone},
    {"reg9[5] = chk_ecmp_nh_mac();", kSame, kNone},
    {"reg9[5] = check_ecmp_nh_mac();", "reg9[5] = chk_ecmp_nh_mac();", kNone},
    {"reg9[5] = chk_ecmp_nh();", kSame, kNone},
    {"reg9[5] = check_ecmp_nh();", "reg9[5] = chk_ecmp_nh();", kNone},
    {"commit_lb_aff(vip = \"172.16.0.123:8080\", backend = \"10.0.0.3:8080\", proto = tcp, "
     "timeout = 30);",
     kSame, kNone},
    {"commit_lb_aff(vip = \"[::1]:8080\", backend = \"[::2]:8080\", proto = udp, timeout = 30);",
     kSame, kNone},
    {"commit_lb_aff(vip = \"172.16.0.123\", backend = \"10.0.0.3\", timeout = 30);", kSame, kNone},
    {"reg9[6] = chk_lb_aff();", kSame, kNone},
    {"sample(probability=100,collector_set=200,obs_domain=10,obs_point=1000);", kSame, kNone},
    {"sample(probability=10,obs_point=$cookie);",
     "sample(probability=10,collector_set=0,obs_domain=0,obs_point=$cookie);", kNone},
    {"sample(probability=10,obs_point=@cookie);",
     "sample(probability=10,collector_set=0,obs_domain=0,obs_point=$cookie);", kNone},
    {"sample(probability=10, obs_point=ct_label.obs_point_id);",
     "sample(probability=10,collector_set=0,obs_domain=0,obs_point=ct_label.obs_point_id);", kNone},
    {"mac_cache_use;", kSame, kNone},
    {"reg1 = ct_nw_dst();", kSame, kNone},
    {"xxreg1 = ct_ip6_dst();", kSame, kNone},
    {"reg1[0..15] = ct_tp_dst();", kSame, kNone},
    {"reg1[16..23] = ct_proto();", kSame, kNone},
    {"flood_remote;", kSame, kNone},
    {"reg1[0..7] = ct_state_save();", kSame, kNone},
    {"mirror(\"mp-s0-p2\");", kSame, kNone},
    {"reg0[3] = chk_evpn_arp(arp.tpa);", kSame, "arp"},
    {"reg0[3] = chk_evpn_arp(nd.target);", kSame, "nd"},
    {"ip.ttl--; tcp.dst = 1; tcp.src = 2;", kSame, "ip && tcp"},
};

Expr demanded(const ParsedActions& parsed, const SymbolTable& table) {
    return annotate_with(*parse_match("1", table), parsed.prerequisites);
}

void collect(const ActionList& list, std::set<size_t>& kinds) {
    for (const Action& action : list.actions) {
        kinds.insert(action.node.index());
        std::visit(
            [&](const auto& node) {
                if constexpr (std::is_base_of_v<Block, std::decay_t<decltype(node)>>) {
                    collect(node.body, kinds);
                }
            },
            action.node);
    }
}

}  // namespace

TEST_CASE("every action prints and demands what ovn-sb(5) says") {
    const SymbolTable& table = SymbolTable::of(Dialect::kMain);
    std::set<size_t> kinds;
    for (const Case& c : kCases) {
        INFO(c.text);
        auto parsed = parse_actions(c.text, table, {});
        if (!parsed) {
            FAIL(format_error("case", "actions", c.text, parsed.error()));
        }
        const std::string printed = print(parsed->list);
        CHECK(printed == (c.printed == nullptr ? c.text : c.printed));
        auto again = parse_actions(printed, table, {});
        REQUIRE(again.ok());
        CHECK(equal(parsed->list, again->list));
        auto wanted = parse_match(c.prerequisites == nullptr ? "1" : c.prerequisites, table);
        REQUIRE(wanted.ok());
        CHECK(print(demanded(*parsed, table)) == print(annotate(*wanted)));
        collect(parsed->list, kinds);
    }
    CHECK(kinds.size() == std::variant_size_v<ActionNode>);
}

TEST_CASE("arp and nd_ns demand their own IP version in 23.03") {
    const SymbolTable& table = SymbolTable::of(Dialect::k2303);
    auto arp = parse_actions("arp { };", table, {});
    CHECK(equal(demanded(*arp, table), annotate(*parse_match("ip4", table))));
    auto nd_ns = parse_actions("nd_ns { };", table, {});
    CHECK(equal(demanded(*nd_ns, table), annotate(*parse_match("ip6", table))));
}

TEST_CASE("different actions are not equal") {
    const SymbolTable& table = SymbolTable::of(Dialect::kMain);
    for (size_t i = 0; i + 1 < std::size(kCases); ++i) {
        auto one = parse_actions(kCases[i].text, table, {});
        for (size_t j = i + 1; j < std::size(kCases); ++j) {
            auto other = parse_actions(kCases[j].text, table, {});
            INFO(kCases[i].text << "   " << kCases[j].text);
            CHECK(equal(one->list, other->list) == (print(one->list) == print(other->list)));
        }
    }
}

TEST_CASE("nodes know where they stand") {
    const std::string text = "next;  reg0[1..3] = 5; clone { output; };";
    auto parsed = parse_actions(text, SymbolTable::of(Dialect::kMain), {});
    REQUIRE(parsed.ok());
    const auto& actions = parsed->list.actions;
    REQUIRE(actions.size() == 3);
    auto shown = [&](Span span) { return text.substr(span.ofs, span.len); };
    CHECK(shown(actions[0].span) == "next;");
    CHECK(shown(actions[1].span) == "reg0[1..3] = 5;");
    const auto& load = std::get<Load>(actions[1].node);
    CHECK(shown(load.dst.span) == "reg0[1..3]");
    CHECK(shown(std::get<Integer>(load.value).span) == "5");
    CHECK(load.dst.raw() == FieldRef{sluice::FieldId::kXxreg0, 97, 3});
    CHECK(shown(std::get<Clone>(actions[2].node).body.actions[0].span) == "output;");
}
