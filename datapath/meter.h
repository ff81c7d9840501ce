// SPDX-License-Identifier: Apache-2.0
// Meters: token buckets behind set_meter(), one per logical flow that asks for one.
//
// A worker polices what it forwards itself; a flow whose packets arrive on several workers gets the
// rate on each. Buckets live in a small set-associative table, so an unused one is forgotten.
#pragma once

#include <array>
#include <cstdint>

namespace sluice {

class Meters {
public:
    /// Takes `bytes` from the bucket of `flow`. False: the packet exceeds rate and burst.
    bool take(uint32_t flow, uint32_t rate_kbps, uint32_t burst_kbit, uint32_t bytes, uint64_t now,
              uint64_t hz) {
        Bucket* set = &buckets_[(flow * 0x9e3779b1u) % kSets * kWays];
        Bucket* bucket = set;
        for (unsigned i = 0; i < kWays; ++i) {
            if (set[i].used && set[i].flow == flow) {
                bucket = &set[i];
                break;
            }
            if (!set[i].used || (bucket->used && set[i].last < bucket->last)) {
                bucket = &set[i];
            }
        }
        const uint64_t depth = uint64_t{burst_kbit ? burst_kbit : rate_kbps} * 1000;
        if (!bucket->used || bucket->flow != flow) {
            *bucket = Bucket{flow, true, now, depth};
        }
        const uint64_t elapsed = now - bucket->last;
        const uint64_t full_after = rate_kbps ? depth * hz / (uint64_t{rate_kbps} * 1000) : 0;
        bucket->tokens = elapsed >= full_after ? (rate_kbps ? depth : bucket->tokens)
                                               : bucket->tokens + elapsed * rate_kbps / hz * 1000 +
                                                     elapsed * rate_kbps % hz * 1000 / hz;
        bucket->tokens = bucket->tokens < depth ? bucket->tokens : depth;
        bucket->last = now;
        if (bucket->tokens < uint64_t{bytes} * 8) {
            return false;
        }
        bucket->tokens -= uint64_t{bytes} * 8;
        return true;
    }

private:
    static constexpr unsigned kSets = 256;
    static constexpr unsigned kWays = 4;
    struct Bucket {
        uint32_t flow = 0;
        bool used = false;
        uint64_t last = 0;
        uint64_t tokens = 0;  ///< bits
    };
    std::array<Bucket, kSets * kWays> buckets_;
};

}  // namespace sluice
