// SPDX-License-Identifier: Apache-2.0
// Shaper: queues with a rate in front of a port whose device has none (Port_Binding options qos_*).
//
// What. A packet that set_queue() sent to a known queue leaves when the queue's rate allows it; all
// others pass straight through. A queue that holds too many drops what comes after (tx_dropped).
// Guaranteed rates (qos_min_rate) matter when the device does not take all there is: then what is
// within a queue's guarantee comes first, then what has no queue and cannot wait, then what queues
// have beyond their guarantee, in turns. What the device refuses stays in its queue.
// Design. One number a queue, shared by all workers: the time at which everything sent so far will
// have been paid for at the queue's rate. Sending reserves a departure time by compare-and-swap;
// what must wait does so in a ring of the worker that has it, in order, so a flow keeps its order
// as long as one worker serves it. No locks, no allocation after construction.
// Waiting packets move when the worker calls burst(), with or without new ones (n = 0): workers do
// so once a turn for the ports that PortTable::shaped() names.
// Threads. Construction and destruction: control, no worker using it. queue(w): worker w.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/program/ports.h"

namespace sluice::pmd {

class Shaper {
public:
    static constexpr unsigned kWaiting = 512;  ///< packets of one queue that wait with one worker

    /// `inner`: the device's queues, by worker. `now_ns` is the clock, for tests.
    Shaper(const std::vector<TxQueue>& inner, std::vector<PortQueue> queues,
           uint64_t (*now_ns)() = nullptr);
    ~Shaper();
    Shaper(const Shaper&) = delete;
    Shaper& operator=(const Shaper&) = delete;

    TxQueue queue(unsigned worker) { return {burst, &lanes_[worker]}; }
    const std::vector<PortQueue>& queues() const { return settings_; }
    uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

private:
    struct Waiting {
        rte_mbuf* packet;
        uint64_t at_ns;
    };
    struct Ring {
        unsigned head = 0;
        unsigned count = 0;
        std::unique_ptr<Waiting[]> slots;
    };
    struct Lane {
        Shaper* shaper;
        TxQueue inner;
        std::vector<Ring> rings;  ///< by queue
        unsigned turn = 0;        ///< which queue is first with what is beyond guarantees
    };
    struct alignas(64) Rate {
        std::atomic<uint64_t> paid_ns{0};
        std::atomic<uint64_t> sure_ns{0};  ///< same, of what has left at the guaranteed rate
    };

    static uint16_t burst(void* lane, rte_mbuf** packets, uint16_t n);
    int index_of(uint32_t id) const;
    /// When the packet may leave.
    uint64_t reserve(unsigned queue, uint32_t bytes, uint64_t now);
    void hold(Lane* lane, unsigned queue, rte_mbuf* packet, uint64_t now);
    /// Bits of the guarantee that are left, and that so many are used.
    uint64_t sure_bits(unsigned queue, uint64_t now) const;
    void use_sure_bits(unsigned queue, uint64_t bits, uint64_t now);
    /// Sends what may leave now: all, or what the guarantee is good for. False: the device is full.
    bool offer(Lane* lane, unsigned queue, bool is_sure, uint64_t now);
    void release(Lane* lane, rte_mbuf** straight, unsigned n, uint64_t now);
    void drop(rte_mbuf* packet);

    const std::vector<PortQueue> settings_;
    uint64_t (*const now_ns_)();
    std::unique_ptr<Rate[]> rates_;
    std::vector<Lane> lanes_;
    std::atomic<uint64_t> dropped_{0};
};

}  // namespace sluice::pmd
