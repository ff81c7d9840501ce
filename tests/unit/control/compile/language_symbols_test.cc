// SPDX-License-Identifier: Apache-2.0
// Every name of the language: storage, level, access and prerequisites, or the predicate's meaning.
#include <catch2/catch.hpp>
#include <set>
#include <sstream>

#include "control/compile/expr.h"
#include "control/compile/print.h"

using namespace sluice;
using namespace sluice::lang;

namespace {

// name, storage field, lowest bit, width, level (o ordinal, n nominal, s string), access
// (r read, w write, c only in ct_commit), prerequisite. From ovn-sb(5) and OVN's field list.
constexpr const char* kFieldList = R"(
__inport inport 0 32 o w -
__outport outport 0 32 o w -
arp.op arp.op 0 16 n w arp
arp.sha arp.sha 0 48 o w arp
arp.spa arp.spa 0 32 o w arp
arp.tha arp.tha 0 48 o w arp
arp.tpa arp.tpa 0 32 o w arp
ct.dnat ct_state 7 1 o r ct.trk
ct.est ct_state 1 1 o r ct.trk
ct.inv ct_state 4 1 o r ct.trk
ct.new ct_state 0 1 o r ct.trk
ct.rel ct_state 2 1 o r ct.trk
ct.rpl ct_state 3 1 o r ct.trk
ct.snat ct_state 6 1 o r ct.trk
ct.trk ct_state 5 1 o r -
ct_label ct_label 0 128 o c -
ct_label.acl_id ct_label 80 16 o c -
ct_label.blocked ct_label 0 1 o c -
ct_label.ecmp_reply_eth ct_label 32 48 o c -
ct_label.ecmp_reply_port ct_label 80 16 o c -
ct_label.force_snat ct_label 3 1 o c -
ct_label.label ct_label 96 32 o c -
ct_label.natted ct_label 1 1 o c -
ct_label.nf ct_label 7 1 o c -
ct_label.nf_id ct_label 17 8 o c -
ct_label.obs_point_id ct_label 96 32 o c -
ct_label.obs_unused ct_label 0 96 o c -
ct_label.skip_snat ct_label 2 1 o c -
ct_label.tun_if ct_label 8 1 o c -
ct_label.tun_if_id ct_label 80 16 o c -
ct_mark ct_mark 0 32 o c -
ct_mark.allow_established ct_mark 6 1 o c -
ct_mark.blocked ct_mark 0 1 o c -
ct_mark.ecmp_reply_port ct_mark 16 16 o c -
ct_mark.force_snat ct_mark 3 1 o c -
ct_mark.natted ct_mark 1 1 o c -
ct_mark.obs_collector_id ct_mark 16 8 o c -
ct_mark.obs_stage ct_mark 4 2 o c -
ct_mark.skip_snat ct_mark 2 1 o c -
ct_state ct_state 0 32 o r -
eth.dst eth.dst 0 48 o w -
eth.mcast eth.dst 40 1 o w -
eth.src eth.src 0 48 o w -
eth.type eth.type 0 16 n r -
flags flags 0 32 o w -
flags.force_snat_for_dnat flags 2 1 o w -
flags.force_snat_for_lb flags 3 1 o w -
flags.from_ctrl flags 19 1 o w -
flags.icmp_snat flags 17 1 o w -
flags.igmp_loopback flags 22 1 o w -
flags.localnet flags 15 1 o w -
flags.loopback flags 0 1 o w -
flags.network_id flags 28 4 o w -
flags.pkt_sampled flags 23 1 o w -
flags.skip_snat_for_lb flags 9 1 o w -
flags.tunnel_rx flags 16 1 o w -
flags.unsnat_new flags 20 1 o w -
flags.unsnat_not_tracked flags 21 1 o w -
flags.use_snat_zone flags 11 1 o w -
icmp4.code l4.dst 0 8 n w icmp4
icmp4.type l4.src 0 8 n w icmp4
icmp6.code l4.dst 0 8 n w icmp6
icmp6.type l4.src 0 8 n w icmp6
inport inport 0 32 s w -
ip.dscp ip.dscp 0 6 n w ip
ip.ecn ip.ecn 0 2 n w ip
ip.frag ip.frag 0 2 o r ip
ip.proto ip.proto 0 8 n r ip
ip.ttl ip.ttl 0 8 n w ip
ip4.dst ip4.dst 0 32 o w ip4
ip4.src ip4.src 0 32 o w ip4
ip6.dst ip6.dst 0 128 o w ip6
ip6.label ip6.label 0 20 o w ip6
ip6.src ip6.src 0 128 o w ip6
nd.sll nd.sll 0 48 o w nd_ns
nd.target nd.target 0 128 o w nd
nd.tll nd.tll 0 48 o w nd_na
outport outport 0 32 s w -
pkt.mark pkt.mark 0 32 o w -
rarp.op arp.op 0 16 n w rarp
rarp.sha arp.sha 0 48 o w rarp
rarp.spa arp.spa 0 32 o w rarp
rarp.tha arp.tha 0 48 o w rarp
rarp.tpa arp.tpa 0 32 o w rarp
reg0 xxreg0 96 32 o w -
reg1 xxreg0 64 32 o w -
reg2 xxreg0 32 32 o w -
reg3 xxreg0 0 32 o w -
reg4 xxreg1 96 32 o w -
reg5 xxreg1 64 32 o w -
reg6 xxreg1 32 32 o w -
reg7 xxreg1 0 32 o w -
reg8 xreg4 32 32 o w -
reg9 xreg4 0 32 o w -
remote_outport remote_outport 0 32 s w -
sctp.dst l4.dst 0 16 o w sctp
sctp.src l4.src 0 16 o w sctp
tcp.dst l4.dst 0 16 o w tcp
tcp.flags tcp.flags 0 12 o r tcp
tcp.src l4.src 0 16 o w tcp
udp.dst l4.dst 0 16 o w udp
udp.src l4.src 0 16 o w udp
vlan.pcp vlan.tci 13 3 o w vlan.present
vlan.tci vlan.tci 0 16 o w -
vlan.vid vlan.tci 0 12 o w vlan.present
xreg0 xxreg0 64 64 o w -
xreg1 xxreg0 0 64 o w -
xreg2 xxreg1 64 64 o w -
xreg3 xxreg1 0 64 o w -
xreg4 xreg4 0 64 o w -
xxreg0 xxreg0 0 128 o w -
xxreg1 xxreg1 0 128 o w -
)";

// name, level (n nominal, b Boolean), meaning. Main's meaning where the branches differ.
struct Predicate {
    const char* name;
    char level;
    const char* meaning;
};
constexpr Predicate kPredicates[] = {
    {"arp", 'n', "eth.type == 0x806"},
    {"eth.bcast", 'b', "eth.dst == ff:ff:ff:ff:ff:ff"},
    {"eth.mcastv6", 'b', "eth.dst[32..47] == 0x3333"},
    {"from_evpn_vtep", 'b', "__inport[31]"},
    {"icmp", 'n', "icmp4 || icmp6"},
    {"icmp4", 'n', "ip4 && ip.proto == 1"},
    {"icmp6", 'n', "ip6 && ip.proto == 58"},
    {"igmp", 'n', "ip4.mcast && ip.proto == 2"},
    {"ip", 'n', "ip4 || ip6"},
    {"ip.first_frag", 'b', "ip.is_frag && !ip.later_frag"},
    {"ip.is_frag", 'b', "ip.frag[0]"},
    {"ip.later_frag", 'b', "ip.frag[1]"},
    {"ip4", 'n', "eth.type == 0x800"},
    {"ip4.mcast", 'b', "eth.mcast && ip4.dst[28..31] == 0xe"},
    {"ip4.src_mcast", 'b', "ip4.src[28..31] == 0xe"},
    {"ip6", 'n', "eth.type == 0x86dd"},
    {"ip6.mcast", 'b', "eth.mcastv6 && ip6.dst[120..127] == 0xff"},
    {"ip6.mcast_all_nodes", 'b', "ip6.dst == {ff01::1, ff02::1}"},
    {"ip6.mcast_all_rtrs", 'b', "ip6.dst == {ff01::2, ff02::2, ff05::2}"},
    {"ip6.mcast_flood", 'b',
     "eth.mcastv6 && (ip6.mcast_rsvd || ip6.mcast_all_nodes || ip6.mcast_all_rtrs || "
     "ip6.mcast_sol_node)"},
    {"ip6.mcast_rsvd", 'b', "ip6.dst[116..127] == 0xff0 && ip6.dst[0..111] == 0"},
    {"ip6.mcast_sol_node", 'b', "ip6.dst == ff02::1:ff00:0/104"},
    {"mldv1", 'n', "eth.mcastv6 && ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}"},
    {"mldv2", 'n', "eth.mcastv6 && ip6.dst == ff02::16 && icmp6.type == 143"},
    {"nd", 'n', "icmp6.type == {135, 136} && icmp6.code == 0 && ip.ttl == 255"},
    {"nd_na", 'n', "icmp6.type == 136 && icmp6.code == 0 && ip.ttl == 255"},
    {"nd_ns", 'n', "icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255"},
    {"nd_ns_mcast", 'n', "ip6.mcast && icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255"},
    {"nd_ra", 'n', "icmp6.type == 134 && icmp6.code == 0 && ip.ttl == 255"},
    {"nd_rs", 'n', "icmp6.type == 133 && icmp6.code == 0 && ip.ttl == 255"},
    {"rarp", 'n', "eth.type == 0x8035"},
    {"sctp", 'n', "ip.proto == 132"},
    {"tcp", 'n', "ip.proto == 6"},
    {"to_evpn_vtep", 'b', "__outport[31]"},
    {"udp", 'n', "ip.proto == 17"},
    {"vlan.present", 'b', "vlan.tci[12]"},
};

constexpr const char* kWriteOnly[] = {"icmp4.frag_mtu", "icmp4.inner_ip4.src", "icmp6.frag_mtu"};

FieldId id_of(const std::string& name) {
    for (size_t i = 0; i < static_cast<size_t>(FieldId::kCount); ++i) {
        if (name == kFields[i].name) {
            return static_cast<FieldId>(i);
        }
    }
    return FieldId::kCount;
}

Expr raw(const std::string& text, const SymbolTable& table) {
    INFO(text);
    auto parsed = parse_match(text, table);
    REQUIRE(parsed.ok());
    return annotate(*parsed);
}

void check_field(const SymbolTable& table, const std::string& line) {
    std::istringstream in(line);
    std::string name, storage, prerequisite;
    unsigned ofs = 0, width = 0;
    char level = 0, access = 0;
    in >> name >> storage >> ofs >> width >> level >> access >> prerequisite;
    INFO(name);
    const Symbol* symbol = table.find(name);
    REQUIRE(symbol != nullptr);
    CHECK(symbol->name == name);
    CHECK(symbol->storage ==
          FieldRef{id_of(storage), static_cast<uint16_t>(ofs), static_cast<uint16_t>(width)});
    CHECK(symbol->is_string == (level == 's'));
    CHECK(symbol->width == (level == 's' ? 0 : width));
    CHECK(symbol->level == (level == 'o' ? Level::kOrdinal : Level::kNominal));
    CHECK(symbol->access == (access == 'r'   ? Access::kReadOnly
                             : access == 'w' ? Access::kReadWrite
                                             : Access::kCtCommitOnly));
    CHECK(symbol->prerequisites == (prerequisite == "-" ? "" : prerequisite));
    // Its use in a match implies the prerequisite, once.
    const std::string use = level == 's' ? name + " == \"x\"" : name + " == 1";
    const std::string with = prerequisite == "-" ? use : use + " && " + prerequisite;
    CHECK(equal(raw(use, table), raw(with, table)));
}

}  // namespace

TEST_CASE("every field has its storage, level, access and prerequisites") {
    for (Dialect dialect : {Dialect::k2303, Dialect::kMain}) {
        const SymbolTable& table = SymbolTable::of(dialect);
        std::istringstream lines(kFieldList);
        for (std::string line; std::getline(lines, line);) {
            if (!line.empty()) {
                check_field(table, line);
            }
        }
    }
}

TEST_CASE("every predicate expands to its meaning") {
    const SymbolTable& table = SymbolTable::of(Dialect::kMain);
    for (const Predicate& predicate : kPredicates) {
        INFO(predicate.name);
        const Symbol* symbol = table.find(predicate.name);
        REQUIRE(symbol != nullptr);
        CHECK(symbol->kind == SymbolKind::kPredicate);
        CHECK(symbol->level == (predicate.level == 'n' ? Level::kNominal : Level::kBoolean));
        CHECK(equal(raw(predicate.name, table), raw(predicate.meaning, table)));
        // Boolean ones may be negated, nominal ones may not.
        CHECK(parse_match("!" + std::string(predicate.name), table).ok() ==
              (predicate.level == 'b'));
    }
    CHECK(equal(raw("igmp", SymbolTable::of(Dialect::k2303)),
                raw("ip4 && ip.proto == 2", SymbolTable::of(Dialect::k2303))));
}

TEST_CASE("northd's version picks the dialect") {
    for (const char* version :
         {"", "23.03.1-20.27.0-70.6", "22.12.0-20.26.0-69.9", "x", "23", "23."}) {
        INFO(version);
        CHECK(dialect_of(version) == Dialect::k2303);
    }
    for (const char* version : {"26.03.3-21.8.0-82.14", "23.06.0-20.27.4-74.7", "24.03.90"}) {
        INFO(version);
        CHECK(dialect_of(version) == Dialect::kMain);
    }
}

TEST_CASE("the tables hold these names and no others") {
    std::set<std::string> expected(std::begin(kWriteOnly), std::end(kWriteOnly));
    std::istringstream lines(kFieldList);
    for (std::string line; std::getline(lines, line);) {
        if (!line.empty()) {
            expected.insert(line.substr(0, line.find(' ')));
        }
    }
    for (const Predicate& predicate : kPredicates) {
        expected.insert(predicate.name);
    }
    for (Dialect dialect : {Dialect::k2303, Dialect::kMain}) {
        std::set<std::string> names;
        for (const auto& symbol : SymbolTable::of(dialect).all()) {
            names.insert(symbol->name);
        }
        CHECK(names == expected);
    }
    for (const char* name : kWriteOnly) {
        CHECK(SymbolTable::of(Dialect::kMain).find(name)->access == Access::kWriteOnly);
        CHECK_FALSE(parse_match(std::string(name) + " == 1", SymbolTable::of(Dialect::kMain)).ok());
    }
}
