// SPDX-License-Identifier: Apache-2.0
// Mailbox: what a worker and the slow path hand each other. Rings only, no locks, no allocation.
//
// Per worker: `punt` (packets up), `urgent` (the same for BFD of tunnels, taken first), `messages`
// (64-byte learn messages up), `inject` (packets down).
// Each ring has one producer and one consumer thread: the worker on one end, the slow path on the
// other; other threads that want to inject ask the slow path. Full rings drop and count, never
// wait.
//
// Waking. Each end may go to sleep on a descriptor when it has emptied its rings. It says so first;
// who put something in calls it, whether it sleeps or not. Both exchange one word, so one of the
// two comes first: the call, then the end that wants to sleep learns of it and looks again; or the
// sleep, then who calls writes to the descriptor. So a system call is made once a sleep, never
// while both are busy. The worker's end is called by anybody who wants a turn of it (a new port
// table, a command).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "lib/base/result.h"
#include "lib/program/packet_meta.h"

struct rte_ring;

namespace sluice {

/// Something learnt from a packet; identical messages may repeat, the slow path removes doubles.
struct alignas(64) Message {
    enum class Kind : uint8_t {
        kPutArp,
        kPutNd,
        kPutFdb,
        kTunnelMiss,
        kMacUse4,  ///< mac_cache_use: this binding is in use, said once a second at most
        kMacUse6,
        kFdbUse,  ///< this FDB row is in use, where such rows age; same
    } kind;
    uint32_t datapath;  ///< tunnel key
    uint32_t port;      ///< port key; for kTunnelMiss the tunnel index
    uint32_t flow;      ///< logical flow that asked, kNoFlow
    uint64_t mac;       ///< Mac::to_u64
    uint8_t ip[16];     ///< IPv4 in the first four bytes, network order
};
static_assert(sizeof(Message) == 64);

class Mailbox {
public:
    static Result<std::unique_ptr<Mailbox>> create(unsigned worker);
    ~Mailbox();
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    /// Worker thread. False when full: the caller frees the packet and counts punt_full.
    bool punt(rte_mbuf* packet);
    bool send(const Message& message);
    unsigned take_injected(rte_mbuf** packets, unsigned max);

    /// Slow-path thread.
    unsigned take_punts(rte_mbuf** packets, unsigned max);
    unsigned take_messages(Message* messages, unsigned max);
    bool inject(rte_mbuf* packet);

    /// An end that sleeps. One thread sleeps on fd(); any thread wakes it.
    class Sleeper {
    public:
        ~Sleeper();
        bool open();
        int fd() const { return fd_; }
        /// Sleeper's thread, its rings empty: it wants to sleep. False when it was called since its
        /// last sleep: they have to be emptied again first.
        bool announce();
        /// Sleeper's thread, awake again: it will now look at what it was called for.
        void end();
        /// For who waits for a level and not for an edge: makes fd() silent again.
        void drain();
        /// Any thread, after it put something where the sleeper looks.
        void wake();

    private:
        enum class State : uint8_t { kAwake, kAsleep, kCalled };
        int fd_ = -1;
        std::atomic<State> state_{State::kAwake};
    };
    Sleeper& worker_sleeper() { return worker_sleeper_; }
    Sleeper& slow_path_sleeper() { return slow_path_sleeper_; }
    /// Worker thread: something was put into a ring since the last call.
    bool has_sent() { return std::exchange(has_sent_, false); }

private:
    Mailbox() = default;
    Sleeper worker_sleeper_;
    Sleeper slow_path_sleeper_;
    bool has_sent_ = false;  ///< worker only
    rte_ring* punt_ = nullptr;
    rte_ring* urgent_ = nullptr;
    rte_ring* messages_ = nullptr;
    rte_ring* inject_ = nullptr;
};

}  // namespace sluice
