// SPDX-License-Identifier: Apache-2.0
// DropRing: the last drops of a worker, readable by any thread at any time.
//
// The worker writes round and round and never waits; a reader copies a slot and keeps the copy only
// if the slot's version did not change meanwhile and is even (a sequence lock per slot).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "datapath/worker.h"

namespace sluice {

class DropRing {
public:
    static constexpr uint32_t kSlots = 256;

    /// Worker only.
    void add(uint64_t tsc, Drop reason, uint32_t flow, uint32_t datapath, uint32_t inport) {
        Slot& slot = slots_[next_.load(std::memory_order_relaxed) % kSlots];
        const uint32_t version = slot.version.load(std::memory_order_relaxed);
        slot.version.store(version + 1, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        slot.tsc.store(tsc, std::memory_order_release);
        slot.what.store(static_cast<uint64_t>(reason) << 32 | flow, std::memory_order_release);
        slot.where.store(uint64_t{datapath} << 32 | inport, std::memory_order_release);
        slot.version.store(version + 2, std::memory_order_release);
        next_.store(next_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    /// Any thread. Oldest first.
    std::vector<DropSample> read() const;

private:
    struct Slot {
        std::atomic<uint32_t> version{0};
        std::atomic<uint64_t> tsc{0};
        std::atomic<uint64_t> what{0};
        std::atomic<uint64_t> where{0};
    };
    std::array<Slot, kSlots> slots_;
    std::atomic<uint64_t> next_{0};
};

}  // namespace sluice
