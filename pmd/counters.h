// SPDX-License-Identifier: Apache-2.0
// Per-queue counters of the drivers that are our own.
//
// Written by the one worker that owns the queue, read by control: relaxed loads and stores, no
// read-modify-write instruction on the burst path.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/program/ports.h"

namespace sluice::pmd {

struct alignas(64) QueueCounters {
    std::atomic<uint64_t> packets{0};
    std::atomic<uint64_t> bytes{0};
    std::atomic<uint64_t> dropped{0};
    std::atomic<uint64_t> errors{0};

    static void bump(std::atomic<uint64_t>& counter, uint64_t by) {
        counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
    void count(uint64_t n_packets, uint64_t n_bytes) {
        bump(packets, n_packets);
        bump(bytes, n_bytes);
    }
    void add_rx_to(PortStats& stats) const {
        stats.rx_packets += packets.load(std::memory_order_relaxed);
        stats.rx_bytes += bytes.load(std::memory_order_relaxed);
        stats.rx_dropped += dropped.load(std::memory_order_relaxed);
        stats.rx_errors += errors.load(std::memory_order_relaxed);
    }
    void add_tx_to(PortStats& stats) const {
        stats.tx_packets += packets.load(std::memory_order_relaxed);
        stats.tx_bytes += bytes.load(std::memory_order_relaxed);
        stats.tx_dropped += dropped.load(std::memory_order_relaxed);
        stats.tx_errors += errors.load(std::memory_order_relaxed);
    }
};

}  // namespace sluice::pmd
