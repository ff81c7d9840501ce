// SPDX-License-Identifier: Apache-2.0
// LbHairpins: what chk_lb_hairpin(), chk_lb_hairpin_reply() and ct_snat_to_vip ask about a
// datapath. Datapaths with the same load balancers have one between them.
//
// What. A packet that was balanced to its own sender must be sent back with the VIP (or
// options:hairpin_snat_ip) as its source, so that the answer comes back through the balancer. From
// the Southbound's Load_Balancer rows: one LbHairpin a (VIP, backend) pair, one LbVip a VIP.
// Design. Both are found by one address; the few that share it are compared one by one. An answer
// is an answer only once a hairpin packet went the other way: OVN learns a flow then. That is the
// one thing here which packets change: LbSession, which lasts while the backend is there and
// survives publishes. Threads: immutable once published, sessions
// excepted (any worker sets, any reads).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/program/flat_map.h"
#include "lib/program/state.h"

namespace sluice {

/// In which datapaths packets of (backend, source of hairpin packets, port) went back to their
/// sender, by IP protocol. Datapaths with the same balancers share it, like the table around it; a
/// backend is behind one switch, so few places are enough. A ninth takes the place of another.
struct LbSession {
    static constexpr unsigned kPlaces = 8;
    std::atomic<uint32_t> seen[kPlaces] = {};  ///< datapath's key << 8 | protocol; 0: free

    bool has(uint32_t datapath, uint8_t proto) const {
        for (const std::atomic<uint32_t>& place : seen) {
            const uint32_t known = place.load(std::memory_order_acquire);
            if (known == (datapath << 8 | proto)) {
                return true;
            }
        }
        return false;
    }
    void set(uint32_t datapath, uint8_t proto) {
        const uint32_t wanted = datapath << 8 | proto;
        for (std::atomic<uint32_t>& place : seen) {
            uint32_t known = place.load(std::memory_order_acquire);
            if (known == wanted ||
                (known == 0 &&
                 place.compare_exchange_strong(known, wanted, std::memory_order_release)) ||
                known == wanted) {
                return;
            }
        }
        seen[wanted % kPlaces].store(wanted, std::memory_order_release);
    }
};

/// Addresses are host order; IPv4 in word 3, words 0..2 zero.
struct LbHairpin {
    bool is_v6 = false;
    bool in_registers = true;   ///< the VIP is in registers, else it is the connection's
    uint8_t proto = 0;          ///< compared if there is a backend port
    uint16_t vip_port = 0;      ///< too
    uint16_t backend_port = 0;  ///< 0: any protocol and port
    uint32_t vip[4] = {};
    uint32_t backend[4] = {};
    uint32_t snat[4] = {};  ///< source of the hairpin packet: the VIP, or hairpin_snat_ip
    LbSession* session = nullptr;
};

struct LbVip {
    bool is_v6 = false;
    bool in_registers = true;
    uint8_t proto = 0;
    bool has_own_snat = false;  ///< snat is hairpin_snat_ip, else it is the VIP
    uint16_t port = 0;          ///< 0: any protocol and port
    uint32_t vip[4] = {};
    uint32_t snat[4] = {};
};

struct LbHairpins {
    struct Range {
        uint32_t begin;
        uint32_t end;
    };
    /// What is found under some of the keys. A change makes those anew that it touches.
    struct Shard {
        std::vector<LbHairpin> entries;  ///< those of one key lie together
        FlatMap<uint64_t, Range> by_backend;
        std::vector<LbVip> vips;  ///< too; in the order in which they are to be tried
        FlatMap<uint64_t, Range> by_vip;
        std::vector<std::shared_ptr<LbSession>> sessions;  ///< by entry
    };
    std::vector<std::shared_ptr<const Shard>> shards{std::make_shared<const Shard>()};  ///< 2^n
    uint8_t vip4_slot = kSlotXxreg0 + 1;  ///< where northd notes an IPv4 VIP: reg1, newer ones reg4
    bool natted_in_mark = true;           ///< ct_mark.natted, else ct_label.natted of old ones

    static size_t shard_number(uint64_t key, size_t shards) {
        return key * 0x9e3779b97f4a7c15ull >> 48 & (shards - 1);
    }
    const Shard& shard(uint64_t key) const { return *shards[shard_number(key, shards.size())]; }
    static uint64_t key(const uint32_t address[4]) {
        uint64_t h = uint64_t{address[0]} << 32 | address[1];
        h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9ull;
        return h ^ (uint64_t{address[2]} << 32 | address[3]);
    }
};

}  // namespace sluice
