// SPDX-License-Identifier: Apache-2.0
#include "bench/southbound.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <vector>

namespace sluice::bench {
namespace {

class Maker {
public:
    explicit Maker(const NetworkShape& shape) : s_(shape), state_(shape.seed) {}

    std::string make() {
        for (unsigned i = 0; i < s_.switches; ++i) {
            switches_.push_back(uuid());
        }
        add_chassis();
        add_router();
        all_switches_ = group(0, s_.switches);
        for (unsigned i = 0; i < s_.switches; ++i) {
            add_switch(i);
        }
        add_common_flows();
        add_vips();
        add_acls();
        std::string out = "{\"_is_diff\":true";
        for (const auto& [table, rows] : tables_) {
            out += fmt::format(",\"{}\":{{{}}}", table, rows);
        }
        return out + "}";
    }

private:
    std::string uuid() {
        uint64_t words[2];
        for (uint64_t& word : words) {
            state_ += 0x9e3779b97f4a7c15ull;
            uint64_t z = state_;
            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
            z = (z ^ z >> 27) * 0x94d049bb133111ebull;
            word = z ^ z >> 31;
        }
        return fmt::format("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", words[0] >> 32,
                           words[0] >> 16 & 0xffff, words[0] & 0xfff, words[1] >> 48 & 0xfff,
                           words[1] & 0xffffffffffff);
    }
    static std::string ref(const std::string& id) { return "[\"uuid\",\"" + id + "\"]"; }
    static std::string quoted(const std::string& text) {
        std::string out = "\"";
        for (const char c : text) {
            out += c == '"' ? "\\\"" : std::string(1, c);
        }
        return out + "\"";
    }
    static std::string set(const std::vector<std::string>& items) {
        return fmt::format("[\"set\",[{}]]", fmt::join(items, ","));
    }
    static std::string map(const std::map<std::string, std::string>& items) {
        std::vector<std::string> pairs;
        for (const auto& [key, value] : items) {
            pairs.push_back("[" + quoted(key) + "," + quoted(value) + "]");
        }
        return fmt::format("[\"map\",[{}]]", fmt::join(pairs, ","));
    }
    std::string row(const std::string& table, const std::string& columns, std::string id = "") {
        id = id.empty() ? uuid() : id;
        std::string& rows = tables_[table];
        fmt::format_to(std::back_inserter(rows), "{}\"{}\":{{{}}}", rows.empty() ? "" : ",", id,
                       columns);
        return id;
    }

    /// Flows of one place. `where` is a datapath or (in_group) a datapath group.
    void flow(const std::string& where, bool in_group, const char* stage, unsigned table,
              unsigned priority, const std::string& match, const std::string& actions) {
        const bool is_egress = std::string_view(stage).find("_out_") != std::string_view::npos;
        row("Logical_Flow",
            fmt::format("\"pipeline\":\"{}\",\"table_id\":{},\"priority\":{},\"match\":{},"
                        "\"actions\":{},\"{}\":{},\"external_ids\":{}",
                        is_egress ? "egress" : "ingress", table, priority, quoted(match),
                        quoted(actions), in_group ? "logical_dp_group" : "logical_datapath",
                        ref(where), map({{"source", "northd.c:8620"}, {"stage-name", stage}})));
    }
    void all(const char* stage, unsigned table, unsigned priority, const std::string& match,
             const std::string& actions) {
        flow(all_switches_, true, stage, table, priority, match, actions);
    }
    void routed(const char* stage, unsigned table, unsigned priority, const std::string& match,
                const std::string& actions) {
        flow(router_, false, stage, table, priority, match, actions);
    }

    std::string group(unsigned first, unsigned count) {
        std::vector<std::string> members;
        for (unsigned i = 0; i < count; ++i) {
            members.push_back(ref(switches_[(first + i) % s_.switches]));
        }
        return row("Logical_DP_Group", "\"datapaths\":" + set(members));
    }
    static std::string net(unsigned i) { return fmt::format("10.{}.{}", i / 256, i % 256); }
    static std::string router_mac(unsigned i) {
        return fmt::format("02:00:00:fe:{:02x}:{:02x}", i / 256, i % 256);
    }
    static std::string router_ip6(unsigned i) { return fmt::format("fe80::ff:fefe:{:x}", i); }

    void add_chassis();
    void add_router();
    void add_switch(unsigned i);
    void add_router_port(unsigned i);
    void add_router_input(unsigned i, const std::string& port);
    std::string add_vif(unsigned i, unsigned p);
    void add_common_flows();
    void add_vips();
    void add_acls();

    const NetworkShape s_;
    uint64_t state_;
    std::map<std::string, std::string> tables_;
    std::vector<std::string> switches_;
    std::string router_;
    std::string chassis_;
    std::string all_switches_;
};

void Maker::add_chassis() {
    row("SB_Global",
        "\"nb_cfg\":1,\"options\":" + map({{"lb_hairpin_use_ct_mark", "true"},
                                           {"northd_internal_version", "23.03.1-20.27.0-70.6"}}));
    for (unsigned i = 1; i <= 10; ++i) {
        const std::string name = fmt::format("hv{}", i);
        const std::string encap =
            row("Encap", fmt::format("\"ip\":\"172.16.0.{}\",\"type\":\"geneve\",\"chassis_name\":"
                                     "\"{}\",\"options\":{}",
                                     i, name, map({{"csum", "true"}})));
        const std::string id =
            row("Chassis", fmt::format("\"name\":\"{}\",\"encaps\":{}", name, ref(encap)));
        chassis_ = i == 1 ? id : chassis_;
    }
}

void Maker::add_router() {
    router_ = row("Datapath_Binding", "\"tunnel_key\":1,\"external_ids\":" +
                                          map({{"logical-router", uuid()}, {"name", "lr0"}}));
    const std::pair<const char*, unsigned> passing[] = {
        {"lr_in_unsnat", 4},        {"lr_in_lb_aff_check", 6},   {"lr_in_lb_aff_learn", 8},
        {"lr_in_ecmp_stateful", 9}, {"lr_in_nd_ra_options", 10}, {"lr_in_nd_ra_response", 11},
        {"lr_in_chk_pkt_len", 18},  {"lr_in_larger_pkts", 19},   {"lr_in_gw_redirect", 20},
        {"lr_in_defrag", 5},        {"lr_in_dnat", 7},           {"lr_out_undnat", 1},
        {"lr_out_post_undnat", 2},  {"lr_out_snat", 3},          {"lr_out_post_snat", 4},
        {"lr_out_egr_loop", 5}};
    for (const auto& [stage, table] : passing) {
        routed(stage, table, 0, "1", "next;");
    }
    routed("lr_in_admission", 0, 100, "vlan.present || eth.src[40]", "drop;");
    routed("lr_in_lookup_neighbor", 1, 100, "arp.op == 2",
           "reg9[2] = lookup_arp(inport, arp.spa, arp.sha); reg9[3] = 1; next;");
    routed("lr_in_lookup_neighbor", 1, 0, "1", "reg9[2] = 1; next;");
    routed("lr_in_learn_neighbor", 2, 100, "reg9[2] == 1", "next;");
    routed("lr_in_learn_neighbor", 2, 90, "arp", "put_arp(inport, arp.spa, arp.sha); next;");
    routed("lr_in_learn_neighbor", 2, 90, "nd_na", "put_nd(inport, nd.target, nd.tll); next;");
    routed("lr_in_ip_input", 3, 0, "1", "next;");
    routed("lr_in_ip_input", 3, 30, "ip4 && ip.ttl == {0, 1}", "drop;");
    routed("lr_in_ip_routing_pre", 12, 0, "1", "reg7 = 0; next;");
    routed("lr_in_ip_routing", 13, 0, "1", "drop;");
    routed("lr_in_ip_routing_ecmp", 14, 150, "reg8[0..15] == 0", "next;");
    routed("lr_in_policy", 15, 0, "1", "reg8[0..15] = 0; next;");
    routed("lr_in_policy_ecmp", 16, 150, "reg8[0..15] == 0", "next;");
    routed("lr_in_arp_resolve", 17, 0, "ip4", "get_arp(outport, reg0); next;");
    routed("lr_in_arp_resolve", 17, 0, "ip6", "get_nd(outport, xxreg0); next;");
    routed("lr_in_arp_request", 21, 100, "eth.dst == 00:00:00:00:00:00 && ip4",
           "arp { eth.dst = ff:ff:ff:ff:ff:ff; arp.spa = reg1; arp.tpa = reg0; arp.op = 1; "
           "output; };");
    routed("lr_in_arp_request", 21, 0, "1", "output;");
    routed("lr_out_chk_dnat_local", 0, 0, "1", "reg9[4] = 0; next;");
}

void Maker::add_router_input(unsigned i, const std::string& port) {
    const std::string ip = net(i) + ".1";
    const std::string ip6 = router_ip6(i);
    routed("lr_in_ip_input", 3, 100,
           fmt::format("ip4.src == {{{}, {}.255}} && reg9[0] == 0", ip, net(i)), "drop;");
    routed("lr_in_ip_input", 3, 90,
           fmt::format("inport == \"{}\" && arp.op == 1 && arp.tpa == {} && arp.spa == {}.0/24",
                       port, ip, net(i)),
           "eth.dst = eth.src; eth.src = xreg0[0..47]; arp.op = 2; /* ARP reply */ arp.tha = "
           "arp.sha; arp.sha = xreg0[0..47]; arp.tpa <-> arp.spa; outport = inport; "
           "flags.loopback = 1; output;");
    routed("lr_in_ip_input", 3, 90,
           fmt::format("ip4.dst == {} && icmp4.type == 8 && icmp4.code == 0", ip),
           "ip4.dst <-> ip4.src; ip.ttl = 255; icmp4.type = 0; flags.loopback = 1; next; ");
    routed("lr_in_ip_input", 3, 90,
           fmt::format("inport == \"{0}\" && ip6.dst == {{{1}, ff02::1:fffe:{2:x}}} && nd_ns && "
                       "nd.target == {1}",
                       port, ip6, i),
           "nd_na_router { eth.src = xreg0[0..47]; ip6.src = nd.target; nd.tll = xreg0[0..47]; "
           "outport = inport; flags.loopback = 1; output; };");
    for (const char* proto : {"tcp", "udp"}) {
        routed("lr_in_ip_input", 3, 80,
               fmt::format("ip4 && ip4.dst == {} && !ip.later_frag && {}", ip, proto),
               proto[0] == 't' ? "tcp_reset {eth.dst <-> eth.src; ip4.dst <-> ip4.src; next; };"
                               : "icmp4 {eth.dst <-> eth.src; ip4.dst <-> ip4.src; ip.ttl = 255; "
                                 "icmp4.type = 3; icmp4.code = 3; next; };");
    }
    routed("lr_in_ip_input", 3, 60, fmt::format("ip4.dst == {{{}}}", ip), "drop;");
    routed("lr_in_ip_input", 3, 60, fmt::format("ip6.dst == {{{}}}", ip6), "drop;");
    routed("lr_in_ip_input", 3, 31,
           fmt::format("inport == \"{}\" && ip4 && ip.ttl == {{0, 1}} && !ip.later_frag", port),
           fmt::format("icmp4 {{eth.dst <-> eth.src; icmp4.type = 11; /* Time exceeded */ "
                       "icmp4.code = 0; /* TTL exceeded in transit */ ip4.dst = ip4.src; ip4.src "
                       "= {} ; ip.ttl = 254; outport = \"{}\"; flags.loopback = 1; output; }};",
                       ip, port));
}

void Maker::add_router_port(unsigned i) {
    const std::string port = fmt::format("lr0-ls{}", i);
    const std::string mac = router_mac(i);
    row("Port_Binding",
        fmt::format("\"logical_port\":\"{}\",\"type\":\"patch\",\"tunnel_key\":{},\"datapath\":{},"
                    "\"mac\":\"{} {}.1/24\",\"options\":{}",
                    port, i + 1, ref(router_), mac, net(i),
                    map({{"peer", fmt::format("ls{}-lr0", i)}})));
    for (const std::string& match : {std::string("eth.mcast"), "eth.dst == " + mac}) {
        routed("lr_in_admission", 0, 50, fmt::format("{} && inport == \"{}\"", match, port),
               fmt::format("xreg0[0..47] = {}; next;", mac));
    }
    routed("lr_in_lookup_neighbor", 1, 100,
           fmt::format("inport == \"{}\" && arp.spa == {}.0/24 && arp.op == 1", port, net(i)),
           "reg9[2] = lookup_arp(inport, arp.spa, arp.sha); next;");
    add_router_input(i, port);
    routed("lr_in_ip_routing", 13, 74, fmt::format("ip4.dst == {}.0/24", net(i)),
           fmt::format("ip.ttl--; reg8[0..15] = 0; reg0 = ip4.dst; reg1 = {}.1; eth.src = {}; "
                       "outport = \"{}\"; flags.loopback = 1; next;",
                       net(i), mac, port));
    routed("lr_in_ip_routing", 13, 194,
           fmt::format("inport == \"{}\" && ip6.dst == fe80::/64", port),
           fmt::format("ip.ttl--; reg8[0..15] = 0; xxreg0 = ip6.dst; xxreg1 = {}; eth.src = {}; "
                       "outport = \"{}\"; flags.loopback = 1; next;",
                       router_ip6(i), mac, port));
    routed("lr_out_delivery", 6, 100, fmt::format("outport == \"{}\"", port), "output;");
}

std::string Maker::add_vif(unsigned i, unsigned p) {
    const std::string& here = switches_[i];
    const std::string name = fmt::format("lp-{}-{}", i, p);
    const std::string ip = fmt::format("{}.{}", net(i), p + 10);
    const std::string mac = fmt::format("02:01:{:02x}:{:02x}:00:{:02x}", i / 256, i % 256, p);
    const std::string chassis = i == 0 && p < 20 ? ",\"chassis\":" + ref(chassis_) : "";
    const std::string id =
        row("Port_Binding", fmt::format("\"logical_port\":\"{}\",\"tunnel_key\":{},\"datapath\":{},"
                                        "\"mac\":\"{} {}\"{}",
                                        name, p + 2, ref(here), mac, ip, chassis));
    flow(here, false, "ls_in_arp_rsp", 19, 50, fmt::format("arp.tpa == {} && arp.op == 1", ip),
         fmt::format("eth.dst = eth.src; eth.src = {0}; arp.op = 2; /* ARP reply */ arp.tha = "
                     "arp.sha; arp.sha = {0}; arp.tpa = arp.spa; arp.spa = {1}; outport = inport; "
                     "flags.loopback = 1; output;",
                     mac, ip));
    flow(here, false, "ls_in_arp_rsp", 19, 100,
         fmt::format("arp.tpa == {} && arp.op == 1 && inport == \"{}\"", ip, name), "next;");
    flow(here, false, "ls_in_l2_lkup", 25, 50, "eth.dst == " + mac,
         fmt::format("outport = \"{}\"; output;", name));
    routed("lr_in_arp_resolve", 17, 100,
           fmt::format("outport == \"lr0-ls{}\" && reg0 == {}", i, ip),
           fmt::format("eth.dst = {}; next;", mac));
    return id;
}

void Maker::add_switch(unsigned i) {
    const std::string& here = switches_[i];
    row("Datapath_Binding",
        fmt::format("\"tunnel_key\":{},\"external_ids\":{}", i + 2,
                    map({{"logical-switch", uuid()}, {"name", fmt::format("ls{}", i)}})),
        here);
    const std::string port = fmt::format("ls{}-lr0", i);
    std::vector<std::string> members{
        ref(row("Port_Binding",
                fmt::format("\"logical_port\":\"{}\",\"type\":\"patch\",\"tunnel_key\":1,"
                            "\"datapath\":{},\"mac\":\"router\",\"options\":{}",
                            port, ref(here), map({{"peer", fmt::format("lr0-ls{}", i)}}))))};
    add_router_port(i);
    for (unsigned p = 0; p < s_.ports; ++p) {
        members.push_back(ref(add_vif(i, p)));
    }
    const auto multicast = [&](const char* name, unsigned key) {
        row("Multicast_Group", fmt::format("\"name\":\"{}\",\"tunnel_key\":{},\"datapath\":{},"
                                           "\"ports\":{}",
                                           name, key, ref(here), set(members)));
    };
    multicast("_MC_flood", 32768);
    multicast("_MC_flood_l2", 32769);
    const std::string ip = net(i) + ".1";
    const std::string mac = router_mac(i);
    flow(here, false, "ls_in_pre_acl", 4, 110, fmt::format("ip && inport == \"{}\"", port),
         "next;");
    flow(here, false, "ls_in_pre_lb", 5, 110, fmt::format("ip && inport == \"{}\"", port), "next;");
    flow(here, false, "ls_out_pre_acl", 0, 110, fmt::format("ip && outport == \"{}\"", port),
         "next;");
    flow(here, false, "ls_out_pre_lb", 1, 110, fmt::format("ip && outport == \"{}\"", port),
         "next;");
    flow(here, false, "ls_in_l2_lkup", 25, 80,
         fmt::format("flags[1] == 0 && arp.op == 1 && arp.tpa == {}", ip),
         fmt::format("clone {{outport = \"{}\"; output; }}; outport = \"_MC_flood_l2\"; output;",
                     port));
    flow(here, false, "ls_in_l2_lkup", 25, 50, "eth.dst == " + mac,
         fmt::format("outport = \"{}\"; output;", port));
    flow(here, false, "ls_in_arp_rsp", 19, 100,
         fmt::format("arp.tpa == {} && arp.op == 1 && inport == \"{}\"", ip, port), "next;");
}

void Maker::add_common_flows() {
    const std::pair<const char*, unsigned> passing[] = {
        {"ls_in_apply_port_sec", 1}, {"ls_in_lookup_fdb", 2},    {"ls_in_put_fdb", 3},
        {"ls_in_pre_acl", 4},        {"ls_in_pre_lb", 5},        {"ls_in_pre_stateful", 6},
        {"ls_in_acl_hint", 7},       {"ls_in_acl", 8},           {"ls_in_qos_mark", 9},
        {"ls_in_qos_meter", 10},     {"ls_in_lb_aff_check", 11}, {"ls_in_lb", 12},
        {"ls_in_lb_aff_learn", 13},  {"ls_in_pre_hairpin", 14},  {"ls_in_nat_hairpin", 15},
        {"ls_in_hairpin", 16},       {"ls_in_acl_after_lb", 17}, {"ls_in_stateful", 18},
        {"ls_in_arp_rsp", 19},       {"ls_in_dhcp_options", 20}, {"ls_in_dhcp_response", 21},
        {"ls_in_dns_lookup", 22},    {"ls_in_dns_response", 23}, {"ls_in_external_port", 24},
        {"ls_out_pre_acl", 0},       {"ls_out_pre_lb", 1},       {"ls_out_pre_stateful", 2},
        {"ls_out_acl_hint", 3},      {"ls_out_acl", 4},          {"ls_out_qos_mark", 5},
        {"ls_out_qos_meter", 6},     {"ls_out_stateful", 7}};
    for (const auto& [stage, table] : passing) {
        all(stage, table, 0, "1", "next;");
    }
    all("ls_in_check_port_sec", 0, 100, "vlan.present", "drop;");
    all("ls_in_check_port_sec", 0, 50, "1", "reg0[15] = check_in_port_sec(); next;");
    all("ls_in_apply_port_sec", 1, 50, "reg0[15] == 1", "drop;");
    for (const unsigned in : {1u, 0u}) {
        const auto both = [&](const char* in_stage, unsigned in_table, const char* out_stage,
                              unsigned out_table, unsigned priority, const std::string& match,
                              const std::string& actions) {
            all(in ? in_stage : out_stage, in ? in_table : out_table, priority, match, actions);
        };
        both("ls_in_pre_acl", 4, "ls_out_pre_acl", 0, 100, "ip", "reg0[0] = 1; next;");
        both("ls_in_pre_lb", 5, "ls_out_pre_lb", 1, 100, "ip", "reg0[2] = 1; next;");
        both("ls_in_pre_stateful", 6, "ls_out_pre_stateful", 2, 110, "reg0[2] == 1", "ct_lb_mark;");
        both("ls_in_pre_stateful", 6, "ls_out_pre_stateful", 2, 100, "reg0[0] == 1", "ct_next;");
        both("ls_in_acl_hint", 7, "ls_out_acl_hint", 3, 7, "ct.new && !ct.est",
             "reg0[7] = 1; reg0[9] = 1; next;");
        both("ls_in_acl_hint", 7, "ls_out_acl_hint", 3, 4,
             "!ct.new && ct.est && !ct.rpl && ct_mark.blocked == 0",
             "reg0[8] = 1; reg0[10] = 1; next;");
        both("ls_in_acl", 8, "ls_out_acl", 4, 65532,
             "!ct.est && ct.rel && !ct.new && !ct.inv && ct_mark.blocked == 0", "next;");
        both("ls_in_acl", 8, "ls_out_acl", 4, 65532,
             "ct.est && !ct.rel && !ct.new && !ct.inv && ct.rpl && ct_mark.blocked == 0", "next;");
        both("ls_in_acl", 8, "ls_out_acl", 4, 65532,
             "ct.inv || (ct.est && ct.rpl && "
             "ct_mark.blocked == 1)",
             "drop;");
        both("ls_in_stateful", 18, "ls_out_stateful", 7, 100, "reg0[1] == 1 && reg0[13] == 0",
             "ct_commit { ct_mark.blocked = 0; }; next;");
    }
    all("ls_in_pre_hairpin", 14, 100, "ip && ct.trk",
        "reg0[6] = chk_lb_hairpin(); reg0[12] = chk_lb_hairpin_reply(); next;");
    all("ls_in_hairpin", 16, 1, "(reg0[6] == 1 || reg0[12] == 1)",
        "eth.dst <-> eth.src; outport = inport; flags.loopback = 1; output;");
    all("ls_in_l2_lkup", 25, 70, "eth.mcast", "outport = \"_MC_flood\"; output;");
    all("ls_in_l2_lkup", 25, 0, "1", "outport = get_fdb(eth.dst); next;");
    all("ls_in_l2_unknown", 26, 50, "outport == \"none\"", "drop;");
    all("ls_in_l2_unknown", 26, 0, "1", "output;");
    all("ls_out_check_port_sec", 8, 100, "eth.mcast", "reg0[15] = 0; next;");
    all("ls_out_check_port_sec", 8, 0, "1", "reg0[15] = check_out_port_sec(); next;");
    all("ls_out_apply_port_sec", 9, 50, "reg0[15] == 1", "drop;");
    all("ls_out_apply_port_sec", 9, 0, "1", "output;");
}

void Maker::add_vips() {
    for (unsigned v = 0; v < s_.vips; ++v) {
        const std::string vip =
            fmt::format("172.{}.{}.{}", 30 + v / 62500, v / 250 % 250, v % 250 + 1);
        std::vector<std::string> backends;
        for (unsigned b = 0; b < s_.backends; ++b) {
            backends.push_back(fmt::format("{}.{}:8080", net((v * 7 + b * 11) % s_.switches),
                                           10 + (v + b) % std::max(s_.ports, 1u)));
        }
        const std::string list = fmt::format("{}", fmt::join(backends, ","));
        row("Load_Balancer",
            fmt::format("\"name\":\"lb{}\",\"protocol\":\"tcp\",\"datapath_group\":{},"
                        "\"options\":{},\"vips\":{}",
                        v, ref(all_switches_), map({{"hairpin_orig_tuple", "true"}}),
                        map({{vip + ":80", list}})));
        all("ls_in_pre_stateful", 6, 120,
            fmt::format("reg0[2] == 1 && ip4.dst == {} && tcp.dst == 80", vip),
            fmt::format("reg1 = {}; reg2[0..15] = 80; ct_lb_mark;", vip));
        all("ls_in_lb", 12, 120, fmt::format("ct.new && ip4.dst == {} && tcp.dst == 80", vip),
            fmt::format("reg0[1] = 0; ct_lb_mark(backends={});", list));
        if (s_.router_vips) {
            routed("lr_in_defrag", 5, 110, fmt::format("ip && ip4.dst == {} && tcp", vip),
                   fmt::format("reg0 = {}; reg9[16..31] = tcp.dst; ct_dnat;", vip));
            routed("lr_in_dnat", 7, 120,
                   fmt::format(
                       "ct.new && !ct.rel && ip4 && reg0 == {} && tcp && reg9[16..31] == 80", vip),
                   fmt::format("ct_lb_mark(backends={});", list));
        }
    }
}

void Maker::add_acls() {
    if (s_.acls == 0) {
        return;
    }
    const auto address = [](unsigned set, unsigned i) {
        return fmt::format("192.{}.{}.{}", 100 + set / 16, set % 16 * 16 + i / 250, i % 250 + 1);
    };
    for (unsigned i = 0; i < s_.sets; ++i) {
        std::vector<std::string> members;
        for (unsigned a = 0; a < s_.set_size; ++a) {
            members.push_back("\"" + address(i, a) + "\"");
        }
        row("Address_Set", fmt::format("\"name\":\"as{}\",\"addresses\":{}", i, set(members)));
    }
    const unsigned groups = std::min(s_.switches, s_.acls);
    std::vector<std::string> spans;
    for (unsigned g = 0; g < groups; ++g) {
        spans.push_back(group(g, std::min(s_.acl_span, s_.switches)));
        for (unsigned i = 0; i < std::min(s_.acl_span, s_.switches); ++i) {
            const unsigned sw = (g + i) % s_.switches;
            std::vector<std::string> ports;
            for (unsigned p = g % 3; p < s_.ports; p += 3) {
                ports.push_back(fmt::format("\"lp-{}-{}\"", sw, p));
            }
            row("Port_Group",
                fmt::format("\"name\":\"{}_pg{}\",\"ports\":{}", sw + 2, g, set(ports)));
        }
    }
    for (unsigned a = 0; a < s_.acls; ++a) {
        const unsigned g = a % groups;
        const bool out = a % 2 == 1;
        const unsigned low = 1000 + a / groups * 8 % 50000;
        std::string what = fmt::format("ip4.{} == $as{}", out ? "src" : "dst", a % s_.sets);
        if (s_.unequal != 0) {
            std::vector<std::string> list;
            for (unsigned i = 0; i < s_.unequal; ++i) {
                list.push_back(address(a % 200, i));
            }
            what = fmt::format("ip4.{} != {{{}}}", out ? "src" : "dst", fmt::join(list, ", "));
        }
        const std::string match =
            fmt::format("({} == @pg{} && {} && tcp.dst >= {} && tcp.dst <= {})",
                        out ? "outport" : "inport", g, what, low, low + 7);
        const char* stage = out ? "ls_out_acl" : "ls_in_acl";
        const unsigned table = out ? 4 : 8;
        flow(spans[g], true, stage, table, 2000 + a % 10, "reg0[7] == 1 && " + match,
             "reg0[1] = 1; next;");
        flow(spans[g], true, stage, table, 2000 + a % 10, "reg0[8] == 1 && " + match, "next;");
    }
}

}  // namespace

std::string make_southbound(const NetworkShape& shape) {
    return Maker(shape).make();
}

}  // namespace sluice::bench
