// SPDX-License-Identifier: Apache-2.0
// Idle: how long a worker that finds nothing goes on looking, and how it sleeps.
//
// What. After a busy period a worker looks on for a while, the longer the more packets there were:
// a single packet (BFD, ARP) is worth some 80 turns, a stream 2000. Then it sleeps until something
// comes.
// Design. Ports that have a descriptor to wait for (af_packet, tap, AF_XDP) wake the worker
// themselves: it sleeps in epoll. One that wakes it again and again for nothing (an error of the
// descriptor's own) makes it nap instead. If all of its ports have one, it sleeps 10 ms at a time
// (1 ms in the first second, while counters still have to be brought home), else `nap_us` at most:
// 50 us at first, longer when nothing came for a while. The mailbox wakes it as well, and whoever
// publishes ports. Between two sleeps it makes some turns for what only time brings (expiry,
// reassembly). A sleeping worker is offline for RCU, so nobody waits for it.
//
// Threads. The worker's own. Descriptors that were closed meanwhile leave the kernel's set by
// themselves, and the set is made anew for every port table.
#pragma once

#include <cstdint>

#include "lib/mailbox/mailbox.h"
#include "lib/program/ports.h"

namespace sluice {

struct IdleConfig {
    /// Longest nap of a worker that has ports that can only be polled. 0: no worker ever sleeps.
    unsigned nap_us = 150;
};

class Idle {
public:
    Idle(const IdleConfig& config, Mailbox* mailbox);
    ~Idle();
    Idle(const Idle&) = delete;
    Idle& operator=(const Idle&) = delete;

    /// After each turn. True: the worker may sleep now.
    bool is_due(unsigned packets);
    /// That it will. False: it was called meanwhile and makes another turn first.
    bool announce() { return !mailbox_ || mailbox_->worker_sleeper().announce(); }
    /// Looks what is to be waited for; the table must stay valid during the call.
    void follow(const PortTable* table, unsigned worker);
    /// Sleeps, once that was announced. The caller is offline.
    void wait();

private:
    int64_t timeout_ns() const;

    static constexpr unsigned kLeastTurns = 64;
    static constexpr unsigned kTurnsPerPacket = 16;
    static constexpr unsigned kMostTurns = 2000;
    static constexpr unsigned kTurnsPerWake = 8;
    static constexpr unsigned kBarrenWakes = 64;
    static constexpr int64_t kSettleNs = 1'200'000'000;  ///< counters come home in half a second
    static constexpr int64_t kShortNs = 1'000'000;
    static constexpr int64_t kLongNs = 10'000'000;
    static constexpr int64_t kFirstNapNs = 50'000;
    static constexpr int64_t kShapedNs = 50'000;

    const IdleConfig config_;
    Mailbox* const mailbox_;
    int epoll_ = -1;
    uint64_t seen_version_ = 0;
    unsigned barren_ = 0;     ///< wakes in a row that brought no packet
    bool must_poll_ = true;   ///< a port has no descriptor
    bool is_shaped_ = false;  ///< packets may be waiting for their time
    unsigned quiet_ = 0;      ///< turns without packets
    unsigned patience_ = kMostTurns;
    unsigned packets_ = 0;  ///< since the last sleep
    int64_t slept_ns_ = 0;  ///< since the last packet
};

}  // namespace sluice
