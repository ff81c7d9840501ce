// SPDX-License-Identifier: Apache-2.0
#include "control/compile/symbols.h"

#include <charconv>

#include "control/compile/expr.h"
#include "lib/base/check.h"

namespace sluice::lang {

namespace {

/// Bits of the flags word, ovn-sb(5) and OVN's logical fields.
struct FlagBits {
    const char* name;
    unsigned low;
    unsigned high;
};
constexpr FlagBits kFlags[] = {
    {"flags.loopback", 0, 0},
    {"flags.force_snat_for_dnat", 2, 2},
    {"flags.force_snat_for_lb", 3, 3},
    {"flags.skip_snat_for_lb", 9, 9},
    {"flags.use_snat_zone", 11, 11},
    {"flags.localnet", 15, 15},
    {"flags.tunnel_rx", 16, 16},
    {"flags.icmp_snat", 17, 17},
    {"flags.from_ctrl", 19, 19},
    {"flags.unsnat_new", 20, 20},
    {"flags.unsnat_not_tracked", 21, 21},
    {"flags.igmp_loopback", 22, 22},
    {"flags.pkt_sampled", 23, 23},
    {"flags.network_id", 28, 31},
};

constexpr FlagBits kCtMark[] = {
    {"ct_mark.blocked", 0, 0},
    {"ct_mark.natted", 1, 1},
    {"ct_mark.skip_snat", 2, 2},
    {"ct_mark.force_snat", 3, 3},
    {"ct_mark.obs_stage", 4, 5},
    {"ct_mark.allow_established", 6, 6},
    {"ct_mark.obs_collector_id", 16, 23},
    {"ct_mark.ecmp_reply_port", 16, 31},
};

constexpr FlagBits kCtLabel[] = {
    {"ct_label.blocked", 0, 0},
    {"ct_label.natted", 1, 1},
    {"ct_label.skip_snat", 2, 2},
    {"ct_label.force_snat", 3, 3},
    {"ct_label.nf", 7, 7},
    {"ct_label.tun_if", 8, 8},
    {"ct_label.nf_id", 17, 24},
    {"ct_label.ecmp_reply_eth", 32, 79},
    {"ct_label.ecmp_reply_port", 80, 95},
    {"ct_label.acl_id", 80, 95},
    {"ct_label.tun_if_id", 80, 95},
    {"ct_label.obs_unused", 0, 95},
    {"ct_label.label", 96, 127},
    {"ct_label.obs_point_id", 96, 127},
};

constexpr const char* kCtState[] = {"ct.new", "ct.est", "ct.rel",  "ct.rpl",
                                    "ct.inv", "ct.trk", "ct.snat", "ct.dnat"};

/// Nominal when any name in it is, otherwise Boolean.
Level level_of(const Expr& expr) {
    if (const auto* compare = std::get_if<Compare>(&expr.node)) {
        return compare->field.symbol->level == Level::kNominal ? Level::kNominal : Level::kBoolean;
    }
    const std::vector<Expr>* terms = nullptr;
    if (const auto* all = std::get_if<And>(&expr.node)) {
        terms = &all->terms;
    } else if (const auto* any = std::get_if<Or>(&expr.node)) {
        terms = &any->terms;
    } else if (const auto* no = std::get_if<Not>(&expr.node)) {
        terms = &no->terms;
    }
    Level level = Level::kBoolean;
    for (size_t i = 0; terms != nullptr && i < terms->size(); ++i) {
        level = std::min(level, level_of((*terms)[i]));
    }
    return level;
}

}  // namespace

Dialect dialect_of(std::string_view northd_version) {
    const char* const end = northd_version.data() + northd_version.size();
    unsigned year = 0;
    unsigned month = 0;
    const auto first = std::from_chars(northd_version.data(), end, year);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.' ||
        std::from_chars(first.ptr + 1, end, month).ec != std::errc()) {
        return Dialect::k2303;
    }
    return year * 100 + month > 2303 ? Dialect::kMain : Dialect::k2303;
}

const SymbolTable& SymbolTable::of(Dialect dialect, bool by_connection) {
    static const SymbolTable k2303(Dialect::k2303, false);
    static const SymbolTable kMain(Dialect::kMain, false);
    static const SymbolTable kByConnection(Dialect::kMain, true);
    if (by_connection) {
        return kByConnection;
    }
    return dialect == Dialect::k2303 ? k2303 : kMain;
}

SymbolTable::SymbolTable(Dialect dialect, bool by_connection)
    : dialect_(dialect), by_connection_(by_connection) {
    add_metadata();
    add_registers();
    add_flags();
    add_conntrack();
    add_link_layer();
    add_ip();
    add_ip6();
    add_arp();
    add_neighbour_discovery();
    add_transport();
}

const Symbol* SymbolTable::find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
}

Symbol& SymbolTable::add(std::string name, SymbolKind kind) {
    auto symbol = std::make_unique<Symbol>();
    symbol->name = std::move(name);
    symbol->kind = kind;
    Symbol& ref = *symbol;
    SLUICE_CHECK(by_name_.emplace(ref.name, symbol.get()).second);
    symbols_.push_back(std::move(symbol));
    return ref;
}

void SymbolTable::add_field(const char* name, FieldId id, unsigned width, Level level,
                            Access access, const char* prerequisites) {
    SLUICE_CHECK(width <= field_info(id).bits);
    Symbol& symbol = add(name, SymbolKind::kField);
    symbol.level = level;
    symbol.access = access;
    symbol.width = static_cast<uint16_t>(width);
    symbol.storage = {id, 0, symbol.width};
    require(symbol, prerequisites);
}

void SymbolTable::require(Symbol& symbol, const char* prerequisites) {
    symbol.prerequisites = prerequisites;
    if (!symbol.prerequisites.empty()) {
        auto parsed = parse_match(prerequisites, *this);
        symbol.prerequisite_expr = std::make_shared<const Expr>(annotate(*parsed));
    }
}

void SymbolTable::add_string(const char* name, FieldId id, Access access) {
    Symbol& symbol = add(name, SymbolKind::kField);
    symbol.level = Level::kNominal;
    symbol.access = access;
    symbol.is_string = true;
    symbol.storage = {id, 0, field_info(id).bits};
}

void SymbolTable::add_subfield(const char* name, const char* parent, unsigned low, unsigned high,
                               const char* prerequisites) {
    const Symbol* whole = find(parent);
    SLUICE_CHECK(whole != nullptr && low <= high && high < whole->width);
    Symbol& symbol = add(name, SymbolKind::kSubfield);
    symbol.access = whole->access;
    symbol.width = static_cast<uint16_t>(high - low + 1);
    symbol.storage = {whole->storage.id, static_cast<uint16_t>(whole->storage.ofs + low),
                      symbol.width};
    require(symbol, prerequisites);
}

void SymbolTable::add_predicate(const char* name, const char* expansion) {
    auto parsed = parse_match(expansion, *this);
    Symbol& symbol = add(name, SymbolKind::kPredicate);
    symbol.width = 1;
    symbol.expansion = expansion;
    symbol.level = level_of(*parsed);
    symbol.expansion_raw = std::make_shared<const Expr>(annotate(*parsed));
    symbol.expansion_expr = std::make_shared<const Expr>(*std::move(parsed));
}

void SymbolTable::add_ovn_field(const char* name, OvnField field, unsigned width) {
    Symbol& symbol = add(name, SymbolKind::kOvnField);
    symbol.access = Access::kWriteOnly;
    symbol.ovn_field = field;
    symbol.width = static_cast<uint16_t>(width);
}

void SymbolTable::add_metadata() {
    add_string("inport", FieldId::kInport, Access::kReadWrite);
    add_string("outport", FieldId::kOutport, Access::kReadWrite);
    add_string("remote_outport", FieldId::kRemoteOutport, Access::kReadWrite);
    add_field("__inport", FieldId::kInport, 32, Level::kOrdinal, Access::kReadWrite);
    add_field("__outport", FieldId::kOutport, 32, Level::kOrdinal, Access::kReadWrite);
    add_predicate("from_evpn_vtep", "__inport[31]");
    add_predicate("to_evpn_vtep", "__outport[31]");
    add_field("pkt.mark", FieldId::kPktMark, 32, Level::kOrdinal, Access::kReadWrite);
}

void SymbolTable::add_registers() {
    add_field("xxreg0", FieldId::kXxreg0, 128, Level::kOrdinal, Access::kReadWrite);
    add_field("xxreg1", FieldId::kXxreg1, 128, Level::kOrdinal, Access::kReadWrite);
    add_field("xreg4", FieldId::kXreg4, 64, Level::kOrdinal, Access::kReadWrite);
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned low = i % 2 == 0 ? 64 : 0;
        add_subfield(("xreg" + std::to_string(i)).c_str(), i < 2 ? "xxreg0" : "xxreg1", low,
                     low + 63);
    }
    for (unsigned i = 0; i < 8; ++i) {
        const unsigned low = 32 * (3 - i % 4);
        add_subfield(("reg" + std::to_string(i)).c_str(), i < 4 ? "xxreg0" : "xxreg1", low,
                     low + 31);
    }
    add_subfield("reg8", "xreg4", 32, 63);
    add_subfield("reg9", "xreg4", 0, 31);
}

void SymbolTable::add_flags() {
    add_field("flags", FieldId::kFlags, 32, Level::kOrdinal, Access::kReadWrite);
    for (const FlagBits& bits : kFlags) {
        add_subfield(bits.name, "flags", bits.low, bits.high);
    }
}

void SymbolTable::add_conntrack() {
    add_field("ct_mark", FieldId::kCtMark, 32, Level::kOrdinal, Access::kCtCommitOnly);
    for (const FlagBits& bits : kCtMark) {
        add_subfield(bits.name, "ct_mark", bits.low, bits.high);
    }
    add_field("ct_label", FieldId::kCtLabel, 128, Level::kOrdinal, Access::kCtCommitOnly);
    for (const FlagBits& bits : kCtLabel) {
        add_subfield(bits.name, "ct_label", bits.low, bits.high);
    }
    add_field("ct_state", FieldId::kCtState, 32, Level::kOrdinal, Access::kReadOnly);
    constexpr unsigned kTracked = 5;
    add_subfield(kCtState[kTracked], "ct_state", kTracked, kTracked);
    for (unsigned bit = 0; bit < std::size(kCtState); ++bit) {
        if (bit != kTracked) {
            add_subfield(kCtState[bit], "ct_state", bit, bit, "ct.trk");
        }
    }
}

void SymbolTable::add_link_layer() {
    add_field("eth.src", FieldId::kEthSrc, 48, Level::kOrdinal, Access::kReadWrite);
    add_field("eth.dst", FieldId::kEthDst, 48, Level::kOrdinal, Access::kReadWrite);
    add_field("eth.type", FieldId::kEthType, 16, Level::kNominal, Access::kReadOnly);
    add_predicate("eth.bcast", "eth.dst == ff:ff:ff:ff:ff:ff");
    add_subfield("eth.mcast", "eth.dst", 40, 40);
    add_predicate("eth.mcastv6", "eth.dst[32..47] == 0x3333");
    add_field("vlan.tci", FieldId::kVlanTci, 16, Level::kOrdinal, Access::kReadWrite);
    add_predicate("vlan.present", "vlan.tci[12]");
    add_subfield("vlan.pcp", "vlan.tci", 13, 15, "vlan.present");
    add_subfield("vlan.vid", "vlan.tci", 0, 11, "vlan.present");
}

void SymbolTable::add_ip() {
    add_predicate("ip4", "eth.type == 0x800");
    add_predicate("ip6", "eth.type == 0x86dd");
    add_predicate("ip", "ip4 || ip6");
    add_field("ip.proto", FieldId::kIpProto, 8, Level::kNominal, Access::kReadOnly, "ip");
    add_field("ip.dscp", FieldId::kIpDscp, 6, Level::kNominal, Access::kReadWrite, "ip");
    add_field("ip.ecn", FieldId::kIpEcn, 2, Level::kNominal, Access::kReadWrite, "ip");
    add_field("ip.ttl", FieldId::kIpTtl, 8, Level::kNominal, Access::kReadWrite, "ip");
    add_field("ip.frag", FieldId::kIpFrag, 2, Level::kOrdinal, Access::kReadOnly, "ip");
    add_predicate("ip.is_frag", "ip.frag[0]");
    add_predicate("ip.later_frag", "ip.frag[1]");
    add_predicate("ip.first_frag", "ip.is_frag && !ip.later_frag");
    add_field("ip4.src", FieldId::kIp4Src, 32, Level::kOrdinal, Access::kReadWrite, "ip4");
    add_field("ip4.dst", FieldId::kIp4Dst, 32, Level::kOrdinal, Access::kReadWrite, "ip4");
    add_predicate("ip4.src_mcast", "ip4.src[28..31] == 0xe");
    add_predicate("ip4.mcast", "eth.mcast && ip4.dst[28..31] == 0xe");
    add_predicate("icmp4", "ip4 && ip.proto == 1");
    add_field("icmp4.type", FieldId::kL4Src, 8, Level::kNominal, Access::kReadWrite, "icmp4");
    add_field("icmp4.code", FieldId::kL4Dst, 8, Level::kNominal, Access::kReadWrite, "icmp4");
    add_ovn_field("icmp4.frag_mtu", OvnField::kIcmp4FragMtu, 16);
    add_ovn_field("icmp4.inner_ip4.src", OvnField::kIcmp4InnerIp4Src, 32);
    add_predicate(
        "igmp", dialect_ == Dialect::k2303 ? "ip4 && ip.proto == 2" : "ip4.mcast && ip.proto == 2");
}

void SymbolTable::add_ip6() {
    add_field("ip6.src", FieldId::kIp6Src, 128, Level::kOrdinal, Access::kReadWrite, "ip6");
    add_field("ip6.dst", FieldId::kIp6Dst, 128, Level::kOrdinal, Access::kReadWrite, "ip6");
    add_field("ip6.label", FieldId::kIp6Label, 20, Level::kOrdinal, Access::kReadWrite, "ip6");
    // RFC 4291 section 2.7.1.
    add_predicate("ip6.mcast_rsvd", "ip6.dst[116..127] == 0xff0 && ip6.dst[0..111] == 0");
    add_predicate("ip6.mcast_all_nodes", "ip6.dst == {ff01::1, ff02::1}");
    add_predicate("ip6.mcast_all_rtrs", "ip6.dst == {ff01::2, ff02::2, ff05::2}");
    add_predicate("ip6.mcast_sol_node", "ip6.dst == ff02::1:ff00:0/104");
    add_predicate("ip6.mcast_flood",
                  "eth.mcastv6 && (ip6.mcast_rsvd || ip6.mcast_all_nodes || "
                  "ip6.mcast_all_rtrs || ip6.mcast_sol_node)");
    add_predicate("ip6.mcast", "eth.mcastv6 && ip6.dst[120..127] == 0xff");
    add_predicate("icmp6", "ip6 && ip.proto == 58");
    add_field("icmp6.type", FieldId::kL4Src, 8, Level::kNominal, Access::kReadWrite, "icmp6");
    add_field("icmp6.code", FieldId::kL4Dst, 8, Level::kNominal, Access::kReadWrite, "icmp6");
    add_ovn_field("icmp6.frag_mtu", OvnField::kIcmp6FragMtu, 32);
    add_predicate("icmp", "icmp4 || icmp6");
}

void SymbolTable::add_arp() {
    add_predicate("arp", "eth.type == 0x806");
    add_predicate("rarp", "eth.type == 0x8035");
    for (const char* protocol : {"arp", "rarp"}) {
        const std::string prefix = std::string(protocol) + '.';
        auto field = [&](const char* name, FieldId id, unsigned width, Level level) {
            add_field((prefix + name).c_str(), id, width, level, Access::kReadWrite, protocol);
        };
        field("op", FieldId::kArpOp, 16, Level::kNominal);
        field("spa", FieldId::kArpSpa, 32, Level::kOrdinal);
        field("sha", FieldId::kArpSha, 48, Level::kOrdinal);
        field("tpa", FieldId::kArpTpa, 32, Level::kOrdinal);
        field("tha", FieldId::kArpTha, 48, Level::kOrdinal);
    }
}

void SymbolTable::add_neighbour_discovery() {
    add_predicate("nd", "icmp6.type == {135, 136} && icmp6.code == 0 && ip.ttl == 255");
    add_predicate("nd_ns", "icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255");
    add_predicate("nd_ns_mcast",
                  "ip6.mcast && icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255");
    add_predicate("nd_na", "icmp6.type == 136 && icmp6.code == 0 && ip.ttl == 255");
    add_predicate("nd_rs", "icmp6.type == 133 && icmp6.code == 0 && ip.ttl == 255");
    add_predicate("nd_ra", "icmp6.type == 134 && icmp6.code == 0 && ip.ttl == 255");
    add_field("nd.target", FieldId::kNdTarget, 128, Level::kOrdinal, Access::kReadWrite, "nd");
    add_field("nd.sll", FieldId::kNdSll, 48, Level::kOrdinal, Access::kReadWrite, "nd_ns");
    add_field("nd.tll", FieldId::kNdTll, 48, Level::kOrdinal, Access::kReadWrite, "nd_na");
    // RFC 2710 and RFC 3810: reports come from link-local sources, v2 goes to ff02::16.
    const bool main = dialect_ == Dialect::kMain;
    const std::string v1 = "ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}";
    const std::string v2 = "ip6.dst == ff02::16 && icmp6.type == 143";
    add_predicate("mldv1", main ? ("eth.mcastv6 && " + v1).c_str() : v1.c_str());
    add_predicate("mldv2", main ? ("eth.mcastv6 && " + v2).c_str() : v2.c_str());
}

void SymbolTable::add_transport() {
    const struct {
        const char* name;
        const char* number;
    } protocols[] = {{"tcp", "6"}, {"udp", "17"}, {"sctp", "132"}};
    if (by_connection_) {
        add_field("ct_proto", FieldId::kCtProto, 8, Level::kNominal, Access::kReadOnly);
    }
    const std::string protocol_field = by_connection_ ? "ct_proto" : "ip.proto";
    const FieldId src = by_connection_ ? FieldId::kCtTpSrc : FieldId::kL4Src;
    const FieldId dst = by_connection_ ? FieldId::kCtTpDst : FieldId::kL4Dst;
    const Access access = by_connection_ ? Access::kReadOnly : Access::kReadWrite;
    for (const auto& protocol : protocols) {
        const std::string name = protocol.name;
        add_predicate(protocol.name, (protocol_field + " == " + protocol.number).c_str());
        add_field((name + ".src").c_str(), src, 16, Level::kOrdinal, access, protocol.name);
        add_field((name + ".dst").c_str(), dst, 16, Level::kOrdinal, access, protocol.name);
    }
    add_field("tcp.flags", FieldId::kTcpFlags, 12, Level::kOrdinal, Access::kReadOnly, "tcp");
}

}  // namespace sluice::lang
