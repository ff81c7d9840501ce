// SPDX-License-Identifier: Apache-2.0
// Whether the other ends of tunnels answer, and groups of chassis of which one is to get a packet.
//
// What. Every Tunnel points to a TunnelLife. Where BFD runs over the tunnel, the slow path writes
// its state there, at once; workers read it when they send. So traffic leaves a dead gateway
// without a publish, and cached programs stay right: they name a TunnelSet (Act::kEncap), never the
// tunnel that it led to. A tunnel that nobody watches counts as live. Threads. `state`: the slow
// path writes, all read, relaxed: each word is all there is to know. A life belongs to one meaning
// of a tunnel index; Pipeline::keep and the BFD session share it. Sets are immutable once
// published.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace sluice {

struct TunnelLife {
    enum class State : uint8_t { kUnwatched, kUp, kDown };
    std::atomic<State> state{State::kUnwatched};
};

inline bool is_live(const TunnelLife* life) {
    return !life || life->state.load(std::memory_order_relaxed) != TunnelLife::State::kDown;
}
inline bool is_watched(const TunnelLife* life) {
    return life && life->state.load(std::memory_order_relaxed) != TunnelLife::State::kUnwatched;
}

/// The chassis of an HA group as tunnels, best first: the first that is live gets the packet.
struct TunnelSet {
    static constexpr uint32_t kTarget = 1u << 30;  ///< in place of a tunnel index: | set's number
    std::vector<uint32_t> tunnels;
    bool operator==(const TunnelSet&) const = default;
};

}  // namespace sluice
