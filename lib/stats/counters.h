// SPDX-License-Identifier: Apache-2.0
// Counters of the datapath: one block per worker, summed by whoever reads.
//
// The worker that owns a block is its only writer and uses plain relaxed stores; any thread may
// read at any time and sees each value whole. Lists: counters.def, drops.def. Per logical flow
// packets and bytes live in FlowCounters, indexed by Rule::flow: the control thread grows them
// before it publishes rules with larger ids, workers write, readers sum. What is counted by
// physical port stands in port_work.def; drivers count some of it, workers the rest.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "lib/base/check.h"
#include "lib/base/limits.h"

namespace sluice {

enum class Counter : uint8_t {
#define SLUICE_COUNTER(name, unit, help) k_##name,
#include "lib/stats/counters.def"
#undef SLUICE_COUNTER
    kCount
};

enum class Drop : uint8_t {
#define SLUICE_DROP(name, help) k_##name,
#include "lib/stats/drops.def"
#undef SLUICE_DROP
    kCount
};

enum class PortWork : uint8_t {
#define SLUICE_PORT_WORK(name, help) k_##name,
#include "lib/stats/port_work.def"
#undef SLUICE_PORT_WORK
    kCount
};
inline constexpr size_t kPortWorks = static_cast<size_t>(PortWork::kCount);

const char* counter_name(Counter counter);
const char* counter_help(Counter counter);
const char* drop_name(Drop drop);
const char* drop_help(Drop drop);
const char* port_work_name(PortWork work);
const char* port_work_help(PortWork work);

/// One 64-bit counter with a single writer.
class Cell {
public:
    void add(uint64_t n) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> value_{0};
};

/// Packets and bytes per logical flow of one worker.
class FlowCounters {
public:
    struct Pair {
        Cell packets;
        Cell bytes;
    };
    static constexpr uint32_t kChunk = 1u << 14;
    static constexpr uint32_t kMaxChunks = 1u << 10;  ///< 16 M flows

    /// Control thread, before publishing flows below `count`. Never shrinks.
    void reserve(uint32_t count);
    /// Worker only; `flow` must have been reserved.
    Pair& at(uint32_t flow) {
        Pair* chunk = chunks_[flow / kChunk].load(std::memory_order_acquire);
        SLUICE_DCHECK(chunk != nullptr);
        return chunk[flow % kChunk];
    }
    /// Any thread: zero when not reserved.
    void read(uint32_t flow, uint64_t* packets, uint64_t* bytes) const;
    ~FlowCounters();

private:
    /// Written by control (release), read by the worker and readers.
    std::array<std::atomic<Pair*>, kMaxChunks> chunks_{};
};

struct alignas(64) WorkerCounters {
    std::array<Cell, static_cast<size_t>(Counter::kCount)> counters;
    std::array<Cell, static_cast<size_t>(Drop::kCount)> drops;
    FlowCounters flows;
    /// By port number; they count on when a number has another port.
    std::array<std::array<Cell, kPortWorks>, limits::kMaxPorts> ports;

    void add(Counter counter, uint64_t n = 1) { counters[static_cast<size_t>(counter)].add(n); }
    void drop(Drop reason, uint64_t n = 1) { drops[static_cast<size_t>(reason)].add(n); }
    void add(uint16_t port, PortWork work, uint64_t n = 1) {
        ports[port][static_cast<size_t>(work)].add(n);
    }
    uint64_t get(Counter counter) const { return counters[static_cast<size_t>(counter)].get(); }
    uint64_t get(Drop reason) const { return drops[static_cast<size_t>(reason)].get(); }
};

}  // namespace sluice
