// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include <fmt/format.h>

#include "tests/property/compile_random.h"

namespace sluice::testing {

namespace {

using Strings = std::vector<std::string>;

struct Register {
    const char* name;
    unsigned width;
};
const std::vector<Register> kWritable = {
    {"reg0", 32},       {"reg1", 32},    {"reg2", 32},    {"reg5", 32},     {"reg9", 32},
    {"xreg0", 64},      {"xreg2", 64},   {"xreg4", 64},   {"xxreg0", 128},  {"xxreg1", 128},
    {"flags", 32},      {"ip4.src", 32}, {"ip4.dst", 32}, {"ip6.dst", 128}, {"eth.src", 48},
    {"eth.dst", 48},    {"tcp.dst", 16}, {"udp.src", 16}, {"vlan.tci", 16}, {"pkt.mark", 32},
    {"nd.target", 128}, {"arp.spa", 32}, {"arp.tha", 48}, {"ip6.label", 20}};

const std::vector<uint64_t> kNumbers = {
    0,          1,         2, 3, 5, 64, 80, 255, 443, 0x0a000001, 0x0a000101, 0x404400000001,
    0xdeadbeef, 0xffffffff};

}  // namespace

std::string Random::statement(unsigned side, unsigned table, unsigned tables, unsigned depth) {
    const auto slice = [&](unsigned* width) {
        const Register& r = pick(kWritable);
        return slice_of(r.name, r.width, width);
    };
    const auto slice_with = [&](unsigned width) {
        for (;;) {
            const Register& r = pick(kWritable);
            if (r.width == width) {
                return std::string(r.name);
            }
            if (r.width > width) {
                const unsigned low = below(r.width - width + 1);
                return fmt::format("{}[{}..{}]", r.name, low, low + width - 1);
            }
        }
    };
    unsigned width = 0;
    switch (below(16)) {
    case 0:
    case 1:
    case 2: {
        const std::string dst = slice(&width);
        const uint64_t v =
            pick(kNumbers) & (width >= 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1);
        return fmt::format("{} = {};", dst, v);
    }
    case 3: {
        const std::string dst = slice(&width);
        return fmt::format("{} = {};", dst, slice_with(width));
    }
    case 4: {
        const std::string dst = slice(&width);
        return fmt::format("{} <-> {};", dst, slice_with(width));
    }
    case 5: {
        const std::string from = slice(&width);
        const std::string to = one_in(4) ? slice(&width) : slice_with(width);
        return fmt::format("push({}); {} = 1; pop({});", from, from, to);
    }
    case 6: return fmt::format("outport = \"{}\";", one_in(5) ? "" : one_in(5) ? "gone" : "p2");
    case 7: return "flags.loopback = 1;";
    case 8: return "ip.ttl--;";
    case 9: return "ct_clear;";
    case 10: return fmt::format("reg9[{}] = check_pkt_larger({});", below(3), 100 * below(4));
    case 11: return "get_arp(outport, reg0);";
    case 12: return "reg9[2] = lookup_arp(inport, arp.spa, arp.sha);";
    case 13: return "inport = \"\";";
    case 14:
        if (depth < 2) {
            std::string body;
            for (unsigned i = below(3); i > 0; --i) {
                body += statement(side, table, tables, depth + 1);
            }
            return "clone { " + body +
                   (one_in(3) && table + 1 < tables ? "next; };" : "output; };");
        }
        return "outport <-> inport;";
    default: return "outport <-> inport; eth.src <-> eth.dst;";
    }
}

std::string Random::actions(unsigned side, unsigned table, unsigned tables) {
    if (one_in(3) && table + 1 < tables) {
        return "next;";
    }
    std::string out;
    for (unsigned i = below(4); i > 0; --i) {
        out += statement(side, table, tables, 0) + " ";
    }
    switch (below(8)) {
    case 0: return out.empty() ? "drop;" : out + "output;";
    case 1:
    case 2: return out + "output;";
    case 4:
        // What the called tables wrote is still there afterwards.
        if (table + 2 < tables) {
            return out +
                   fmt::format("next; {} next({});", statement(side, table, tables, 0), table + 2);
        }
        [[fallthrough]];
    case 3:
        if (table + 2 < tables) {
            return out + fmt::format("next({});", table + 2);
        }
        [[fallthrough]];
    default:
        if (table + 1 < tables) {
            return out + (one_in(6) ? "next; output;" : "next;");
        }
        return out + "output;";
    }
}

uint64_t Random::near_number(const std::vector<uint64_t>& pool, unsigned width) {
    uint64_t v = pick(pool) + (one_in(4) ? below(3) - 1u : 0u);
    if (one_in(12)) {
        v = bits();
    }
    return width >= 64 ? v : v & ((uint64_t{1} << width) - 1);
}

oracle::Packet Random::packet(unsigned side) {
    oracle::Packet p;
    const auto number = [&](const char* name, unsigned width, const std::vector<uint64_t>& pool) {
        p[name] = {0, near_number(pool, width)};
    };
    const auto ip4 = [&] {
        return uint64_t{one_in(9) ? below(256) : 10} << 24 | below(3) << 16 | below(4) << 8 |
               below(one_in(4) ? 256 : 10);
    };
    const auto ip6 = [&] {
        static const std::vector<oracle::Wide> pool = {{0xfd00000000000000, 1},
                                                       {0xfd00000000000000, 2},
                                                       {0xfd00000100000000, 7},
                                                       {0xfe80000000000000, 5},
                                                       {0xff02000000000000, 1},
                                                       {0xff02000000000000, 0x16},
                                                       {0, 0},
                                                       {0x20010db800000000, 9},
                                                       {0xff02000000000000, 0x1ff000001}};
        return pick(pool);
    };
    static const std::vector<uint64_t> kMacs = {0x404400000001, 0x404400000002, 0x404400000003,
                                                0x404400000105, 0x40440000000a, 0xffffffffffff,
                                                0x333300000001, 0x01005e000001};
    static const std::vector<uint64_t> kL4 = {80, 443, 53,  67,  68, 1024, 8080, 65535,
                                              8,  135, 136, 143, 0,  500,  3000};
    static const std::vector<uint64_t> kWords = {0,          1,          2,          0xff,
                                                 0x80000000, 0xdeadbeef, 0x0a000001, 0x0a000102};
    if (side == 0) {
        static const std::vector<uint64_t> kEnter = {1, 2, 3, 5, 6, 7, 9};
        p["inport"] = {0, pick(kEnter)};
        static const std::vector<uint64_t> kFlags = {0, 1, 1u << 15, 1u << 19};
        p["flags"] = {0, pick(kFlags)};
    } else {
        p["inport"] = {0, below(11)};
        static const std::vector<uint64_t> kLeave = {0, 1, 2, 4, 5, 6, 7, 9, 10};
        p["outport"] = {0, pick(kLeave)};
        p["flags"] = {0, one_in(2) ? 0u : 1u};
    }
    static const std::vector<uint64_t> kCt = {0, 0x21, 0x22, 0x2a, 0x30, 0x20, 0x24, 2, 1};
    number("ct_state", 8, kCt);
    number("ct_mark", 32, kWords);
    p["ct_label"] = {one_in(2) ? 0 : near_number(kWords, 64), near_number(kWords, 64)};
    number("pkt.mark", 32, kWords);
    number("eth.src", 48, kMacs);
    number("eth.dst", 48, kMacs);
    static const std::vector<uint64_t> kTypes = {0x800, 0x800,  0x800, 0x86dd,
                                                 0x806, 0x8035, 0x88cc};
    p["eth.type"] = {0, pick(kTypes)};
    static const std::vector<uint64_t> kTci = {0, 0x1000, 0x1001, 0x1064, 0x3064, 0x1fff};
    number("vlan.tci", 16, kTci);
    static const std::vector<uint64_t> kProtos = {6, 6, 17, 17, 1, 58, 132, 2, 47};
    p["ip.proto"] = {0, pick(kProtos)};
    static const std::vector<uint64_t> kTtl = {0, 1, 2, 64, 255, 255};
    p["ip.ttl"] = {0, pick(kTtl)};
    p["ip.dscp"] = {0, below(8)};
    p["ip.ecn"] = {0, below(4)};
    p["ip.frag"] = {0, below(4)};
    p["ip4.src"] = {0, ip4()};
    p["ip4.dst"] = {0, ip4()};
    p["ip6.src"] = ip6();
    p["ip6.dst"] = ip6();
    p["ip6.label"] = {0, below(6)};
    number("l4.src", 16, kL4);
    number("l4.dst", 16, kL4);
    p["tcp.flags"] = {0, below(10)};
    p["arp.op"] = {0, below(3)};
    p["arp.spa"] = {0, ip4()};
    p["arp.tpa"] = {0, ip4()};
    number("arp.sha", 48, kMacs);
    number("arp.tha", 48, kMacs);
    p["nd.target"] = ip6();
    number("nd.sll", 48, kMacs);
    number("nd.tll", 48, kMacs);
    p["length"] = {0, 60 + below(300)};
    return p;
}

std::unique_ptr<RandomFlow> make_flow(unsigned side, unsigned table, unsigned priority, uint32_t id,
                                      uint64_t uuid_bits, const std::string& match,
                                      const std::string& actions) {
    const lang::SymbolTable& symbols = lang::SymbolTable::of(lang::Dialect::k2303);
    lang::ActionContext context;
    context.pipeline = side == 0 ? lang::Pipeline::kIngress : lang::Pipeline::kEgress;
    context.table = table;
    auto parsed_match = lang::parse_match(match, symbols);
    auto parsed_actions = lang::parse_actions(actions, symbols, context);
    if (!parsed_match || !parsed_actions) {
        return nullptr;
    }
    auto out = std::make_unique<RandomFlow>();
    compile::Flow& f = out->flow;
    std::memcpy(f.uuid.bytes.data(), &uuid_bits, sizeof uuid_bits);
    f.id = id;
    f.side = side == 0 ? kIngress : kEgress;
    f.table = static_cast<uint8_t>(table);
    f.priority = static_cast<uint16_t>(priority);
    f.match = std::make_shared<const std::string>(match);
    f.actions = std::make_shared<const std::string>(actions);
    out->judged = {side,
                   table,
                   priority,
                   f.uuid.bytes,
                   id,
                   *parsed_match,
                   parsed_actions->list,
                   parsed_actions->prerequisites};
    return out;
}

namespace {

/// The compiler's storage for one of the oracle's stores.
FieldId field_of(size_t store) {
    static const auto* const fields = [] {
        auto* list = new std::vector<FieldId>;
        for (const char* name : oracle::kStores) {
            FieldId found = FieldId::kPktLen;
            for (unsigned i = 0; i < static_cast<unsigned>(FieldId::kCount); ++i) {
                if (std::strcmp(kFields[i].name, name) == 0) {
                    found = static_cast<FieldId>(i);
                }
            }
            list->push_back(found);
        }
        return list;
    }();
    return (*fields)[store];
}

}  // namespace

void to_state(const oracle::Packet& packet, State* state) {
    std::memset(state->w, 0, sizeof state->w);
    for (size_t i = 0; i < oracle::kStoreCount; ++i) {
        const FieldInfo& info = field_info(field_of(i));
        const oracle::Wide v = packet.stores[i];
        const unsigned __int128 whole = static_cast<unsigned __int128>(v.hi) << 64 | v.lo;
        const unsigned __int128 placed = whole << info.shift;
        for (unsigned s = 0; s < info.slots(); ++s) {
            state->w[info.last_slot() - s] |= static_cast<uint32_t>(placed >> 32 * s);
        }
    }
}

oracle::Packet to_packet(const State& state) {
    oracle::Packet packet;
    for (size_t i = 0; i < oracle::kStoreCount; ++i) {
        const FieldInfo& info = field_info(field_of(i));
        unsigned __int128 v = 0;
        for (unsigned s = 0; s < info.slots(); ++s) {
            v = v << 32 | state.w[info.slot + s];
        }
        v >>= info.shift;
        packet.stores[i] =
            oracle::wide_and({static_cast<uint64_t>(v >> 64), static_cast<uint64_t>(v)},
                             oracle::wide_ones(info.bits));
    }
    return packet;
}

}  // namespace sluice::testing
