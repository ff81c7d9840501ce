// SPDX-License-Identifier: Apache-2.0
#include "tests/support/oracle.h"

#include <arpa/inet.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <unordered_map>

namespace sluice::oracle {

Wide wide_and(Wide a, Wide b) {
    return {a.hi & b.hi, a.lo & b.lo};
}
Wide wide_or(Wide a, Wide b) {
    return {a.hi | b.hi, a.lo | b.lo};
}
Wide wide_not(Wide a) {
    return {~a.hi, ~a.lo};
}
Wide wide_left(Wide a, unsigned n) {
    if (n == 0) {
        return a;
    }
    if (n >= 64) {
        return {n >= 128 ? 0 : a.lo << (n - 64), 0};
    }
    return {a.hi << n | a.lo >> (64 - n), a.lo << n};
}
Wide wide_right(Wide a, unsigned n) {
    if (n == 0) {
        return a;
    }
    if (n >= 64) {
        return {0, n >= 128 ? 0 : a.hi >> (n - 64)};
    }
    return {a.hi >> n, a.lo >> n | a.hi << (64 - n)};
}
Wide wide_ones(unsigned n) {
    if (n >= 128) {
        return {~uint64_t{0}, ~uint64_t{0}};
    }
    return n >= 64 ? Wide{(uint64_t{1} << (n - 64)) - 1, ~uint64_t{0}}
                   : Wide{0, (uint64_t{1} << n) - 1};
}

size_t store_index(const std::string& name) {
    static const auto* const index = [] {
        auto* map = new std::unordered_map<std::string, size_t>;
        for (size_t i = 0; i < kStoreCount; ++i) {
            (*map)[kStores[i]] = i;
        }
        return map;
    }();
    return index->at(name);
}

namespace {

struct NamedBits {
    const char* name;
    const char* store;
    unsigned low;
    unsigned width;
};
constexpr NamedBits kPlaces[] = {
    {"inport", "inport", 0, 32},
    {"outport", "outport", 0, 32},
    {"__inport", "inport", 0, 32},
    {"__outport", "outport", 0, 32},
    {"remote_outport", "remote_outport", 0, 32},
    {"pkt.mark", "pkt.mark", 0, 32},
    {"flags", "flags", 0, 32},
    {"flags.loopback", "flags", 0, 1},
    {"flags.force_snat_for_dnat", "flags", 2, 1},
    {"flags.force_snat_for_lb", "flags", 3, 1},
    {"flags.skip_snat_for_lb", "flags", 9, 1},
    {"flags.use_snat_zone", "flags", 11, 1},
    {"flags.localnet", "flags", 15, 1},
    {"flags.from_ctrl", "flags", 19, 1},
    {"xxreg0", "xxreg0", 0, 128},
    {"xxreg1", "xxreg1", 0, 128},
    {"xreg0", "xxreg0", 64, 64},
    {"xreg1", "xxreg0", 0, 64},
    {"xreg2", "xxreg1", 64, 64},
    {"xreg3", "xxreg1", 0, 64},
    {"xreg4", "xreg4", 0, 64},
    {"reg0", "xxreg0", 96, 32},
    {"reg1", "xxreg0", 64, 32},
    {"reg2", "xxreg0", 32, 32},
    {"reg3", "xxreg0", 0, 32},
    {"reg4", "xxreg1", 96, 32},
    {"reg5", "xxreg1", 64, 32},
    {"reg6", "xxreg1", 32, 32},
    {"reg7", "xxreg1", 0, 32},
    {"reg8", "xreg4", 32, 32},
    {"reg9", "xreg4", 0, 32},
    {"ct_state", "ct_state", 0, 32},
    {"ct.new", "ct_state", 0, 1},
    {"ct.est", "ct_state", 1, 1},
    {"ct.rel", "ct_state", 2, 1},
    {"ct.rpl", "ct_state", 3, 1},
    {"ct.inv", "ct_state", 4, 1},
    {"ct.trk", "ct_state", 5, 1},
    {"ct.snat", "ct_state", 6, 1},
    {"ct.dnat", "ct_state", 7, 1},
    {"ct_mark", "ct_mark", 0, 32},
    {"ct_mark.blocked", "ct_mark", 0, 1},
    {"ct_mark.natted", "ct_mark", 1, 1},
    {"ct_mark.ecmp_reply_port", "ct_mark", 16, 16},
    {"ct_label", "ct_label", 0, 128},
    {"ct_label.ecmp_reply_eth", "ct_label", 32, 48},
    {"ct_label.label", "ct_label", 96, 32},
    {"eth.src", "eth.src", 0, 48},
    {"eth.dst", "eth.dst", 0, 48},
    {"eth.mcast", "eth.dst", 40, 1},
    {"eth.type", "eth.type", 0, 16},
    {"vlan.tci", "vlan.tci", 0, 16},
    {"vlan.pcp", "vlan.tci", 13, 3},
    {"vlan.vid", "vlan.tci", 0, 12},
    {"ip.proto", "ip.proto", 0, 8},
    {"ip.ttl", "ip.ttl", 0, 8},
    {"ip.dscp", "ip.dscp", 0, 6},
    {"ip.ecn", "ip.ecn", 0, 2},
    {"ip.frag", "ip.frag", 0, 2},
    {"ip4.src", "ip4.src", 0, 32},
    {"ip4.dst", "ip4.dst", 0, 32},
    {"ip6.src", "ip6.src", 0, 128},
    {"ip6.dst", "ip6.dst", 0, 128},
    {"ip6.label", "ip6.label", 0, 20},
    {"icmp4.type", "l4.src", 0, 8},
    {"icmp4.code", "l4.dst", 0, 8},
    {"icmp6.type", "l4.src", 0, 8},
    {"icmp6.code", "l4.dst", 0, 8},
    {"tcp.src", "l4.src", 0, 16},
    {"tcp.dst", "l4.dst", 0, 16},
    {"udp.src", "l4.src", 0, 16},
    {"udp.dst", "l4.dst", 0, 16},
    {"sctp.src", "l4.src", 0, 16},
    {"sctp.dst", "l4.dst", 0, 16},
    {"tcp.flags", "tcp.flags", 0, 12},
    {"arp.op", "arp.op", 0, 16},
    {"arp.spa", "arp.spa", 0, 32},
    {"arp.tpa", "arp.tpa", 0, 32},
    {"arp.sha", "arp.sha", 0, 48},
    {"arp.tha", "arp.tha", 0, 48},
    {"rarp.op", "arp.op", 0, 16},
    {"rarp.spa", "arp.spa", 0, 32},
    {"rarp.tpa", "arp.tpa", 0, 32},
    {"rarp.sha", "arp.sha", 0, 48},
    {"rarp.tha", "arp.tha", 0, 48},
    {"nd.target", "nd.target", 0, 128},
    {"nd.sll", "nd.sll", 0, 48},
    {"nd.tll", "nd.tll", 0, 48},
};

/// Parsed texts of symbols' expansions and prerequisites, by text.
const lang::Expr& parsed(const std::string& text) {
    static std::unordered_map<std::string, lang::Expr> cache;
    const auto at = cache.find(text);
    if (at != cache.end()) {
        return at->second;
    }
    auto expr = lang::parse_match(text, lang::SymbolTable::of(lang::Dialect::k2303));
    if (!expr) {
        throw std::runtime_error("symbol text does not parse: " + text);
    }
    return cache.emplace(text, *expr).first->second;
}

Wide to_wide(unsigned __int128 v) {
    return {static_cast<uint64_t>(v >> 64), static_cast<uint64_t>(v)};
}

/// Address text to number and width; own reading, by the C library.
unsigned read_address(const std::string& text, Wide* out) {
    uint8_t bytes[16] = {};
    if (inet_pton(AF_INET, text.c_str(), bytes) == 1) {
        *out = {0, uint64_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]};
        return 32;
    }
    if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) {
        *out = {};
        for (unsigned i = 0; i < 16; ++i) {
            *out = wide_or(wide_left(*out, 8), Wide{0, bytes[i]});
        }
        return 128;
    }
    *out = {};
    for (size_t i = 0; i + 1 < text.size(); i += 3) {
        const auto byte = std::strtoul(text.substr(i, 2).c_str(), nullptr, 16);
        *out = wide_or(wide_left(*out, 8), Wide{0, byte});
    }
    return 48;
}

bool in_address_set(const std::string& element, Wide value) {
    const size_t slash = element.find('/');
    Wide address;
    const unsigned width = read_address(element.substr(0, slash), &address);
    const unsigned length = slash == std::string::npos
                                ? width
                                : static_cast<unsigned>(std::stoul(element.substr(slash + 1)));
    const Wide mask = wide_and(wide_ones(width), wide_not(wide_ones(width - length)));
    // Bits above the element's width count: an IPv4 address is no IPv6 network.
    const Wide full = wide_or(mask, wide_not(wide_ones(width)));
    return wide_and(value, full) == wide_and(address, mask);
}

class Evaluation {
public:
    Evaluation(const Packet& packet, const World& world) : packet_(packet), world_(world) {}

    /// `negate`: the truth of the negation, in which prerequisites stay positive.
    bool eval(const lang::Expr& expr, bool negate) const {
        if (const auto* constant = std::get_if<lang::Bool>(&expr.node)) {
            return constant->value != negate;
        }
        if (const auto* resident = std::get_if<lang::IsResident>(&expr.node)) {
            const bool here = world_.resident.count(resident->port.text) != 0;
            return (here != resident->negated) != negate;
        }
        if (const auto* inner = std::get_if<lang::Not>(&expr.node)) {
            return eval(inner->terms[0], !negate);
        }
        if (const auto* all = std::get_if<lang::And>(&expr.node)) {
            return junction(all->terms, !negate, negate);
        }
        if (const auto* any = std::get_if<lang::Or>(&expr.node)) {
            return junction(any->terms, negate, negate);
        }
        return compare(std::get<lang::Compare>(expr.node), negate);
    }

private:
    bool junction(const std::vector<lang::Expr>& terms, bool all, bool negate) const {
        for (const lang::Expr& term : terms) {
            if (eval(term, negate) != all) {
                return !all;
            }
        }
        return all;
    }

    static lang::RelOp opposite(lang::RelOp op) {
        switch (op) {
        case lang::RelOp::kEq: return lang::RelOp::kNe;
        case lang::RelOp::kNe: return lang::RelOp::kEq;
        case lang::RelOp::kLt: return lang::RelOp::kGe;
        case lang::RelOp::kLe: return lang::RelOp::kGt;
        case lang::RelOp::kGt: return lang::RelOp::kLe;
        case lang::RelOp::kGe: return lang::RelOp::kLt;
        }
        return op;
    }

    bool compare(const lang::Compare& c, bool negate) const {
        const lang::Symbol& symbol = *c.field.symbol;
        const lang::RelOp op = negate ? opposite(c.op) : c.op;
        if (symbol.kind == lang::SymbolKind::kPredicate) {
            // As in OVN a predicate is a whole: its negation negates prerequisites within.
            const bool value = eval(parsed(symbol.expansion), false);
            bool among = false;
            for (const lang::Constant& constant : c.set.values) {
                among = among || (std::get<lang::Integer>(constant).value != 0) == value;
            }
            return among == (op == lang::RelOp::kEq);
        }
        if (!symbol.prerequisites.empty() && !eval(parsed(symbol.prerequisites), false)) {
            return false;
        }
        return compare_field(c, op);
    }

    bool compare_field(const lang::Compare& c, lang::RelOp op) const {
        Place place = place_of(c.field.symbol->name);
        if (!c.field.is_string()) {
            place.low += c.field.ofs;
            place.width = c.field.width;
        }
        const Wide value = read_bits(packet_, place);
        if (op == lang::RelOp::kEq || op == lang::RelOp::kNe) {
            bool among = false;
            bool unknown_port = false;
            for (const lang::Constant& constant : c.set.values) {
                among = among || equals(constant, value, place.width, &unknown_port);
            }
            if (unknown_port && c.set.values.size() == 1) {
                return false;
            }
            return among == (op == lang::RelOp::kEq);
        }
        const Wide limit = to_wide(std::get<lang::Integer>(c.set.values[0]).value);
        switch (op) {
        case lang::RelOp::kLt: return value < limit;
        case lang::RelOp::kLe: return value <= limit;
        case lang::RelOp::kGt: return value > limit;
        default: return value >= limit;
        }
    }

    bool port_is(const std::string& name, Wide value, bool* unknown) const {
        const auto at = world_.ports.find(name);
        *unknown = *unknown || at == world_.ports.end();
        return at != world_.ports.end() && value == Wide{0, at->second};
    }

    bool equals(const lang::Constant& constant, Wide value, unsigned width, bool* unknown) const {
        bool ignored = false;
        if (const auto* number = std::get_if<lang::Integer>(&constant)) {
            const Wide mask = number->masked ? to_wide(number->mask) : wide_ones(width);
            return wide_and(value, mask) == wide_and(to_wide(number->value), mask);
        }
        if (const auto* port = std::get_if<lang::String>(&constant)) {
            return port_is(port->text, value, unknown);
        }
        if (const auto* set = std::get_if<lang::AddressSetName>(&constant)) {
            for (const std::string& element : world_.address_sets.at(set->name)) {
                if (in_address_set(element, value)) {
                    return true;
                }
            }
            return false;
        }
        const auto& group = std::get<lang::PortGroupName>(constant);
        for (const std::string& name : world_.port_groups.at(group.name)) {
            if (port_is(name, value, &ignored)) {
                return true;
            }
        }
        return false;
    }

    const Packet& packet_;
    const World& world_;
};

}  // namespace

Place place_of(const std::string& symbol) {
    static const auto* const places = [] {
        auto* map = new std::unordered_map<std::string, Place>;
        for (const NamedBits& bits : kPlaces) {
            (*map)[bits.name] = {store_index(bits.store), bits.low, bits.width};
        }
        return map;
    }();
    return places->at(symbol);
}

Wide read_bits(const Packet& packet, const Place& place) {
    return wide_and(wide_right(packet.stores[place.store], place.low), wide_ones(place.width));
}

void write_bits(Packet* packet, const Place& place, Wide value) {
    const Wide mask = wide_left(wide_ones(place.width), place.low);
    Wide& store = packet->stores[place.store];
    store = wide_or(wide_and(store, wide_not(mask)), wide_and(wide_left(value, place.low), mask));
}

bool matches(const lang::Expr& expr, const Packet& packet, const World& world) {
    return Evaluation(packet, world).eval(expr, false);
}

}  // namespace sluice::oracle
