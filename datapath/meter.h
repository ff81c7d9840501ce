// SPDX-License-Identifier: Apache-2.0
// MeterTable: the token buckets of all meters, shared by all workers.
//
// What. set_meter() has one meter per logical flow, however many datapaths share it; Meter rows
// (MeterSpec) have one bucket a band. Semantics are those of Open vSwitch's userspace meters: time
// counts in milliseconds, a bucket starts full, a burst of 0 is one second's worth, a packet that
// a band lacks tokens for is dropped and takes nothing from that band, other bands are charged all
// the same.
// Design. A bucket is one 64-bit word that is changed by compare-and-swap: `level` is the virtual
// time, in tokens, at which the bucket will be full (a virtual clock that ticks `rate` tokens a
// millisecond). So refilling writes nothing and contention costs retries, never a packet too many.
// Buckets live in sets of eight; one that is full says nothing that a new one would not, so it may
// be taken for another meter, and meters need no deletion. When all of a set are in use, the one
// nearest to full goes.
// Cost. A take is a probe of two cache lines and one compare-and-swap.
// Threads. Any number of workers. Making a bucket takes the set's spin byte for a few stores.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "lib/program/pipeline.h"

namespace sluice {

class MeterTable {
public:
    /// Room for about this many meters that are busy at a time.
    explicit MeterTable(uint32_t buckets = 32768);

    /// set_meter() of logical flow `flow`. False: the packet is too much.
    bool take_flow(uint32_t flow, uint32_t rate_kbps, uint32_t burst_kbit, uint32_t bytes,
                   uint64_t now_ms);
    /// A Meter row.
    bool take(const MeterSpec& spec, uint32_t bytes, uint64_t now_ms);

private:
    static constexpr uint32_t kWays = 8;

    struct Bucket {
        std::atomic<uint64_t> key{0};  ///< 0: free
        std::atomic<uint64_t> level{0};
        std::atomic<uint64_t> rate{0};   ///< tokens a millisecond
        std::atomic<uint64_t> depth{0};  ///< tokens when full
    };
    struct alignas(64) Set {
        Bucket buckets[kWays];
        std::atomic<uint8_t> busy{0};
    };

    bool take(uint64_t key, uint64_t rate, uint64_t burst, uint64_t cost, uint64_t now_ms);
    static uint64_t debt(uint64_t level, uint64_t rate, uint64_t depth, uint64_t now_ms);
    static Bucket* find(Set* set, uint64_t key);
    static Bucket* make(Set* set, uint64_t key, uint64_t rate, uint64_t depth, uint64_t now_ms);

    uint32_t mask_;
    std::unique_ptr<Set[]> sets_;
};

}  // namespace sluice
