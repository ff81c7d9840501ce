// SPDX-License-Identifier: Apache-2.0
// Announce: announcements and prefix delegation as one object on the slow-path thread.
//
// Control gives the complete Config whenever it differs. A timer of the slow path's loop asks the
// engines what is due and injects it; server messages (handle_dhcpv6_reply) come in as punts. A
// prefix that was delegated goes to the sink, on the control thread.
// Threads: made, configured and closed by control; the engines belong to the slow-path thread.
#pragma once

#include <functional>
#include <memory>

#include "control/slowpath/announce/config.h"
#include "control/slowpath/slowpath.h"

namespace sluice::announce {

class Announce {
public:
    using Sink = std::function<void(const LearnedPrefix&)>;
    static constexpr int64_t kTickMs = 50;

    /// Before SlowPath::start().
    Announce(SlowPath& slow_path, EventLoop& control_loop, Sink sink);
    ~Announce();
    Announce(const Announce&) = delete;
    Announce& operator=(const Announce&) = delete;

    void configure(std::shared_ptr<const Config> config);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace sluice::announce
