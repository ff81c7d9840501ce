// SPDX-License-Identifier: Apache-2.0
// Outbox: from the slow path to the control thread, in batches, bounded.
//
// The slow path adds; when nothing is on its way yet it posts one delivery to the control loop,
// which empties the box and calls the sinks. Shared by both sides, so a delivery that runs after
// the slow path has gone finds a closed box.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "control/slowpath/slowpath.h"

namespace sluice {

struct Learned {
    enum class Kind : uint8_t {
        kPutArp,
        kPutNd,
        kPutFdb,
        kMacUse4,
        kMacUse6,
        kFdbUse,
        kNeighbor4,
        kNeighbor6,
        kTunnelWanted,
        kActivated
    } kind;
    uint32_t datapath = 0;
    uint32_t port = 0;  ///< port key, PortId for neighbours, tunnel index
    Ip4 ip4;
    Ip6 ip6;
    Mac mac;
};

class Outbox : public std::enable_shared_from_this<Outbox> {
public:
    static constexpr size_t kMax = 1 << 16;

    Outbox(EventLoop* control_loop, SlowPathSinks sinks)
        : control_loop_(control_loop), sinks_(std::move(sinks)) {}

    /// Slow-path thread. False when control has too much waiting.
    bool add(const Learned& learned);
    /// Control thread: no sink is called any more.
    void close();

private:
    void deliver();
    void call(const Learned& learned) const;

    EventLoop* control_loop_;
    SlowPathSinks sinks_;  ///< called on the control thread only
    std::mutex mutex_;     ///< guards what follows
    std::vector<Learned> waiting_;
    bool posted_ = false;
    bool closed_ = false;
};

}  // namespace sluice
