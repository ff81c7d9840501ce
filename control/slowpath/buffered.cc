// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/buffered.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include "lib/net/wire.h"
#include "lib/program/pipeline.h"

namespace sluice {
namespace {

/// The Ethernet type behind at most one tag; 0 for a runt.
uint16_t type_of(std::span<const uint8_t> frame) {
    size_t at = 12;
    if (frame.size() >= wire::kEthLen && wire::get16(frame.data() + at) == wire::kTypeVlan) {
        at += wire::kVlanLen;
    }
    return frame.size() < at + 2 ? uint16_t{0} : wire::get16(frame.data() + at);
}

std::optional<uint64_t> binding(const Neighbors& neighbors, uint32_t port, bool ip6,
                                const Ip6& address) {
    if (ip6) {
        const auto found = neighbors.ip6.find({port, address});
        return found == neighbors.ip6.end() ? std::nullopt : std::optional(found->second);
    }
    const auto found = neighbors.ip4.find({port, wire::get32(address.bytes.data() + 12)});
    return found == neighbors.ip4.end() ? std::nullopt : std::optional(found->second);
}

std::optional<uint64_t> mac_of(const Datapath& datapath, uint32_t outport, bool ip6,
                               const Ip6& address) {
    const Neighbors& neighbors = *datapath.neighbors;
    const LogicalPort* const* port = datapath.ports.find(outport);
    if (port && ((*port)->reach == Reach::kPatch || (*port)->reach == Reach::kVif)) {
        return binding(neighbors, outport, ip6, address);
    }
    if (port && (*port)->reach == Reach::kRedirect) {
        return binding(neighbors, (*port)->via_key, ip6, address);
    }
    // A chassisredirect port of another chassis: whose it is, only that chassis knows.
    std::optional<uint64_t> found;
    datapath.ports.for_each([&](uint32_t key, const LogicalPort*) {
        if (!found) {
            found = binding(neighbors, key, ip6, address);
        }
    });
    return found;
}

}  // namespace

HeldPackets::Kept HeldPackets::keep(std::span<const uint8_t> frame, const PuntMeta& meta,
                                    unsigned worker, int64_t now_ms) {
    const uint16_t type = type_of(frame);
    const bool ip6 = type == wire::kTypeIp6;
    if (!ip6 && type != wire::kTypeIp4) {
        return Kept::kNoIp;
    }
    Ip6 address;
    for (unsigned i = ip6 ? 0 : 3; i < 4; ++i) {
        wire::put32(address.bytes.data() + 4 * i, meta.logical[kSlotXxreg0 + (ip6 ? i : 0)]);
    }
    const Key key{meta.datapath(), meta.outport(), ip6, address};
    auto at = hops_.find(key);
    if ((at == hops_.end() && hops_.size() >= kHops) || bytes_ + frame.size() > kBytes) {
        return Kept::kNoRoom;
    }
    if (at == hops_.end()) {
        at = hops_.emplace(key, Hop{}).first;
    }
    Hop& hop = at->second;
    hop.packets.push_back({{frame.begin(), frame.end()}, meta, worker});
    hop.last_ms = now_ms;
    bytes_ += frame.size();
    fresh_ = true;
    next_expiry_ms_ = std::min(next_expiry_ms_, now_ms + kHoldMs);
    if (hop.packets.size() <= kPerHop) {
        return Kept::kYes;
    }
    drop_oldest(&hop);
    return Kept::kInsteadOfOldest;
}

void HeldPackets::drop_oldest(Hop* hop) {
    bytes_ -= hop->packets.front().frame.size();
    hop->packets.pop_front();
}

bool HeldPackets::may_go(Packet* packet, uint64_t mac, bool is_settled) {
    if (!std::exchange(packet->is_judged, true) && is_settled) {
        packet->stale = mac;
    }
    return mac != packet->stale;
}

std::vector<HeldPackets::Packet> HeldPackets::ready(const Pipeline& pipeline, int64_t now_ms) {
    std::vector<Packet> out;
    const bool is_new = pipeline.sequence != looked_at_;
    looked_at_ = pipeline.sequence;
    published_ms_ = is_new ? now_ms : published_ms_;
    if (hops_.empty() || (!fresh_ && !is_new)) {
        return out;
    }
    fresh_ = false;
    const bool is_settled = now_ms - published_ms_ >= kSettleMs;
    for (auto i = hops_.begin(); i != hops_.end();) {
        const auto& [datapath_key, outport, ip6, address] = i->first;
        const Datapath* const* datapath = pipeline.by_key.find(datapath_key);
        const uint64_t mac =
            datapath ? mac_of(**datapath, outport, ip6, address).value_or(0) : uint64_t{0};
        std::deque<Packet> waiting;
        for (Packet& packet : i->second.packets) {
            if (!may_go(&packet, mac, is_settled) || mac == 0) {
                waiting.push_back(std::move(packet));
                continue;
            }
            bytes_ -= packet.frame.size();
            wire::put48(packet.frame.data(), mac);
            out.push_back(std::move(packet));
        }
        i->second.packets = std::move(waiting);
        i = i->second.packets.empty() ? hops_.erase(i) : std::next(i);
    }
    return out;
}

size_t HeldPackets::expire(int64_t now_ms) {
    if (now_ms < next_expiry_ms_) {
        return 0;
    }
    size_t gone = 0;
    next_expiry_ms_ = INT64_MAX;
    for (auto i = hops_.begin(); i != hops_.end();) {
        if (now_ms <= i->second.last_ms + kHoldMs) {
            next_expiry_ms_ = std::min(next_expiry_ms_, i->second.last_ms + kHoldMs + 1);
            ++i;
            continue;
        }
        gone += i->second.packets.size();
        while (!i->second.packets.empty()) {
            drop_oldest(&i->second);
        }
        i = hops_.erase(i);
    }
    return gone;
}

}  // namespace sluice
