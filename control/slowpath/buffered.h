// SPDX-License-Identifier: Apache-2.0
// HeldPackets: packets that wait until the link layer address of their next hop is known.
//
// What. arp{} and nd_ns{} send a request instead of the packet; the packet itself comes here with
// its logical fields (PuntReason::kBuffer). When a published MAC binding of the datapath answers
// for the next hop (reg0 or xxreg0, as ovn-northd writes them), the packet goes on at the output
// stage with that eth.dst, as ovn-controller sends it.
//
// Bounds are ovn-controller's: 3 packets a next hop, of which the oldest gives way, 1000 next hops,
// 10 seconds since the last packet; and a bound on all bytes. A next hop is (datapath, outport,
// address). A chassisredirect outport has its bindings under the port it stands for.
//
// A packet that flows sent here although the binding was known does not wait for that one: the
// address of a virtual port that nobody has is asked for anew, and the packet goes to whoever else
// answers.
//
// Design. No I/O: what is ready is returned. Bindings are looked at when a newer pipeline is
// published or a packet has come.
// Threads. The slow path's.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "lib/net/addr.h"
#include "lib/program/punt.h"

namespace sluice {

struct Pipeline;

class HeldPackets {
public:
    static constexpr size_t kPerHop = 3;
    static constexpr size_t kHops = 1000;
    static constexpr int64_t kHoldMs = 10000;
    static constexpr size_t kBytes = 8u << 20;
    static constexpr int64_t kSettleMs = 100;  ///< then all workers look at a new pipeline

    struct Packet {
        std::vector<uint8_t> frame;
        PuntMeta meta;
        unsigned worker;
        bool is_judged = false;
        uint64_t stale = 0;  ///< the binding that it does not wait for
    };
    enum class Kept : uint8_t {
        kYes,
        kInsteadOfOldest,
        kNoRoom,  ///< too many next hops or bytes
        kNoIp,    ///< not a packet that has a next hop
    };

    Kept keep(std::span<const uint8_t> frame, const PuntMeta& meta, unsigned worker,
              int64_t now_ms);
    /// Packets whose next hop is known now, oldest first per next hop, with eth.dst written.
    std::vector<Packet> ready(const Pipeline& pipeline, int64_t now_ms);
    /// Forgets what nobody answered for. Returns how many packets that were.
    size_t expire(int64_t now_ms);
    size_t bytes() const { return bytes_; }

private:
    using Key = std::tuple<uint32_t, uint32_t, bool, Ip6>;  ///< datapath, outport, is IPv6, address
    struct Hop {
        std::deque<Packet> packets;
        int64_t last_ms = 0;
    };
    void drop_oldest(Hop* hop);
    static bool may_go(Packet* packet, uint64_t mac, bool is_settled);

    std::map<Key, Hop> hops_;
    size_t bytes_ = 0;
    uint64_t looked_at_ = 0;    ///< sequence of the last pipeline
    int64_t published_ms_ = 0;  ///< when it was first seen
    bool fresh_ = false;        ///< a packet came since
    int64_t next_expiry_ms_ = INT64_MAX;
};

}  // namespace sluice
