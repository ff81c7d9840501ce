// SPDX-License-Identifier: Apache-2.0
// LbHairpins: what chk_lb_hairpin(), chk_lb_hairpin_reply() and ct_snat_to_vip ask about a
// datapath.
//
// One entry a (VIP, backend) pair of the Southbound's Load_Balancer rows. A packet that was
// balanced to its own sender must be sent back with the VIP (or options:hairpin_snat_ip) as its
// source, so that the answer comes back through the balancer. Threads: immutable once published.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/program/flat_map.h"

namespace sluice {

struct LbHairpin {
    bool is_v6 = false;
    uint8_t proto = 0;  ///< 0: a VIP without port
    uint32_t vip[4] = {};
    uint32_t backend[4] = {};
    uint32_t snat[4] = {};  ///< source of the hairpin packet: the VIP, or hairpin_snat_ip
    uint16_t vip_port = 0;
    uint16_t backend_port = 0;
};

struct LbHairpins {
    /// By backend: hash of (is_v6, proto, address, port) -> range of `entries`.
    struct Range {
        uint32_t begin;
        uint32_t end;
    };
    std::vector<LbHairpin> entries;  ///< those of one backend lie together
    FlatMap<uint64_t, Range> by_backend;
    static uint64_t key(const uint32_t address[4], uint8_t proto, uint16_t port) {
        uint64_t h = uint64_t{address[0]} << 32 | address[1];
        h = (h ^ (uint64_t{address[2]} << 32 | address[3])) * 0x9e3779b97f4a7c15ull;
        return (h ^ h >> 29 ^ (uint64_t{proto} << 16 | port)) * 0xbf58476d1ce4e5b9ull;
    }
};

}  // namespace sluice
