// SPDX-License-Identifier: Apache-2.0
// A naive evaluator of logical flows, to judge the compiler by.
//
// It works on the parser's tree and on named fields with arithmetic of its own, flow by flow, and
// shares nothing with the compiler behind the parser: no rows, no slots, no known bits, no raw
// form. Slow and obvious on purpose. Field names and places are copied from ovn-sb(5).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/compile/actions.h"
#include "control/compile/expr.h"

namespace sluice::oracle {

/// 128 bits as two halves.
struct Wide {
    uint64_t hi = 0;
    uint64_t lo = 0;
    auto operator<=>(const Wide&) const = default;
};
Wide wide_and(Wide a, Wide b);
Wide wide_or(Wide a, Wide b);
Wide wide_not(Wide a);
Wide wide_left(Wide a, unsigned n);
Wide wide_right(Wide a, unsigned n);
Wide wide_ones(unsigned n);

/// Storage fields by their OVN names; the order is the oracle's own.
inline constexpr const char* kStores[] = {
    "inport",   "outport",  "remote_outport", "flags",     "xxreg0",  "xxreg1",    "xreg4",
    "pkt.mark", "ct_state", "ct_mark",        "ct_label",  "eth.src", "eth.dst",   "eth.type",
    "vlan.tci", "ip.proto", "ip.ttl",         "ip.dscp",   "ip.ecn",  "ip.frag",   "ip4.src",
    "ip4.dst",  "ip6.src",  "ip6.dst",        "ip6.label", "l4.src",  "l4.dst",    "tcp.flags",
    "arp.op",   "arp.spa",  "arp.tpa",        "arp.sha",   "arp.tha", "nd.target", "nd.sll",
    "nd.tll",   "length"};
inline constexpr size_t kStoreCount = std::size(kStores);
size_t store_index(const std::string& name);

struct Packet {
    std::array<Wide, kStoreCount> stores{};
    bool operator==(const Packet&) const = default;
    Wide& operator[](const std::string& name) { return stores[store_index(name)]; }
};

/// Where a symbol's bits are.
struct Place {
    size_t store;
    unsigned low;
    unsigned width;
};
Place place_of(const std::string& symbol);
Wide read_bits(const Packet& packet, const Place& place);
void write_bits(Packet* packet, const Place& place, Wide value);

/// What names mean.
struct World {
    std::map<std::string, uint32_t> ports;
    std::map<std::string, std::vector<std::string>> address_sets;
    std::map<std::string, std::vector<std::string>> port_groups;
    std::set<std::string> resident;
    // Conntrack zones (ovn-architecture(7) "Logical network" has who owns which).
    bool is_switch = true;
    std::map<uint32_t, unsigned> port_zones;  ///< by port key
    unsigned dnat_zone = 0;
    unsigned snat_zone = 0;
};

class Tracker;  // oracle_tracker.h

bool matches(const lang::Expr& expr, const Packet& packet, const World& world);

struct Flow {
    unsigned side = 0;
    unsigned table = 0;
    unsigned priority = 0;
    std::array<uint8_t, 16> uuid{};
    uint32_t id = 0;
    lang::Expr match;
    lang::ActionList actions;
    std::vector<lang::Expr> prerequisites;
};

struct Event {
    enum Kind { kOutput, kDrop, kNoMatch, kTtl } kind;
    std::string why;  ///< of a drop
    Packet packet;
    bool operator==(const Event&) const = default;
};

/// The flow of (side, table) that `packet` hits: highest priority, then lowest UUID; null if none.
const Flow* best_match(const std::vector<Flow>& flows, unsigned side, unsigned table,
                       const Packet& packet, const World& world);

/// Runs `packet` from (side, table) on; gives what happened in order.
/// Without a tracker no flow may have conntrack actions.
std::vector<Event> run(const std::vector<Flow>& flows, unsigned side, unsigned table,
                       const Packet& packet, const World& world, Tracker* tracker = nullptr);

}  // namespace sluice::oracle
