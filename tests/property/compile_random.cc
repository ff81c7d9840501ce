// SPDX-License-Identifier: Apache-2.0
#include "tests/property/compile_random.h"

#include <cstring>

#include <fmt/format.h>

namespace sluice::testing {

namespace {

using Strings = std::vector<std::string>;

const Strings kPorts = {"p1", "p2", "p3", "p4", "p5", "p6", "p7", "p9", "gone"};
const Strings kPorts4 = {"80", "443", "53", "67", "68", "1024", "8080", "65535"};
const Strings kSmall = {"0", "1", "2", "3", "5", "7"};
const Strings kTypes = {"0", "3", "8", "133", "135", "136", "143"};
const Strings kTtls = {"0", "1", "2", "64", "255"};
const Strings kVids = {"0", "1", "100", "4095"};
const Strings kWords = {"0", "1", "2", "0xff", "0x80000000", "0xdeadbeef", "0xffffffff"};

const Strings kPredicates = {"ip4",
                             "ip6",
                             "ip",
                             "arp",
                             "tcp",
                             "udp",
                             "icmp4",
                             "icmp6",
                             "icmp",
                             "eth.mcast",
                             "eth.bcast",
                             "ip4.mcast",
                             "ip6.mcast",
                             "nd",
                             "nd_ns",
                             "vlan.present",
                             "ip.is_frag",
                             "ip.later_frag",
                             "ip.first_frag",
                             "ct.new",
                             "ct.est",
                             "ct.trk",
                             "ct.inv",
                             "ct.rpl",
                             "flags.loopback",
                             "flags.localnet",
                             "ct_mark.blocked",
                             "sctp",
                             "mldv1",
                             "igmp",
                             "nd_rs",
                             "ip6.mcast_flood"};

struct NumberField {
    const char* name;
    unsigned width;
    const Strings* pool;
    bool ordinal;
};
const NumberField kNumbers[] = {
    {"tcp.dst", 16, &kPorts4, true},
    {"tcp.src", 16, &kPorts4, true},
    {"udp.dst", 16, &kPorts4, true},
    {"udp.src", 16, &kPorts4, true},
    {"sctp.dst", 16, &kPorts4, true},
    {"icmp4.type", 8, &kTypes, false},
    {"icmp6.type", 8, &kTypes, false},
    {"icmp4.code", 8, &kSmall, false},
    {"ip.ttl", 8, &kTtls, false},
    {"ip.dscp", 6, &kSmall, false},
    {"ip.ecn", 2, &kSmall, false},
    {"vlan.vid", 12, &kVids, true},
    {"vlan.tci", 16, &kVids, true},
    {"ct_mark", 32, &kWords, true},
    {"flags", 32, &kWords, true},
    {"ip6.label", 20, &kSmall, true},
    {"tcp.flags", 12, &kSmall, true},
    {"pkt.mark", 32, &kSmall, true},
    {"ct_state", 32, &kSmall, true},
    {"ct_label.label", 32, &kSmall, true},
    {"ct_label.ecmp_reply_eth", 48, &kSmall, true},
};

struct Register {
    const char* name;
    unsigned width;
};
const std::vector<Register> kRegisters = {
    {"reg0", 32},  {"reg1", 32},  {"reg2", 32},    {"reg3", 32},    {"reg4", 32},
    {"reg5", 32},  {"reg7", 32},  {"reg8", 32},    {"reg9", 32},    {"xreg0", 64},
    {"xreg2", 64}, {"xreg4", 64}, {"xxreg0", 128}, {"xxreg1", 128}, {"xreg3", 64}};

std::string set_of(const Strings& items) {
    if (items.size() == 1) {
        return items[0];
    }
    std::string out = "{";
    for (const std::string& item : items) {
        out += out.size() > 1 ? ", " : "";
        out += item;
    }
    return out + "}";
}

}  // namespace

std::optional<uint32_t> WorldNames::port_key(std::string_view name) const {
    const auto at = world_->ports.find(std::string(name));
    return at == world_->ports.end() ? std::nullopt : std::optional<uint32_t>(at->second);
}
const Strings* WorldNames::address_set(std::string_view name) const {
    const auto at = world_->address_sets.find(std::string(name));
    return at == world_->address_sets.end() ? nullptr : &at->second;
}
const Strings* WorldNames::port_group(std::string_view name) const {
    const auto at = world_->port_groups.find(std::string(name));
    return at == world_->port_groups.end() ? nullptr : &at->second;
}
bool WorldNames::is_chassis_resident(std::string_view port) const {
    return world_->resident.count(std::string(port)) != 0;
}

oracle::World Random::world() {
    oracle::World w;
    w.ports = {{"p1", 1}, {"p2", 2}, {"p3", 3}, {"p5", 5},    {"p6", 6},
               {"p7", 7}, {"p9", 9}, {"p4", 4}, {"mc", 32768}};
    w.address_sets["as4"] = {"10.0.0.1", "10.0.0.7", "10.0.1.0/24", "10.0.2.0/23", "172.16.0.0/12"};
    w.address_sets["as6"] = {"fd00::1", "fd00:1::/64", "fe80::/10"};
    w.address_sets["macs"] = {"40:44:00:00:00:01", "40:44:00:00:00:03"};
    w.address_sets["none"] = {};
    for (unsigned i = 0; i < 40; ++i) {
        w.address_sets["big4"].push_back(fmt::format("10.{}.{}.{}", below(3), below(4), below(16)));
    }
    w.port_groups["pg1"] = {"p1", "p3", "elsewhere"};
    w.port_groups["pg2"] = {"p2", "p5", "p6"};
    w.port_groups["pg0"] = {};
    w.resident = {"p1", "p5"};
    return w;
}

std::string Random::address4() {
    const unsigned length = one_in(2) ? 32 : 8 + below(25);
    std::string ip = fmt::format("10.{}.{}.{}", below(3), below(4), below(8));
    if (length == 32) {
        return ip;
    }
    const uint32_t host = length == 0 ? ~0u : (1u << (32 - length)) - 1;
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    std::sscanf(ip.c_str(), "%u.%u.%u.%u", &a, &b, &c, &d);
    const uint32_t v = (a << 24 | b << 16 | c << 8 | d) & ~host;
    return fmt::format("{}.{}.{}.{}/{}", v >> 24, v >> 16 & 255, v >> 8 & 255, v & 255, length);
}

std::string Random::address6() {
    static const Strings pool = {
        "fd00::1",  "fd00::2", "fd00:1::/64", "fd00:1::7",      "fe80::/10",    "ff02::1",
        "ff02::16", "::",      "fd00::/16",   "ff02::1:ff00:1", "2001:db8::/32"};
    return pick(pool);
}

std::string Random::mac() {
    return fmt::format("40:44:00:00:00:0{}", below(6));
}

std::string Random::slice_of(const std::string& reg, unsigned width, unsigned* out_width) {
    if (one_in(3)) {
        *out_width = width;
        return reg;
    }
    const unsigned low = below(width);
    if (one_in(3)) {
        *out_width = 1;
        return fmt::format("{}[{}]", reg, low);
    }
    const unsigned high = low + below(width - low);
    *out_width = high - low + 1;
    return fmt::format("{}[{}..{}]", reg, low, high);
}

std::string Random::number_test(const std::string& field, unsigned width, const Strings& pool) {
    static const Strings equality = {"==", "!="};
    static const Strings order = {"<", "<=", ">", ">="};
    const auto value = [&] {
        const uint64_t v = std::strtoull(pick(pool).c_str(), nullptr, 0);
        return std::to_string(width >= 64 ? v : v & ((uint64_t{1} << width) - 1));
    };
    if (one_in(4) && width > 1) {
        const std::string limit = value();
        return one_in(3) ? fmt::format("{} <= {} < {}", below(3), field, value())
                         : fmt::format("{} {} {}", field, pick(order), limit);
    }
    if (one_in(4) && width > 1) {
        const uint64_t mask = width >= 64 ? bits() : bits() & ((uint64_t{1} << width) - 1);
        const uint64_t v = std::strtoull(value().c_str(), nullptr, 0) & mask;
        return fmt::format("{} {} {:#x}/{:#x}", field, pick(equality), v, mask);
    }
    Strings items;
    for (unsigned i = one_in(2) ? 1 : 1 + below(4); i > 0; --i) {
        items.push_back(value());
    }
    return fmt::format("{} {} {}", field, pick(equality), set_of(items));
}

std::string Random::port_test() {
    const char* field = one_in(2) ? "inport" : "outport";
    switch (below(4)) {
    case 0: return fmt::format("{} == @{}", field, one_in(8) ? "pg0" : one_in(2) ? "pg1" : "pg2");
    case 1: return fmt::format("{} == {{\"{}\", \"{}\"}}", field, pick(kPorts), pick(kPorts));
    default: return fmt::format("{} == \"{}\"", field, pick(kPorts));
    }
}

std::string Random::comparison(bool negated) {
    static const Strings ordinal = {"eth.mcast",     "eth.bcast",      "ip.is_frag",     "ct.est",
                                    "ip.later_frag", "ip.first_frag",  "ct.new",         "ct.trk",
                                    "vlan.present",  "flags.loopback", "ct_mark.blocked"};
    static const Strings relations = {"==", "==", "==", "!="};
    switch (negated ? 2 + below(8) : below(12)) {
    case 0:
    case 1: return port_test();
    case 2:
    case 3: {
        const char* field = one_in(2) ? "ip4.src" : "ip4.dst";
        if (one_in(3)) {
            return fmt::format("{} {} {}", field, pick(relations),
                               one_in(9)   ? "$none"
                               : one_in(3) ? "$big4"
                                           : "$as4");
        }
        if (one_in(4)) {
            return fmt::format("{} {} 10.{}.1.5", field, one_in(2) ? ">" : "<=", below(3));
        }
        Strings items;
        for (unsigned i = one_in(2) ? 1 : 1 + below(4); i > 0; --i) {
            items.push_back(address4());
        }
        return fmt::format("{} {} {}", field, pick(relations), set_of(items));
    }
    case 4: {
        const char* field = one_in(2) ? "ip6.src" : "ip6.dst";
        return fmt::format("{} {} {}", field, pick(relations),
                           one_in(4) ? "$as6" : set_of({address6(), address6()}));
    }
    case 5: {
        const char* field = one_in(2) ? "eth.src" : "eth.dst";
        return fmt::format("{} {} {}", field, pick(relations),
                           one_in(5) ? "$macs" : set_of({mac(), mac()}));
    }
    case 6:
    case 7: return pick(negated ? ordinal : kPredicates);
    case 8: {
        const NumberField& f = kNumbers[below(static_cast<unsigned>(std::size(kNumbers)))];
        if (!f.ordinal && negated) {
            return pick(ordinal);
        }
        if (!f.ordinal) {
            return fmt::format(
                "{} == {}", f.name,
                set_of({std::to_string(std::stoul(pick(*f.pool)) & ((1u << f.width) - 1))}));
        }
        return number_test(f.name, f.width, *f.pool);
    }
    case 9: {
        const Register& r = pick(kRegisters);
        unsigned width = 0;
        const std::string slice = slice_of(r.name, r.width, &width);
        return number_test(slice, width, kWords);
    }
    case 10: {
        static const Strings arp = {"arp.op == 1",
                                    "arp.op == 2",
                                    "arp.spa == 10.0.0.0/24",
                                    "arp.tpa == {10.0.0.1, 10.0.0.2}",
                                    "arp.sha == 40:44:00:00:00:01",
                                    "arp.tpa != 10.0.0.1",
                                    "nd.target == fd00::1",
                                    "nd.sll == 40:44:00:00:00:01",
                                    "nd.tll != 40:44:00:00:00:02"};
        return pick(arp);
    }
    default: return fmt::format("is_chassis_resident(\"{}\")", pick(kPorts));
    }
}

std::string Random::match(unsigned depth, bool negated) {
    if (depth == 0 || one_in(4)) {
        return one_in(20) ? (one_in(2) ? "1" : "0") : comparison(negated);
    }
    const bool all = !one_in(3);
    std::string out;
    for (unsigned i = 2 + below(2); i > 0; --i) {
        const bool flip = one_in(6);
        const std::string term = (flip ? "!(" : "(") + match(depth - 1, negated || flip) + ")";
        out += out.empty() ? term : (all ? " && " : " || ") + term;
    }
    return out;
}

std::vector<Random::Line> Random::mixed(unsigned n) {
    std::vector<Line> out;
    for (unsigned i = 0; i < n; ++i) {
        out.push_back({below(6) * 10, match(1 + below(3))});
    }
    return out;
}

std::vector<Random::Line> Random::routes(unsigned n) {
    std::vector<Line> out;
    for (unsigned i = 0; i < n; ++i) {
        const bool v6 = one_in(8);
        const std::string prefix = v6 ? address6() : address4();
        const size_t slash = prefix.find('/');
        const unsigned length = slash == std::string::npos
                                    ? (v6 ? 128 : 32)
                                    : static_cast<unsigned>(std::stoul(prefix.substr(slash + 1)));
        std::string text = fmt::format("{} == {}", v6 ? "ip6.dst" : "ip4.dst", prefix);
        text = one_in(6) ? "reg7 == " + std::to_string(below(3)) + " && " + text : text;
        out.push_back({length * 3 + below(2), text});
    }
    return out;
}

std::vector<Random::Line> Random::l2_lookup(unsigned n) {
    std::vector<Line> out = {{70, "eth.mcast"}, {110, "eth.dst == 33:33:00:00:00:01"}};
    for (unsigned i = 0; i < n; ++i) {
        out.push_back({50, fmt::format("eth.dst == 40:44:00:00:0{}:{:02x}", below(2), below(40))});
    }
    for (unsigned i = below(3); i > 0; --i) {
        out.push_back({80 - 20 * below(2), match(1)});
    }
    return out;
}

std::vector<Random::Line> Random::acls(unsigned n) {
    std::vector<Line> out;
    for (unsigned i = 0; i < n; ++i) {
        std::string text = one_in(2) ? "outport == @pg1" : port_test();
        text += one_in(3)   ? " && ip4.src == $as4"
                : one_in(2) ? " && ip4.src == $big4"
                            : " && ip4.src != " + address4();
        if (one_in(2)) {
            const unsigned low = below(2000);
            text += fmt::format(" && tcp.dst >= {} && tcp.dst <= {}", low, low + below(9000));
        } else {
            text += fmt::format(" && {}", number_test("udp.dst", 16, kPorts4));
        }
        text += one_in(4) ? " && ct.est && !ct.rpl" : one_in(4) ? " && !ct.est" : "";
        out.push_back({1000 + below(one_in(2) ? 2000 : 3), text});
    }
    return out;
}

std::vector<Random::Line> Random::resolve(unsigned n) {
    std::vector<Line> out;
    for (unsigned i = 0; i < n; ++i) {
        out.push_back({one_in(10) ? 50u : 100u,
                       fmt::format("outport == \"{}\" && {} == 10.{}.{}.{}", pick(kPorts), "reg0",
                                   below(3), below(4), below(8))});
    }
    out.push_back({1, "ip4"});
    return out;
}

}  // namespace sluice::testing
