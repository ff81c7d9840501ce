// SPDX-License-Identifier: Apache-2.0
// What a datapath has learnt: MAC_Binding/Static_MAC_Binding (IPv4 and IPv6) and FDB.
//
// Immutable once published. The control thread builds a new object when a row of the datapath
// changes; walks look up. Keys are exact, so a plain std::unordered_map read-only is enough and
// safe: no thread writes after publication.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "lib/net/addr.h"

namespace sluice {

struct Neighbors {
    struct Ip4Key {
        uint32_t port_key;
        uint32_t ip;  ///< host order
        bool operator==(const Ip4Key&) const = default;
    };
    struct Ip6Key {
        uint32_t port_key;
        Ip6 ip;
        bool operator==(const Ip6Key&) const = default;
    };
    struct Hash {
        size_t operator()(const Ip4Key& k) const {
            return (uint64_t{k.port_key} << 32 | k.ip) * 0x9e3779b97f4a7c15ull;
        }
        size_t operator()(const Ip6Key& k) const {
            uint64_t high;
            uint64_t low;
            std::memcpy(&high, k.ip.bytes.data(), 8);
            std::memcpy(&low, k.ip.bytes.data() + 8, 8);
            return (high ^ low * 0x9e3779b97f4a7c15ull ^ k.port_key) * 0xbf58476d1ce4e5b9ull;
        }
    };

    std::unordered_map<Ip4Key, uint64_t, Hash> ip4;  ///< -> MAC as Mac::to_u64
    std::unordered_map<Ip6Key, uint64_t, Hash> ip6;
    std::unordered_map<uint64_t, uint32_t> fdb;  ///< MAC -> port key
    bool fdb_ages = false;                       ///< whoever sees a row in use is to say so
};

}  // namespace sluice
