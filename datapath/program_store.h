// SPDX-License-Identifier: Apache-2.0
// ProgramStore: the programs that cached keys lead to, each kept once.
//
// What. Two kinds of block. A CachedTrail is what a walk passed: datapaths, for knowing when it is
// out of date, and logical flows, to be credited. A CachedProgram is what it decided. Keys that
// lead to equal programs share one; programs of other packets that went the same way share the
// trail. So a hundred thousand flows of a routed switch are a hundred thousand keys and one
// program, and its lines stay in the first level of the processor's cache.
// Programs that ask conntrack name connections; nobody else has the same, they are not looked for.
// Validity. Of a trail: the publish it was made under (`born`) and the last one it was found good
// for (`checked`). One compare on the hot path; a publish costs each trail one look at its
// generations when next touched. A trail that is out of date is never given to a new program.
// Counters. A trail counts the hits of all its programs; flows get them credited by an incremental
// sweep, or when the trail goes.
// Memory. Taken once (Slab); what does not fit is not cached.
// Threads. The worker's own.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>

#include "datapath/program.h"
#include "datapath/rewrite.h"
#include "datapath/slab.h"
#include "lib/program/pipeline.h"
#include "lib/stats/counters.h"

namespace sluice {

struct CachedTrail {
    uint64_t checked;  ///< pipeline sequence it was last found good for
    uint64_t born;     ///< pipeline sequence it was made under
    uint64_t packets;  ///< not yet credited
    uint64_t bytes;    ///< not yet credited
    CachedTrail* next;
    uint32_t hash;
    uint32_t refs;
    uint32_t n_flows;
    uint32_t n_crossed;
    uint32_t crossed[limits::kMaxCrossed];

    uint32_t* flows() { return reinterpret_cast<uint32_t*>(this + 1); }
};
static_assert(sizeof(CachedTrail) == 88);

struct alignas(64) CachedProgram {
    /// What can be done without looking at every word: one copy of the packet goes one way.
    enum class Form : uint8_t {
        kAny,
        kOutput,  ///< as it came or after the rewrite, to `port`
        kEncap,   ///< as it came or after the rewrite, through a tunnel: the last two words
    };
    /// How programs without steps are found and shared; others belong to one key.
    struct Sharing {
        CachedProgram* next;
        uint32_t hash;
        uint32_t refs;
    };

    CachedTrail* trail;
    uint16_t n_words;
    uint16_t port;
    uint8_t n_steps;
    Form form;
    bool has_rewrite;
    uint8_t pad;
    // Sharing or steps (two of them end with the line), the rewrite if there is one, then words.

    Sharing& sharing() { return *reinterpret_cast<Sharing*>(tail()); }
    const CtStep* steps() const { return reinterpret_cast<const CtStep*>(tail()); }
    const Rewrite& rewrite() const {
        return *reinterpret_cast<const Rewrite*>(tail() + head_bytes());
    }
    const uint64_t* words() const {
        return reinterpret_cast<const uint64_t*>(tail() + head_bytes() +
                                                 (has_rewrite ? sizeof(Rewrite) : 0));
    }
    ProgramView view() const { return {words(), n_words}; }

    static constexpr size_t kTail = 16;  ///< where `tail` begins
    static size_t bytes(unsigned steps, bool has_rewrite, uint32_t words) {
        return kTail + (steps ? steps * sizeof(CtStep) : sizeof(Sharing)) +
               (has_rewrite ? sizeof(Rewrite) : 0) + words * sizeof(uint64_t);
    }

private:
    size_t head_bytes() const { return n_steps ? n_steps * sizeof(CtStep) : sizeof(Sharing); }
    uint8_t* tail() { return reinterpret_cast<uint8_t*>(this) + kTail; }
    const uint8_t* tail() const { return reinterpret_cast<const uint8_t*>(this) + kTail; }
};
static_assert(sizeof(CachedProgram) == 64 && sizeof(CachedProgram::Sharing) == 16);
static_assert(CachedProgram::kTail + 2 * sizeof(CtStep) == 64);
static_assert(ProgramBuffer::kWords < 65536);

class ProgramStore {
public:
    /// Room for the programs of about `entries` keys. False when memory is short.
    bool init(uint32_t entries, uint64_t secret);

    /// The program in `buffer`, kept for one more key. Null: no room.
    CachedProgram* keep(const ProgramBuffer& buffer, const Pipeline& pipeline,
                        WorkerCounters* counters);
    /// One key fewer.
    void release(CachedProgram* program, WorkerCounters* counters);
    /// The trail of `buffer` for somebody who credits it himself. Null: no room.
    CachedTrail* hold_trail(const ProgramBuffer& buffer, const Pipeline& pipeline);
    void release_trail(CachedTrail* trail, WorkerCounters* counters);
    /// True while nothing that the trail crossed is newer. Notes that in the trail.
    static bool still_good(CachedTrail* trail, const Pipeline& pipeline) {
        return SLUICE_LIKELY(trail->checked == pipeline.sequence) || revalidate(trail, pipeline);
    }

    /// Credits the hits of trails in the next `n` buckets to their flows. True when it went round.
    bool sweep(uint32_t n, WorkerCounters* counters);
    uint32_t buckets() const { return n_buckets_; }

private:
    static bool revalidate(CachedTrail* trail, const Pipeline& pipeline);
    static void credit(CachedTrail* trail, WorkerCounters* counters);
    CachedTrail* trail_of(const ProgramBuffer& buffer, const Pipeline& pipeline);
    CachedProgram* shared(const ProgramBuffer& buffer, const CachedTrail* trail, uint32_t hash);
    void drop_trail(CachedTrail* trail, WorkerCounters* counters);

    uint64_t secret_ = 1;  ///< of the hashes: odd, unknown to the network
    uint32_t n_buckets_ = 0;
    uint32_t cursor_ = 0;  ///< of the sweep
    std::unique_ptr<CachedTrail*[]> trails_;
    std::unique_ptr<CachedProgram*[]> programs_;
    Slab slab_;
};

}  // namespace sluice
