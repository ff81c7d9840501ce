// SPDX-License-Identifier: Apache-2.0
// Conntrack::Impl: where connections lie, how they are found, linked, unlinked and timed.
//
// What. Three arrays taken once: connections (conn.h), hash buckets, and one word a connection that
// says when to look at its deadline next.
// Hash. KeyedHash over the five words of a key. A bucket is one
// cache line with seven entries (32 bits of hash, connection, direction). An entry whose home
// bucket is full goes to one of three other places that its hash names; the home bucket counts
// those, so that a lookup reads further only when it must. Four places full: no room, refused.
// Links. An entry is written and cleared under the spin lock of its home bucket's shard; all
// places of a hash lie in one shard. Two keys lock two shards in order of their number. Readers
// lock nothing: an entry only leads to a connection, which says itself who it is. Slots. Fresh ones
// come in order, freed ones from a stack (lock-free, with a tag against ABA). Time. `checks[i]` is
// the deadline of connection i as of the last time somebody looked, in units of 256 ms, with a bit
// that says whether the connection may be evicted; 0 is a free slot. Deadlines move away without
// telling; who moves one nearer stores it. sweep() goes over 4 bytes a connection.
//
// Threads: as conntrack.h says. `Sweeper` belongs to its worker.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "datapath/conntrack/conn.h"
#include "datapath/conntrack/fragments.h"
#include "datapath/conntrack/keyed_hash.h"
#include "datapath/conntrack/protocol.h"
#include "lib/base/check.h"

namespace sluice {

/// Counters, striped so that workers seldom write the same line.
struct alignas(64) CtCounters {
    enum Id : unsigned {
        kCreated,
        kExpired,
        kFlushed,
        kEvicted,
        kRefusedFull,
        kRefusedLimit,
        kNatExhausted,
        kInvalid,
        kOutOfWindow,
        kBadChecksum,
        kCount
    };
    std::atomic<uint64_t> value[kCount];
};

/// What the hash table says about a key.
struct CtFound {
    CtConn* conn = nullptr;
    uint32_t generation = 0;
    unsigned dir = 0;
};

enum class CtLink : uint8_t {
    kLinked,
    kTaken,         ///< the first key leads to a connection already
    kReverseTaken,  ///< the second does
    kNoRoom,
};

struct Conntrack::Impl {
    struct alignas(64) Bucket {
        static constexpr unsigned kEntries = 7;
        std::atomic<uint64_t> entry[kEntries];  ///< hash << 32 | (index + 1) << 1 | direction
        std::atomic<uint32_t> displaced;        ///< entries at home here that lie elsewhere
    };
    static_assert(sizeof(Bucket) == 64);
    struct alignas(64) Shard {
        std::atomic<uint8_t> lock;
    };
    struct Zone {
        std::atomic<uint32_t> count;
        std::atomic<uint32_t> limit;
    };
    struct alignas(64) Sweeper {
        uint64_t pass_ms = 0;   ///< when the present pass began
        uint32_t position = 0;  ///< next connection to look at
        bool is_resting = true;
    };
    static constexpr unsigned kPlaces = 4;
    static constexpr unsigned kStripes = 16;
    static constexpr uint32_t kBlock = 1024;  ///< connections; blocks go to workers in turn

    explicit Impl(const ConntrackConfig& c);
    ~Impl();
    bool take_memory();

    uint64_t hash(const CtKey& key) const { return keyed.of(key.w); }
    /// The live connection with this key in either direction, expired or not.
    CtFound find(const CtKey& key, uint64_t hash) const;
    bool is_expired(const CtConn& conn, uint64_t now_ms) const {
        return now_ms >= conn.deadline_ms.load(std::memory_order_acquire);
    }
    uint32_t index_of(const CtConn* conn) const { return static_cast<uint32_t>(conn - conns); }

    /// A slot that nobody else has, or null. Evicts when there is none.
    CtConn* allocate(uint64_t now_ms);
    void release(CtConn* conn);
    /// Brings a filled slot to life and links both keys, unless one of them is taken. Without
    /// `needs_reverse` a taken second key is taken over.
    CtLink link(CtConn* conn, bool needs_reverse);
    /// Ends that connection if it still is that one (and, with `expired_at`, still expired then).
    bool remove(CtConn* conn, uint32_t generation, CtCounters::Id why, uint64_t expired_at = 0);
    bool evict(uint64_t now_ms);
    void arm(CtConn* conn, uint64_t deadline_ms, bool may_evict);
    unsigned sweep(unsigned worker, uint64_t now_ms, unsigned budget);

    bool enter_zone(uint16_t zone);
    void leave_zone(uint16_t zone) { zones[zone].count.fetch_sub(1, std::memory_order_relaxed); }

    void count(CtCounters::Id id) const;
    void count_verdict(CtVerdict verdict) const;
    uint64_t total(CtCounters::Id id) const;

    // lookup.cc
    void judge(const CtFound& found, const CtKey& key, const CtTuple& tuple,
               const PacketFacts& facts, CtView* view) const;
    void describe_nat(const CtFound& found, const CtTuple& tuple, CtView* view) const;
    static uint32_t nat_state_of(CtNat nat, bool reply);
    static void load_marks(const CtConn& conn, CtView* view);
    // nat.cc: tries what `range` allows until a reverse key is free, and links
    CtLink link_translated(CtConn* conn, const CtNatRange& range, uint64_t now_ms);
    CtLink try_reverse(CtConn* conn, const CtKey& reverse, uint64_t now_ms);
    // commit.cc
    CtLink create(const CtKey& key, const PacketFacts& facts, const CtCommitArgs& args,
                  uint32_t bytes, uint64_t now_ms, CtConn** made);
    void describe_new(CtConn* conn, const CtTuple& tuple, CtView* view) const;
    bool remove_expired(const CtKey& key, uint64_t now_ms);

    const ConntrackConfig config;
    const KeyedHash keyed;
    CtConn* conns = nullptr;
    std::atomic<uint32_t>* checks = nullptr;
    Bucket* buckets = nullptr;
    uint32_t bucket_mask = 0;
    uint32_t shard_mask = 0;
    unsigned shard_bits = 0;
    std::unique_ptr<Shard[]> shards;
    std::unique_ptr<Zone[]> zones;  ///< by number
    std::unique_ptr<CtCounters[]> counters;
    std::vector<Sweeper> sweepers;
    std::vector<std::unique_ptr<FragTable>> fragments;
    size_t memory_bytes = 0;

    std::atomic<uint32_t> default_limit{0};
    std::atomic<uint64_t> longest_chain{0};
    std::atomic<uint64_t> last_now{0};               ///< the newest time a worker told, for dump()
    alignas(64) std::atomic<uint64_t> free_list{0};  ///< tag << 32 | index + 1
    std::atomic<uint32_t> fresh{0};                  ///< slots below were used once
    std::atomic<uint32_t> used{0};
    std::atomic<uint32_t> evict_cursor{0};
    std::atomic<uint32_t> evict_barren{0};   ///< slots passed since one could go
    std::atomic<uint64_t> evict_rest_ms{0};  ///< nothing to evict, do not look before

private:
    struct Places {
        uint32_t bucket[kPlaces];
        uint32_t tag;
        uint32_t shard;
    };
    Places places_of(uint64_t hash) const;
    CtFound find_in(const Bucket& bucket, uint32_t tag, const CtKey& key) const;
    bool insert(const Places& places, uint32_t index, unsigned dir);
    void erase(const Places& places, uint32_t index, unsigned dir);
    CtConn* pop_free();
    void lock_two(uint32_t a, uint32_t b);
    void unlock_two(uint32_t a, uint32_t b);
};

}  // namespace sluice
