// SPDX-License-Identifier: Apache-2.0
#include "datapath/cache.h"

#include <emmintrin.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "lib/base/check.h"

namespace sluice {
namespace {

inline uint64_t mix(uint64_t a, uint64_t b) {
    const unsigned __int128 p = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(p) ^ static_cast<uint64_t>(p >> 64);
}

inline void load_masked(const PacketKey& key, const KeyMask& mask, __m128i out[4]) {
    const auto* k = reinterpret_cast<const __m128i*>(&key);
    const auto* m = reinterpret_cast<const __m128i*>(mask.bytes.data());
    for (unsigned i = 0; i < 4; ++i) {
        out[i] = _mm_and_si128(_mm_load_si128(k + i), _mm_load_si128(m + i));
    }
}

}  // namespace

void FlowCache::Freer::operator()(void* p) const {
    std::free(p);
}

bool FlowCache::init(uint32_t entries, const uint64_t secrets[4]) {
    std::memcpy(secrets_, secrets, sizeof secrets_);
    if (entries == 0) {
        return true;
    }
    uint32_t sets = 1;
    while (sets * kWays < entries) {
        sets *= 2;
    }
    const size_t places = size_t{sets} * kWays;
    tags_.reset(static_cast<uint16_t*>(std::aligned_alloc(64, (places * 2 + 63) / 64 * 64)));
    entries_.reset(static_cast<CacheEntry*>(std::aligned_alloc(64, places * sizeof(CacheEntry))));
    if (!tags_ || !entries_ || !slab_.init(static_cast<uint32_t>(places))) {
        return false;
    }
    std::memset(tags_.get(), 0, places * 2);
    n_sets_ = sets;
    return true;
}

uint64_t FlowCache::hash(const PacketKey& key, const KeyMask& mask) const {
    alignas(16) uint64_t w[8];
    load_masked(key, mask, reinterpret_cast<__m128i*>(w));
    const uint64_t a = mix(w[0] ^ secrets_[0], w[1] ^ secrets_[1]);
    const uint64_t b = mix(w[2] ^ secrets_[1], w[3] ^ secrets_[2]);
    const uint64_t c = mix(w[4] ^ secrets_[2], w[5] ^ secrets_[3]);
    const uint64_t d = mix(w[6] ^ secrets_[3], w[7] ^ secrets_[0]);
    const uint64_t low = mix(a ^ key.context, b ^ secrets_[2]);
    const uint64_t high = mix(c ^ secrets_[0], d ^ secrets_[1]);
    return mix(low ^ secrets_[3], high ^ secrets_[1]);
}

void FlowCache::prefetch_entry(uint64_t h) const {
    const uint16_t* tags = &tags_[size_t{set_of(h)} * kWays];
    const __m128i have = _mm_load_si128(reinterpret_cast<const __m128i*>(tags));
    const __m128i want = _mm_set1_epi16(static_cast<int16_t>(tag_of(h)));
    const int found = _mm_movemask_epi8(_mm_cmpeq_epi16(have, want));
    if (found) {
        const CacheEntry* e =
            &entries_[size_t{set_of(h)} * kWays + static_cast<unsigned>(__builtin_ctz(found)) / 2];
        __builtin_prefetch(e->key);
        __builtin_prefetch(&e->context, 1);
        __builtin_prefetch(e->crossed);
    }
}

CacheEntry* FlowCache::find(uint64_t h, const PacketKey& key, const KeyMask& mask) const {
    const size_t first = size_t{set_of(h)} * kWays;
    const __m128i have = _mm_load_si128(reinterpret_cast<const __m128i*>(&tags_[first]));
    const __m128i want = _mm_set1_epi16(static_cast<int16_t>(tag_of(h)));
    int found = _mm_movemask_epi8(_mm_cmpeq_epi16(have, want));
    if (!found) {
        return nullptr;
    }
    __m128i k[4];
    load_masked(key, mask, k);
    for (; found; found &= ~(3 << __builtin_ctz(found))) {
        CacheEntry* e = &entries_[first + static_cast<unsigned>(__builtin_ctz(found)) / 2];
        const auto* s = reinterpret_cast<const __m128i*>(e->key);
        __m128i diff = _mm_setzero_si128();
        for (unsigned i = 0; i < 4; ++i) {
            diff = _mm_or_si128(diff, _mm_xor_si128(_mm_load_si128(s + i), k[i]));
        }
        const __m128i zero = _mm_cmpeq_epi8(diff, _mm_setzero_si128());
        if (_mm_movemask_epi8(zero) == 0xffff && e->context == key.context) {
            return e;
        }
    }
    return nullptr;
}

bool FlowCache::revalidate(CacheEntry* entry, const Pipeline& pipeline) {
    if (pipeline.physical_generation > entry->born) {
        return false;
    }
    for (unsigned i = 0; i < entry->n_crossed; ++i) {
        const Datapath* dp = pipeline.datapath(entry->crossed[i]);
        if (!dp || dp->generation > entry->born) {
            return false;
        }
    }
    entry->checked = pipeline.sequence;
    return true;
}

void FlowCache::credit(CacheEntry* entry, WorkerCounters* counters) {
    if (entry->packets == 0) {
        return;
    }
    for (unsigned i = 0; i < entry->n_flows; ++i) {
        FlowCounters::Pair& pair = counters->flows.at(entry->flows[i]);
        pair.packets.add(entry->packets);
        pair.bytes.add(entry->bytes);
    }
    entry->packets = 0;
    entry->bytes = 0;
}

unsigned FlowCache::victim(uint32_t set) {
    const uint16_t* tags = &tags_[size_t{set} * kWays];
    for (unsigned i = 0; i < kWays; ++i) {
        if (tags[i] == 0) {
            return i;
        }
    }
    for (;;) {
        const unsigned i = hand_++ % kWays;
        CacheEntry& e = entries_[size_t{set} * kWays + i];
        if (!e.referenced) {
            return i;
        }
        e.referenced = false;
    }
}

bool FlowCache::store(CacheEntry* entry, const ProgramBuffer& buffer) {
    entry->program = entry->words;
    entry->flows = nullptr;
    entry->n_words = buffer.n_words;
    entry->n_flows = static_cast<uint16_t>(buffer.n_flows);
    entry->n_steps = buffer.n_steps & 15;
    const uint32_t step_words = buffer.n_steps * kCtStepWords;
    if (step_words + buffer.n_words > CacheEntry::kInlineWords) {
        const uint32_t words = step_words + buffer.n_words;
        entry->program = static_cast<uint64_t*>(slab_.take(words * sizeof(uint64_t)));
    }
    if (buffer.n_flows) {
        entry->flows = static_cast<uint32_t*>(slab_.take(buffer.n_flows * sizeof(uint32_t)));
    }
    if (!entry->program || (buffer.n_flows && !entry->flows)) {
        release(entry);
        return false;
    }
    std::memcpy(entry->program, buffer.steps, step_words * sizeof(uint64_t));
    std::memcpy(entry->program + step_words, buffer.words, buffer.n_words * sizeof(uint64_t));
    if (buffer.n_flows) {
        std::memcpy(entry->flows, buffer.flows, buffer.n_flows * sizeof(uint32_t));
    }
    return true;
}

void FlowCache::release(CacheEntry* entry) {
    if (entry->program && entry->program != entry->words) {
        slab_.give_back(entry->program);
    }
    if (entry->flows) {
        slab_.give_back(entry->flows);
    }
}

CacheEntry* FlowCache::insert(uint64_t h, const PacketKey& key, const KeyMask& mask,
                              const ProgramBuffer& buffer, uint64_t sequence, CacheEntry* stale,
                              WorkerCounters* counters) {
    if (stale) {
        remove(stale, counters);
    }
    const uint32_t set = set_of(h);
    const unsigned way = victim(set);
    const size_t place = size_t{set} * kWays + way;
    CacheEntry* entry = &entries_[place];
    if (tags_[place] != 0) {
        remove(entry, counters);
        counters->add(Counter::k_cache_evict);
    }
    if (!store(entry, buffer)) {
        return nullptr;
    }
    load_masked(key, mask, reinterpret_cast<__m128i*>(entry->key));
    entry->context = key.context;
    entry->checked = sequence;
    entry->born = sequence;
    entry->packets = 0;
    entry->bytes = 0;
    entry->n_crossed = buffer.n_crossed & 15;
    entry->referenced = false;  // earns its place by a first hit
    std::memcpy(entry->crossed, buffer.crossed, sizeof entry->crossed);
    tags_[place] = tag_of(h);
    ++used_;
    ++version_;
    return entry;
}

void FlowCache::remove(CacheEntry* entry, WorkerCounters* counters) {
    credit(entry, counters);
    release(entry);
    tags_[static_cast<size_t>(entry - entries_.get())] = 0;
    --used_;
    ++version_;
}

void FlowCache::clear(WorkerCounters* counters) {
    for (uint32_t i = 0; i < capacity(); ++i) {
        if (tags_[i]) {
            remove(&entries_[i], counters);
        }
    }
}

bool FlowCache::sweep(uint32_t n, WorkerCounters* counters) {
    for (; n && cursor_ < capacity(); --n, ++cursor_) {
        if (tags_[cursor_]) {
            credit(&entries_[cursor_], counters);
        }
    }
    if (cursor_ < capacity()) {
        return false;
    }
    cursor_ = 0;
    return true;
}

}  // namespace sluice
