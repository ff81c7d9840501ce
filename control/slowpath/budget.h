// SPDX-License-Identifier: Apache-2.0
// Two bounded memories of the slow path: who has used up his share, and what was said just now.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <unordered_set>
#include <vector>

namespace sluice {

/// Token buckets by key. Keys share a fixed number of buckets by hash, so memory is bounded; two
/// keys that fall together share one rate.
class Budget {
public:
    Budget(unsigned per_second, unsigned burst) : per_second_(per_second), burst_(burst) {}

    bool take(uint64_t key, int64_t now_ms) {
        Bucket& bucket = buckets_[(key * 0x9e3779b97f4a7c15ull) >> (64 - kBits)];
        const int64_t full = int64_t{burst_} * 1000;
        if (bucket.last_ms == kNever) {
            bucket.millitokens = full;
        } else if (now_ms > bucket.last_ms) {
            const int64_t idle_ms = now_ms - bucket.last_ms;
            const int64_t missing = full - bucket.millitokens;
            // Compared by time first: the product of a long idle time would not fit.
            bucket.millitokens = idle_ms > missing / (per_second_ ? per_second_ : 1)
                                     ? (per_second_ ? full : bucket.millitokens)
                                     : bucket.millitokens + idle_ms * per_second_;
        }
        bucket.last_ms = now_ms;
        if (bucket.millitokens < 1000) {
            return false;
        }
        bucket.millitokens -= 1000;
        return true;
    }

private:
    static constexpr unsigned kBits = 12;
    static constexpr int64_t kNever = INT64_MIN;
    struct Bucket {
        int64_t millitokens = 0;
        int64_t last_ms = kNever;
    };
    unsigned per_second_;
    unsigned burst_;
    std::vector<Bucket> buckets_ = std::vector<Bucket>(size_t{1} << kBits);
};

/// Things said within the last window (at most two windows). What is said again and again is let
/// through once per window, so that something lost further on is learnt later.
class Recent {
public:
    using Key = std::array<uint64_t, 5>;
    static constexpr size_t kMax = 1 << 15;

    explicit Recent(unsigned window_ms) : window_ms_(window_ms) {}

    /// True if `key` was said a moment ago; else remembers it.
    bool said(const Key& key, int64_t now_ms) {
        if (now_ms - turned_ms_ >= window_ms_ || now_.size() >= kMax) {
            before_.clear();
            if (now_ms - turned_ms_ < 2 * int64_t{window_ms_}) {
                before_.swap(now_);
            }
            now_.clear();
            turned_ms_ = now_ms;
        }
        return before_.count(key) || !now_.insert(key).second;
    }

private:
    struct Hash {
        size_t operator()(const Key& key) const {
            uint64_t h = 0;
            for (const uint64_t word : key) {
                h = (h ^ word) * 0xbf58476d1ce4e5b9ull;
                h ^= h >> 29;
            }
            return h;
        }
    };
    unsigned window_ms_;
    int64_t turned_ms_ = INT64_MIN / 2;
    std::unordered_set<Key, Hash> now_;
    std::unordered_set<Key, Hash> before_;
};

}  // namespace sluice
