// SPDX-License-Identifier: Apache-2.0
// FlowCache: the programs of walks already made, one cache per worker, exact match.
//
// What. Key: (context, line 0 of PacketKey & mask), mask a constant of the published pipeline.
// Sets of eight; a line of tags is compared first, then the whole masked key, so an entry is never
// right by chance. Replacement is CLOCK within a set. A hit costs the tag line and two or three
// lines of the entry; short programs lie in the entry, long ones and flow lists in a slab that is
// allocated once. What does not fit the slab is not cached.
// Validity. An entry knows the publish it was made under (`born`), the datapaths it crossed and the
// last publish it was found good for (`checked`). One compare on the hot path; a publish costs each
// entry one look at its generations when next touched, and flushes nothing.
// Connections. A program that asked conntrack carries what it was told (CtStep); whoever forwards
// asks them again and walks when one says something else.
// Counters. Entries count hits; flows get them credited when the entry goes, by an incremental
// sweep, or on request.
// Threads. The worker's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "datapath/program.h"
#include "datapath/slab.h"
#include "lib/program/key.h"
#include "lib/program/pipeline.h"
#include "lib/stats/counters.h"

namespace sluice {

struct alignas(64) CacheEntry {
    static constexpr unsigned kInlineWords = 12;

    uint8_t key[64];  ///< masked
    uint64_t context;
    uint64_t checked;   ///< pipeline sequence it was last found good for
    uint64_t born;      ///< pipeline sequence it was made under
    uint64_t packets;   ///< not yet credited
    uint64_t bytes;     ///< not yet credited
    uint64_t* program;  ///< the CtSteps, then the words
    uint32_t* flows;
    uint32_t n_words;
    uint16_t n_flows;
    uint8_t n_crossed : 4;
    uint8_t n_steps : 4;
    bool referenced;  ///< since the clock hand last passed
    uint32_t crossed[limits::kMaxCrossed];
    uint64_t words[kInlineWords];

    ProgramView view() const { return {program + n_steps * kCtStepWords, n_words}; }
    CtStep step(unsigned i) const {
        CtStep step;
        std::memcpy(&step, program + i * kCtStepWords, sizeof step);
        return step;
    }
};
static_assert(sizeof(CacheEntry) == 256);
static_assert(limits::kMaxCrossed < 16 && ProgramBuffer::kMaxSteps < 16);
static_assert(offsetof(CacheEntry, context) == 64 && offsetof(CacheEntry, crossed) == 128);

class FlowCache {
public:
    static constexpr unsigned kWays = 8;

    /// False when memory is short. `entries` is rounded up to a power of two; 0 switches off.
    bool init(uint32_t entries, const uint64_t secrets[4]);
    bool enabled() const { return n_sets_ != 0; }
    uint32_t capacity() const { return n_sets_ * kWays; }
    uint32_t used() const { return used_; }

    uint64_t hash(const PacketKey& key, const KeyMask& mask) const;
    void prefetch_set(uint64_t hash) const { __builtin_prefetch(&tags_[set_of(hash) * kWays]); }
    /// After prefetch_set has had time: fetches the entry that the tag promises.
    void prefetch_entry(uint64_t hash) const;
    CacheEntry* find(uint64_t hash, const PacketKey& key, const KeyMask& mask) const;
    /// True while nothing that the program depends on is newer. Notes that in the entry.
    static bool still_good(CacheEntry* entry, const Pipeline& pipeline) {
        return SLUICE_LIKELY(entry->checked == pipeline.sequence) || revalidate(entry, pipeline);
    }

    /// Stores the program in `buffer`, over `stale` if given, else over the set's least wanted
    /// entry. False: it does not fit, nothing is stored. The packet is counted by the caller.
    CacheEntry* insert(uint64_t hash, const PacketKey& key, const KeyMask& mask,
                       const ProgramBuffer& buffer, uint64_t sequence, CacheEntry* stale,
                       WorkerCounters* counters);
    void remove(CacheEntry* entry, WorkerCounters* counters);
    void clear(WorkerCounters* counters);
    /// Changes whenever an entry's place got another content: answers of find() from before that
    /// must be asked again.
    uint64_t version() const { return version_; }

    /// Credits the hits of the next `n` entries to their flows. True when it went round.
    bool sweep(uint32_t n, WorkerCounters* counters);

private:
    static bool revalidate(CacheEntry* entry, const Pipeline& pipeline);
    static void credit(CacheEntry* entry, WorkerCounters* counters);
    uint32_t set_of(uint64_t hash) const { return static_cast<uint32_t>(hash) & (n_sets_ - 1); }
    static uint16_t tag_of(uint64_t hash) { return static_cast<uint16_t>(hash >> 48 | 1); }
    unsigned victim(uint32_t set);
    bool store(CacheEntry* entry, const ProgramBuffer& buffer);
    void release(CacheEntry* entry);

    struct Freer {
        void operator()(void* p) const;
    };
    uint32_t n_sets_ = 0;
    uint32_t used_ = 0;
    uint32_t hand_ = 0;    ///< clock hand, shared by all sets
    uint32_t cursor_ = 0;  ///< of the sweep
    uint64_t version_ = 0;
    uint64_t secrets_[4] = {};
    std::unique_ptr<uint16_t[], Freer> tags_;  ///< 0: free place
    std::unique_ptr<CacheEntry[], Freer> entries_;
    Slab slab_;
};

}  // namespace sluice
