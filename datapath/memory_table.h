// SPDX-License-Identifier: Apache-2.0
// MemoryTable: what flows leave behind for later packets, shared by all workers and bounded.
//
// What. Key words to value words with an idle and a hard timeout, as flows that Open vSwitch's
// learn() action makes: finding one starts its idle time anew, storing it again starts both.
// Design. Sets of eight entries, each a sequence lock around plain words: find() never writes but
// the time of last use (once a millisecond at most) and never waits; store() takes the set's spin
// byte for a few stores. A full set gives up an expired entry, else the one that was not used for
// the longest time, so the table never grows, needs no sweeping and an attacker can only make it
// forget. The hash is keyed with a seed that the network does not know.
// Threads. Any number of workers.
#pragma once

#include <rte_pause.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

namespace sluice {

template <unsigned kKeyWords, unsigned kValueWords>
class MemoryTable {
public:
    using Key = std::array<uint32_t, kKeyWords>;
    using Value = std::array<uint32_t, kValueWords>;

    MemoryTable(uint32_t entries, uint64_t seed)
        : seed_(seed),
          mask_(std::bit_ceil(entries / kWays + 1) - 1),
          sets_(std::make_unique<Set[]>(mask_ + 1)) {}

    bool find(const Key& key, uint64_t now_ms, Value* value) {
        const uint64_t hash = hash_of(key);
        for (Entry& e : set_of(hash).entries) {
            if (e.tag.load(std::memory_order_relaxed) == tag_of(hash) && e.reads(key, value) &&
                e.lives(now_ms)) {
                if (e.used_ms.load(std::memory_order_relaxed) != now_ms) {
                    e.used_ms.store(now_ms, std::memory_order_relaxed);
                }
                return true;
            }
        }
        return false;
    }

    /// `hard_ms` 0: only the idle timeout.
    void store(const Key& key, const Value& value, uint64_t now_ms, uint32_t idle_ms,
               uint32_t hard_ms) {
        const uint64_t hash = hash_of(key);
        Set& set = set_of(hash);
        while (set.busy.exchange(1, std::memory_order_acquire) != 0) {
            rte_pause();
        }
        Entry* entry = choose(&set, key, tag_of(hash), now_ms);
        const uint32_t sequence = entry->sequence.load(std::memory_order_relaxed);
        entry->sequence.store(sequence + 1, std::memory_order_relaxed);
        // Released one by one: none is seen before the odd number, and nobody needs a fence.
        entry->tag.store(tag_of(hash), std::memory_order_release);
        entry->used_ms.store(now_ms, std::memory_order_release);
        entry->idle_ms.store(idle_ms, std::memory_order_release);
        entry->ends_ms.store(hard_ms ? now_ms + hard_ms : ~uint64_t{0}, std::memory_order_release);
        for (unsigned i = 0; i < kKeyWords; ++i) {
            entry->words[i].store(key[i], std::memory_order_release);
        }
        for (unsigned i = 0; i < kValueWords; ++i) {
            entry->words[kKeyWords + i].store(value[i], std::memory_order_release);
        }
        entry->sequence.store(sequence + 2, std::memory_order_release);
        set.busy.store(0, std::memory_order_release);
    }

    uint32_t capacity() const { return (mask_ + 1) * kWays; }

private:
    static constexpr unsigned kWays = 8;

    struct Entry {
        std::atomic<uint32_t> tag{0};  ///< 0: free
        std::atomic<uint32_t> sequence{0};
        std::atomic<uint64_t> used_ms{0};
        std::atomic<uint64_t> ends_ms{0};
        std::atomic<uint32_t> idle_ms{0};
        std::atomic<uint32_t> words[kKeyWords + kValueWords]{};

        bool reads(const Key& key, Value* value) const {
            const uint32_t before = sequence.load(std::memory_order_acquire);
            bool same = (before & 1) == 0;
            for (unsigned i = 0; same && i < kKeyWords; ++i) {
                same = words[i].load(std::memory_order_acquire) == key[i];
            }
            if (!same) {
                return false;
            }
            for (unsigned i = 0; i < kValueWords; ++i) {
                (*value)[i] = words[kKeyWords + i].load(std::memory_order_acquire);
            }
            return sequence.load(std::memory_order_relaxed) == before;
        }
        bool lives(uint64_t now_ms) const {
            return now_ms < ends_ms.load(std::memory_order_relaxed) &&
                   now_ms < used_ms.load(std::memory_order_relaxed) +
                                idle_ms.load(std::memory_order_relaxed);
        }
    };
    struct alignas(64) Set {
        Entry entries[kWays];
        std::atomic<uint8_t> busy{0};
    };

    static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32) | 1; }
    Set& set_of(uint64_t hash) { return sets_[static_cast<uint32_t>(hash) & mask_]; }
    uint64_t hash_of(const Key& key) const {
        uint64_t h = seed_;
        for (const uint32_t word : key) {
            h = (h ^ word) * 0x9e3779b97f4a7c15ull;
            h ^= h >> 29;
        }
        h *= 0xbf58476d1ce4e5b9ull;
        return h ^ h >> 32 ^ seed_;
    }
    /// The entry of `key`, else the one to give up for it.
    static Entry* choose(Set* set, const Key& key, uint32_t tag, uint64_t now_ms) {
        Entry* victim = &set->entries[0];
        uint64_t oldest = ~uint64_t{0};
        for (Entry& e : set->entries) {
            Value ignored;
            const uint32_t used = e.tag.load(std::memory_order_relaxed);
            if (used == tag && e.reads(key, &ignored)) {
                return &e;
            }
            const bool free = used == 0 || !e.lives(now_ms);
            const uint64_t age = free ? 0 : e.used_ms.load(std::memory_order_relaxed) + 1;
            if (age < oldest) {
                oldest = age;
                victim = &e;
            }
        }
        return victim;
    }

    const uint64_t seed_;
    const uint32_t mask_;
    std::unique_ptr<Set[]> sets_;
};

}  // namespace sluice
