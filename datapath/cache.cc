// SPDX-License-Identifier: Apache-2.0
#include "datapath/cache.h"

#include <sys/mman.h>

#include <cstring>

#include "lib/base/check.h"

namespace sluice {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

FlowCache::~FlowCache() {
    if (memory_) {
        munmap(memory_, length_);
    }
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
    length_ = places * (sizeof(CacheEntry) + sizeof(Wide)) + sets * sizeof(Set) + 2 * kHugePage;
    memory_ = mmap(nullptr, length_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory_ == MAP_FAILED) {
        memory_ = nullptr;
        return false;
    }
    // Entries are picked at random: without large pages each costs a walk of the page tables, too.
    // And a worker should not meet the kernel when it first touches one.
    madvise(memory_, length_, MADV_HUGEPAGE);
    madvise(memory_, length_, MADV_POPULATE_WRITE);
    auto at = reinterpret_cast<uintptr_t>(memory_);
    at = (at + kHugePage - 1) & ~(kHugePage - 1);
    entries_ = reinterpret_cast<CacheEntry*>(at);
    wide_ = reinterpret_cast<Wide*>(entries_ + places);
    sets_ = reinterpret_cast<Set*>(wide_ + places);
    n_sets_ = sets;
    return programs_.init(static_cast<uint32_t>(places), secrets_[0]);
}

unsigned FlowCache::victim(uint32_t set) {
    Set& s = sets_[set];
    for (unsigned i = 0; i < kWays; ++i) {
        if (s.tags[i] == 0) {
            return i;
        }
    }
    for (;;) {
        const unsigned i = hand_++ % kWays;
        if (!s.referenced[i]) {
            return i;
        }
        s.referenced[i] = 0;
    }
}

CacheEntry* FlowCache::insert(uint64_t h, const CacheKey& key, const ProgramBuffer& buffer,
                              const Pipeline& pipeline, CacheEntry* stale,
                              WorkerCounters* counters) {
    if (stale) {
        remove(stale, counters);
    }
    CachedProgram* const program = programs_.keep(buffer, pipeline, counters);
    if (!program) {
        return nullptr;
    }
    const uint32_t set = set_of(h);
    const unsigned way = victim(set);
    const size_t place = size_t{set} * kWays + way;
    CacheEntry* entry = &entries_[place];
    if (sets_[set].tags[way] != 0) {
        remove(entry, counters);
        counters->add(Counter::k_cache_evict);
    }
    std::memcpy(entry->key, key.w, sizeof entry->key);
    entry->context = key.context;
    entry->program = program;
    wide_[place] = {{key.wide[0], key.wide[1]}};
    sets_[set].tags[way] = tag_of(h);
    sets_[set].referenced[way] = 0;  // earns its place by a first hit
    ++used_;
    ++version_;
    return entry;
}

void FlowCache::remove(CacheEntry* entry, WorkerCounters* counters) {
    programs_.release(entry->program, counters);
    const auto place = static_cast<size_t>(entry - entries_);
    sets_[place / kWays].tags[place % kWays] = 0;
    --used_;
    ++version_;
}

void FlowCache::clear(WorkerCounters* counters) {
    for (uint32_t i = 0; i < capacity(); ++i) {
        if (sets_[i / kWays].tags[i % kWays]) {
            remove(&entries_[i], counters);
        }
    }
}

}  // namespace sluice
