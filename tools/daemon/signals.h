// SPDX-License-Identifier: Apache-2.0
// Signals as events of a loop.
//
// Made before any thread: it blocks SIGTERM, SIGINT and SIGHUP in the calling thread, which all
// later threads inherit, and reads them from a signalfd. SIGPIPE is ignored.
// Threads: that of the EventLoop.
#pragma once

#include <functional>

#include "lib/base/event_loop.h"

namespace sluice {

struct SignalActions {
    std::function<void(int signal)> stop;  ///< SIGTERM, SIGINT; a second one ends the process
    std::function<void()> reopen;          ///< SIGHUP
};

class Signals {
public:
    Signals(EventLoop& loop, SignalActions actions);
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

private:
    void read();

    EventLoop& loop_;
    SignalActions actions_;
    int fd_;
    bool stopping_ = false;
};

}  // namespace sluice
