// SPDX-License-Identifier: Apache-2.0
// EventLoop: the epoll loop of a thread that waits (control, slow path; never a worker).
//
// Everything that thread does is a callback of its loop: descriptors that became ready, timers,
// and functions posted by other threads. Nothing runs concurrently, so what lives on one loop
// needs no locks.
//
// Order within one turn: timers that are due (by deadline), then posted functions, then ready
// descriptors. Callbacks may add, change or remove any descriptor or timer, their own included:
// an event that was collected for a removed descriptor is dropped, never delivered to a later
// user of the same number. A timer or function added during a turn runs in the next one, so a
// callback that re-arms itself with delay 0 cannot starve the descriptors.
//
// Threads: every call is for the loop's own thread, except post() and stop(), which any thread
// (a signal handler excepted) may make. The object itself may be built on one thread and run on
// another, as long as the two do not overlap.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/base/result.h"

namespace sluice {

/// Bits of `events`, for watching and in the callback.
struct Io {
    static constexpr uint32_t kRead = 1;
    static constexpr uint32_t kWrite = 2;
    static constexpr uint32_t kError =
        4;  ///< hang-up or error: always watched, comes with kRead too
};

class EventLoop {
public:
    using IoCallback = std::function<void(uint32_t ready)>;
    using Callback = std::function<void()>;
    using TimerId = uint64_t;  ///< never reused; 0 is no timer

    /// Aborts when the process is out of descriptors: nothing can run without a loop.
    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Watches `fd` (level triggered). The loop does not own it: remove_fd() before close().
    Result<void> add_fd(int fd, uint32_t events, IoCallback callback);
    /// Changes what is watched; `events` 0 pauses all but kError.
    void modify_fd(int fd, uint32_t events);
    /// Unknown descriptors are ignored.
    void remove_fd(int fd);

    /// Runs `callback` once, `delay_ms` from now (monotonic; 0 is the next turn).
    TimerId add_timer(int64_t delay_ms, Callback callback);
    /// Runs `callback` every `period_ms` (at least 1). Periods missed are skipped, not made up.
    TimerId add_periodic(int64_t period_ms, Callback callback);
    /// Timers that are gone already, and 0, are ignored.
    void cancel_timer(TimerId id);

    /// Any thread: runs `callback` on the loop's thread, in order of posting.
    void post(Callback callback);

    /// One turn: waits at most `timeout_ms` (-1: until something happens) and runs what is due.
    /// True when any callback ran.
    bool run_once(int64_t timeout_ms);
    /// Turns until stop(). A stop() that came before is honoured, then forgotten.
    void run();
    /// Any thread.
    void stop();

    /// Milliseconds of CLOCK_MONOTONIC.
    static int64_t now_ms();

private:
    struct Watch {
        uint32_t generation;
        uint32_t events;
        std::shared_ptr<IoCallback> callback;
    };
    struct Timer {
        int64_t deadline_ms;
        int64_t period_ms;  ///< 0: one-shot
        std::shared_ptr<Callback> callback;
    };

    TimerId insert_timer(int64_t deadline_ms, int64_t period_ms,
                         std::shared_ptr<Callback> callback);
    int wait_ms(int64_t timeout_ms) const;
    bool run_timers();
    bool run_posted();
    void wake();

    int epoll_fd_ = -1;
    int wake_fd_ = -1;
    uint32_t next_generation_ = 1;
    TimerId next_timer_ = 1;
    std::unordered_map<int, Watch> watches_;
    std::map<TimerId, Timer> timers_;
    std::map<std::pair<int64_t, TimerId>, TimerId> by_deadline_;

    std::mutex post_mutex_;  ///< guards the two below: any thread writes, the loop reads
    std::vector<Callback> posted_;
    bool stop_requested_ = false;
};

}  // namespace sluice
