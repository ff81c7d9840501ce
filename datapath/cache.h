// SPDX-License-Identifier: Apache-2.0
// FlowCache: the programs of walks already made, one cache per worker, exact match.
//
// What. Key: (context, line 0 of PacketKey & mask), mask a constant of the published pipeline.
// Sets of eight; a line of tags is compared first, then the whole masked key, so an entry is never
// right by chance. Replacement is CLOCK within a set. What a key leads to is in the ProgramStore,
// where equal programs are one.
// Layout. An entry is one line: six of the eight key words, the context and the program. The two
// words that only IPv6 and ARP use lie apart: `kinds`, always part of the key, tells whether they
// are zero. So a hit costs half a line of tags, one line of entry and a program that is often
// shared.
// Validity. The program's trail knows (program_store.h); a publish flushes nothing.
// Connections. A program that asked conntrack carries what it was told (CtStep); whoever forwards
// asks them again and walks when one says something else.
// Threads. The worker's own.
#pragma once

#include <smmintrin.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "datapath/program_store.h"
#include "lib/program/key.h"

namespace sluice {

/// A masked key, as it is compared.
struct alignas(16) CacheKey {
    uint64_t w[6];  ///< words 0, 1, 2, 4, 6, 7 of line 0
    uint64_t context;
    uint64_t zero;
    uint64_t wide[2];  ///< words 3 and 5
};
static_assert(sizeof(CacheKey) == 80);

struct alignas(64) CacheEntry {
    uint64_t key[6];
    uint64_t context;
    CachedProgram* program;
};
static_assert(sizeof(CacheEntry) == 64);
static_assert(offsetof(CacheEntry, context) == offsetof(CacheKey, context));
static_assert(ProgramBuffer::kMaxSteps < 256);

class FlowCache {
public:
    static constexpr unsigned kWays = 8;

    ~FlowCache();
    /// False when memory is short. `entries` is rounded up to a power of two; 0 switches off.
    bool init(uint32_t entries, const uint64_t secrets[4]);
    bool enabled() const { return n_sets_ != 0; }
    uint32_t capacity() const { return n_sets_ * kWays; }
    uint32_t used() const { return used_; }

    /// `len_class` stands for the key's own, which may just have been written: a line that is read
    /// as a whole after a byte of it was stored is waited for.
    static void mask_key(const PacketKey& key, const KeyMask& mask, uint8_t len_class,
                         CacheKey* out) {
        const auto* k = reinterpret_cast<const __m128i*>(&key);
        const auto* m = reinterpret_cast<const __m128i*>(mask.bytes.data());
        auto* to = reinterpret_cast<__m128i*>(out);
        const __m128i src = _mm_and_si128(_mm_load_si128(k + 1), _mm_load_si128(m + 1));
        const __m128i dst = _mm_and_si128(_mm_load_si128(k + 2), _mm_load_si128(m + 2));
        _mm_store_si128(to, _mm_and_si128(_mm_load_si128(k), _mm_load_si128(m)));
        _mm_store_si128(to + 1, _mm_unpacklo_epi64(src, dst));
        const __m128i last =
            _mm_insert_epi8(_mm_load_si128(k + 3), len_class, offsetof(PacketKey, len_class) - 48);
        _mm_store_si128(to + 2, _mm_and_si128(last, _mm_load_si128(m + 3)));
        _mm_store_si128(to + 3, _mm_cvtsi64_si128(static_cast<int64_t>(key.context)));
        _mm_store_si128(to + 4, _mm_unpackhi_epi64(src, dst));
    }
    uint64_t hash(const CacheKey& key) const {
        uint64_t h = mix(key.w[0] ^ secrets_[0], key.w[1] ^ secrets_[1]) ^
                     mix(key.w[2] ^ secrets_[1], key.w[3] ^ secrets_[2]) ^
                     mix(key.w[4] ^ secrets_[2], key.w[5] ^ secrets_[3]);
        if (key.wide[0] | key.wide[1]) {
            h ^= mix(key.wide[0] ^ secrets_[3], key.wide[1] ^ secrets_[1]);
        }
        return mix(h ^ secrets_[0], key.context ^ secrets_[3]);
    }
    void prefetch_set(uint64_t hash) const { __builtin_prefetch(&sets_[set_of(hash)]); }
    /// After prefetch_set has had time: fetches the entry that the tag promises.
    void prefetch_entry(uint64_t hash) const {
        const uint32_t set = set_of(hash);
        if (const unsigned found = matches(set, hash)) {
            __builtin_prefetch(&entries_[set * kWays + way_of(found)]);
        }
    }
    CacheEntry* find(uint64_t hash, const CacheKey& key) const {
        const uint32_t set = set_of(hash);
        for (unsigned found = matches(set, hash); SLUICE_LIKELY(found); found &= found - 1) {
            const unsigned place = set * kWays + way_of(found);
            if (SLUICE_LIKELY(is_equal(place, key))) {
                sets_[set].referenced[way_of(found)] = 1;
                return &entries_[place];
            }
        }
        return nullptr;
    }
    static bool is_same(const CacheKey& a, const CacheKey& b) {
        const auto* x = reinterpret_cast<const __m128i*>(&a);
        const auto* y = reinterpret_cast<const __m128i*>(&b);
        __m128i differs = _mm_xor_si128(_mm_load_si128(x), _mm_load_si128(y));
        for (unsigned i = 1; i < sizeof a / sizeof *x; ++i) {
            differs =
                _mm_or_si128(differs, _mm_xor_si128(_mm_load_si128(x + i), _mm_load_si128(y + i)));
        }
        return _mm_testz_si128(differs, differs);
    }

    /// Stores the program in `buffer`, in place of `stale`'s if given, else over the set's least
    /// wanted entry. Null: it does not fit, nothing is stored. The packet is counted by the caller.
    CacheEntry* insert(uint64_t hash, const CacheKey& key, const ProgramBuffer& buffer,
                       const Pipeline& pipeline, CacheEntry* stale, WorkerCounters* counters);
    void remove(CacheEntry* entry, WorkerCounters* counters);
    void clear(WorkerCounters* counters);
    /// Changes whenever an entry's place got another content: answers of find() from before that
    /// must be asked again.
    uint64_t version() const { return version_; }
    ProgramStore& programs() { return programs_; }

private:
    struct alignas(32) Set {
        uint16_t tags[kWays];  ///< 0: free place
        uint8_t referenced[kWays];
        uint8_t pad[8];
    };
    static_assert(sizeof(Set) == 32);
    struct Wide {
        uint64_t w[2];
    };

    static uint64_t mix(uint64_t a, uint64_t b) {
        const unsigned __int128 p = static_cast<unsigned __int128>(a) * b;
        return static_cast<uint64_t>(p) ^ static_cast<uint64_t>(p >> 64);
    }
    uint32_t set_of(uint64_t hash) const { return static_cast<uint32_t>(hash) & (n_sets_ - 1); }
    static uint16_t tag_of(uint64_t hash) { return static_cast<uint16_t>(hash >> 48 | 1); }
    /// A bit for each way whose tag is the hash's.
    unsigned matches(uint32_t set, uint64_t hash) const {
        const __m128i have = _mm_load_si128(reinterpret_cast<const __m128i*>(sets_[set].tags));
        const __m128i want = _mm_set1_epi16(static_cast<int16_t>(tag_of(hash)));
        const __m128i equal = _mm_cmpeq_epi16(have, want);
        return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(equal, equal))) & 0xff;
    }
    static unsigned way_of(unsigned found) { return static_cast<unsigned>(__builtin_ctz(found)); }
    bool is_equal(unsigned place, const CacheKey& key) const {
        const CacheEntry& e = entries_[place];
        const auto* have = reinterpret_cast<const __m128i*>(e.key);
        const auto* want = reinterpret_cast<const __m128i*>(key.w);
        __m128i same = _mm_cmpeq_epi32(_mm_load_si128(have), _mm_load_si128(want));
        same = _mm_and_si128(same,
                             _mm_cmpeq_epi32(_mm_load_si128(have + 1), _mm_load_si128(want + 1)));
        same = _mm_and_si128(same,
                             _mm_cmpeq_epi32(_mm_load_si128(have + 2), _mm_load_si128(want + 2)));
        if (_mm_movemask_epi8(same) != 0xffff || e.context != key.context) {
            return false;
        }
        // Equal kinds: both have the wide words or both have none.
        return SLUICE_LIKELY((key.wide[0] | key.wide[1]) == 0)
                   ? !has_wide(e) || is_wide_zero(place)
                   : wide_[place].w[0] == key.wide[0] && wide_[place].w[1] == key.wide[1];
    }
    static bool has_wide(const CacheEntry& entry) {
        return entry.key[5] >> kKindsShift & (kind::kIp6 | kind::kArp);
    }
    bool is_wide_zero(unsigned place) const { return (wide_[place].w[0] | wide_[place].w[1]) == 0; }
    unsigned victim(uint32_t set);

    static constexpr unsigned kKindsShift = (offsetof(PacketKey, kinds) - 56) * 8;

    uint32_t n_sets_ = 0;
    uint32_t used_ = 0;
    uint32_t hand_ = 0;  ///< clock hand, shared by all sets
    uint64_t version_ = 0;
    uint64_t secrets_[4] = {};
    Set* sets_ = nullptr;
    CacheEntry* entries_ = nullptr;
    Wide* wide_ = nullptr;
    void* memory_ = nullptr;
    size_t length_ = 0;
    ProgramStore programs_;
};

}  // namespace sluice
