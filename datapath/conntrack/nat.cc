// SPDX-License-Identifier: Apache-2.0
// NAT: choosing an address and ports so that answers find their way back.
//
// As Open vSwitch 3.1 does it, because which port is taken can be seen from outside:
//  * the address is the range's [hash % size]; all zero means the packet's own;
//  * SNAT with ports: from [hash % size] of the range on; without: the packet's own port first,
//  then
//    the ones after it, in the part of the port space it comes from (below 512, below 1024,
//    others);
//  * DNAT with ports: destination from [hash % size] on; when all are taken, and without ports, the
//    source port as for SNAT without ports;
//  * 128 ports in order, then half as many from a random place, down to 8.
// ICMP identifiers are kept when they are free. Open vSwitch gives up when one is not; here another
// identifier is looked for, as Linux does.
#include <algorithm>

#include "datapath/conntrack/table.h"

namespace sluice {
namespace {

using Wide = unsigned __int128;

constexpr unsigned kMaxAttempts = 128;
constexpr unsigned kLeastAttempts = 16;

struct PortRange {
    uint16_t low;
    uint16_t high;
    uint16_t first;
};

uint32_t size_of(const PortRange& r) {
    return static_cast<uint32_t>(r.high - r.low) + 1;
}

PortRange given_range(const CtNatRange& nat, uint64_t hash) {
    const uint16_t high = std::max(nat.port_low, nat.port_high);
    PortRange r{nat.port_low, high, 0};
    r.first = static_cast<uint16_t>(r.low + hash % size_of(r));
    return r;
}

PortRange own_range(uint16_t port) {
    return port < 512    ? PortRange{1, 511, port}
           : port < 1024 ? PortRange{600, 1023, port}
                         : PortRange{1024, 65535, port};
}

Wide wide_of(const uint32_t* words) {
    Wide v = 0;
    for (unsigned i = 0; i < 4; ++i) {
        v = v << 32 | words[i];
    }
    return v;
}

// The hash-th address of the range, as two words of a key.
void choose_address(const CtNatRange& nat, uint64_t hash, uint64_t* words) {
    const Wide low = wide_of(nat.low);
    const Wide high = wide_of(nat.high);
    if (low == 0) {
        return;
    }
    // A range beyond 2^32 addresses counts as that many, one that ends before it begins as one.
    const Wide last = high < low ? 0 : std::min<Wide>(high - low, 0xfffffffe);
    const Wide address = low + hash % (static_cast<uint64_t>(last) + 1);
    words[0] = static_cast<uint64_t>(address >> 64);
    words[1] = static_cast<uint64_t>(address);
}

}  // namespace

CtLink Conntrack::Impl::try_reverse(CtConn* conn, const CtKey& reverse, uint64_t now_ms) {
    const CtFound taken = find(reverse, hash(reverse));
    if (taken.conn && !is_expired(*taken.conn, now_ms)) {
        return CtLink::kReverseTaken;
    }
    if (taken.conn) {
        remove(taken.conn, taken.generation, CtCounters::kExpired, now_ms);
    }
    conn->store_key(1, reverse);
    return link(conn, true);
}

CtLink Conntrack::Impl::link_translated(CtConn* conn, const CtNatRange& nat, uint64_t now_ms) {
    CtKey key;
    conn->load_key(0, &key);
    CtKey reverse = ct_reverse(key);
    const bool source = nat.kind == CtNat::kSrc;
    const uint64_t chance = keyed.next(hash(key)) >> 32;
    if (key.is_v6() == nat.is_v6) {
        // What answers are sent to, or who sends them.
        choose_address(nat, chance, source ? &reverse.w[2] : &reverse.w[0]);
    }
    const bool icmp = ct_is_icmp(key.proto(), key.is_v6());
    if (!icmp && !ct_has_ports(key.proto())) {
        return try_reverse(conn, reverse, now_ms);
    }
    using Setter = void (CtKey::*)(uint16_t);
    const auto search = [&](const PortRange& range, Setter set) {
        unsigned attempts = std::min<uint32_t>(size_of(range), kMaxAttempts);
        uint32_t port = range.first;
        uint64_t dice = chance;
        for (;;) {
            for (unsigned i = 0; i < attempts; ++i) {
                (reverse.*set)(static_cast<uint16_t>(port));
                const CtLink result = try_reverse(conn, reverse, now_ms);
                if (result != CtLink::kReverseTaken) {
                    return result;
                }
                port = port >= range.high || port < range.low ? range.low : port + 1;
            }
            if (attempts >= size_of(range) || attempts < kLeastAttempts) {
                break;
            }
            attempts /= 2;
            dice = keyed.next(dice);
            port = range.low + static_cast<uint32_t>((dice >> 32) % size_of(range));
        }
        (reverse.*set)(range.first);
        return CtLink::kReverseTaken;
    };
    if (icmp) {
        return search({0, 65535, key.src_port()}, &CtKey::set_src_port);
    }
    const bool has_ports = nat.port_low != 0;
    if (!source && has_ports) {
        const CtLink result = search(given_range(nat, chance), &CtKey::set_src_port);
        if (result != CtLink::kReverseTaken) {
            return result;
        }
    }
    return search(source && has_ports ? given_range(nat, chance) : own_range(key.src_port()),
                  &CtKey::set_dst_port);
}

}  // namespace sluice
