// SPDX-License-Identifier: Apache-2.0
// KernelWatch: addresses, routes and neighbours of the network namespace, by rtnetlink.
//
// It reads everything at start and again, after a short pause, whenever the kernel says that one
// of them changed, and hands over the whole: the tables are small, and a whole cannot drift.
// Only the main routing table and unicast routes count, with all their next hops. Without
// permission or netlink it says so once and stays quiet: options and unixctl remain. Threads:
// control.
#pragma once

#include <functional>
#include <memory>

#include "control/physical/underlay.h"
#include "lib/base/event_loop.h"
#include "lib/base/result.h"

namespace sluice::physical {

class KernelWatch {
public:
    KernelWatch(EventLoop* loop, std::function<void(KernelState)> on_state);
    ~KernelWatch();
    Result<void> start();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::physical
