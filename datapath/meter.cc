// SPDX-License-Identifier: Apache-2.0
#include "datapath/meter.h"

#include <rte_pause.h>

#include <bit>

namespace sluice {
namespace {

/// How far clocks of two workers may lie apart, in milliseconds.
constexpr uint64_t kSkewMs = 1u << 16;
constexpr uint64_t kTokensPerPacket = 1000;
constexpr uint64_t kBitsPerByte = 8;

uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t h = (a ^ b * 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
    h = (h ^ h >> 29) * 0x94d049bb133111ebull;
    return h ^ h >> 32;
}

}  // namespace

MeterTable::MeterTable(uint32_t buckets)
    : mask_(std::bit_ceil(buckets / kWays + 1) - 1), sets_(std::make_unique<Set[]>(mask_ + 1)) {}

/// Tokens that the bucket lacks to be full. Clocks wrap: what is further ahead than any charge
/// could have put it lies in fact far behind.
uint64_t MeterTable::debt(uint64_t level, uint64_t rate, uint64_t depth, uint64_t now_ms) {
    const uint64_t ahead = level - rate * now_ms;
    return ahead > depth + rate * kSkewMs ? 0 : ahead;
}

MeterTable::Bucket* MeterTable::find(Set* set, uint64_t key) {
    for (Bucket& bucket : set->buckets) {
        if (bucket.key.load(std::memory_order_acquire) == key) {
            return &bucket;
        }
    }
    return nullptr;
}

MeterTable::Bucket* MeterTable::make(Set* set, uint64_t key, uint64_t rate, uint64_t depth,
                                     uint64_t now_ms) {
    while (set->busy.exchange(1, std::memory_order_acquire) != 0) {
        rte_pause();
    }
    Bucket* bucket = find(set, key);
    if (!bucket) {
        uint64_t least = ~uint64_t{0};
        for (Bucket& b : set->buckets) {
            const uint64_t used = b.key.load(std::memory_order_relaxed);
            const uint64_t lacks = used == 0
                                       ? 0
                                       : debt(b.level.load(std::memory_order_relaxed),
                                              b.rate.load(std::memory_order_relaxed),
                                              b.depth.load(std::memory_order_relaxed), now_ms);
            if (lacks < least) {
                least = lacks;
                bucket = &b;
            }
        }
        bucket->key.store(0, std::memory_order_relaxed);
        bucket->rate.store(rate, std::memory_order_relaxed);
        bucket->depth.store(depth, std::memory_order_relaxed);
        bucket->level.store(rate * now_ms, std::memory_order_relaxed);
        bucket->key.store(key, std::memory_order_release);
    }
    set->busy.store(0, std::memory_order_release);
    return bucket;
}

bool MeterTable::take(uint64_t key, uint64_t rate, uint64_t burst, uint64_t cost, uint64_t now_ms) {
    const uint64_t depth = (burst ? burst : rate) * 1000;
    Set* set = &sets_[static_cast<uint32_t>(key >> 32) & mask_];
    key |= 1;
    Bucket* bucket = find(set, key);
    if (!bucket) {
        bucket = make(set, key, rate, depth, now_ms);
    }
    uint64_t level = bucket->level.load(std::memory_order_relaxed);
    for (;;) {
        const uint64_t lacks = debt(level, rate, depth, now_ms);
        if (lacks + cost > depth) {
            return false;
        }
        if (bucket->level.compare_exchange_weak(level, rate * now_ms + lacks + cost,
                                                std::memory_order_relaxed)) {
            return true;
        }
    }
}

bool MeterTable::take_flow(uint32_t flow, uint32_t rate_kbps, uint32_t burst_kbit, uint32_t bytes,
                           uint64_t now_ms) {
    const uint64_t key = mix(uint64_t{1} << 63 | flow, uint64_t{rate_kbps} << 32 | burst_kbit);
    return take(key, rate_kbps, burst_kbit, uint64_t{bytes} * kBitsPerByte, now_ms);
}

bool MeterTable::take(const MeterSpec& spec, uint32_t bytes, uint64_t now_ms) {
    bool passes = true;
    uint64_t number = 0;
    for (const MeterSpec::Band& band : spec.bands) {
        const uint64_t cost = spec.is_packets ? kTokensPerPacket : uint64_t{bytes} * kBitsPerByte;
        passes &= take(mix(uint64_t{spec.id} << 16 | number++, band.rate ^ band.burst << 32),
                       band.rate, band.burst, cost, now_ms);
    }
    return passes;
}

}  // namespace sluice
