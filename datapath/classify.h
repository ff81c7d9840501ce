// SPDX-License-Identifier: Apache-2.0
// Lookup in a compiled logical table: the rule of the first row that matches, or null.
//
// Runs once per logical table of every walk: no calls but one (the bitmap AND, chosen for the CPU),
// no writes outside the stack. Layout and forms: lib/program/table.h.
#pragma once

#include "lib/base/check.h"
#include "lib/program/table.h"

namespace sluice::datapath {

SLUICE_INLINE uint32_t slice32(const State& state, Slice s) {
    const uint32_t v = state.w[s.slot] >> s.shift;
    return s.bits >= 32 ? v : v & ((1u << s.bits) - 1);
}

SLUICE_INLINE uint64_t slice64(const State& state, Slice s) {
    uint64_t v = state.w[s.slot];
    if (s.slots > 1) {
        v = v << 32 | state.w[s.slot + 1];
    }
    v >>= s.shift;
    return s.bits >= 64 ? v : v & ((uint64_t{1} << s.bits) - 1);
}

SLUICE_INLINE U128 slice128(const State& state, Slice s) {
    U128 v = 0;
    for (unsigned i = 0; i < s.slots; ++i) {
        v = v << 32 | state.w[s.slot + i];
    }
    v >>= s.shift;
    return s.bits >= 128 ? v : v & ((U128{1} << s.bits) - 1);
}

/// How many of the ascending `bounds` are <= v.
template <typename T>
SLUICE_INLINE uint32_t count_not_above(const void* bounds, uint32_t n, T v) {
    const T* base = static_cast<const T*>(bounds);
    const T* const begin = base;
    while (n > 1) {
        const uint32_t half = n / 2;
        base += base[half - 1] <= v ? half : 0;
        n -= half;
    }
    return static_cast<uint32_t>(base - begin) + (n == 1 && *base <= v ? 1u : 0u);
}

SLUICE_INLINE uint32_t search(const State& state, Slice slice, const void* bounds, uint32_t n) {
    const unsigned span = slice.slots;
    if (span == 1) {
        return count_not_above<uint32_t>(bounds, n, slice32(state, slice));
    }
    if (span == 2) {
        return count_not_above<uint64_t>(bounds, n, slice64(state, slice));
    }
    return count_not_above<U128>(bounds, n, slice128(state, slice));
}

SLUICE_INLINE bool passes(const Table& table, const Candidate& row, const State& state) {
    for (uint32_t i = 0; i < row.n_tests; ++i) {
        const Test& t = row.tests[i];
        const uint32_t v = state.w[t.slot] & t.mask;
        if (t.kind == Test::kEqual) {
            if (v != t.low) {
                return false;
            }
        } else if (t.kind == Test::kRange) {
            if ((v >> t.shift) - t.low > t.high) {
                return false;
            }
        } else {
            const RangeSet& set = table.sets[t.low];
            if (!(search(state, set.slice, set.bounds, set.n_bounds) & 1)) {
                return false;
            }
        }
    }
    return true;
}

SLUICE_INLINE const Rule* first_of(const Table& table, const List& list, const State& state) {
    for (uint32_t i = 0; i < list.count; ++i) {
        if (passes(table, list.first[i], state)) {
            return list.first[i].rule;
        }
    }
    return nullptr;
}

SLUICE_INLINE const List& hash_find(const HashSegment& s, const State& state) {
    uint32_t key[kMaxHashWords];
    for (uint32_t i = 0; i < s.n_words; ++i) {
        key[i] = state.w[s.words[i].slot] & s.words[i].mask;
    }
    const uint32_t hash = hash_words(key, s.n_words);
    for (uint32_t at = hash & s.bucket_mask;; at = (at + 1) & s.bucket_mask) {
        const HashBucket& bucket = s.buckets[at];
        if (bucket.entry == 0) {
            return s.lists[0];
        }
        if (bucket.hash == hash) {
            const uint32_t* stored = s.keys + (bucket.entry - 1) * s.n_words;
            uint32_t diff = 0;
            for (uint32_t i = 0; i < s.n_words; ++i) {
                diff |= stored[i] ^ key[i];
            }
            if (diff == 0) {
                return s.lists[bucket.entry];
            }
        }
    }
}

SLUICE_INLINE const Rule* bitmap_find(const BitmapSegment& s, const State& state) {
    const uint32_t* rows[kMaxDimensions];
    for (uint32_t i = 0; i < s.n_dimensions; ++i) {
        const Dimension& d = s.dimensions[i];
        uint32_t position;
        if (d.kind == Dimension::kIndex) {
            const uint32_t v = slice32(state, d.slice);
            position = v < d.n_bounds ? v : d.n_bounds;
        } else {
            position = search(state, d.slice, d.bounds, d.n_bounds);
        }
        rows[i] = d.block_ids + static_cast<size_t>(d.classes[position]) * s.n_blocks;
    }
    const int row = first_row(rows, s.n_dimensions, s.n_blocks, s.pool);
    return row < 0 ? nullptr : s.rules[row];
}

/// The rule that `state` hits in `table`, or null when nothing matches.
SLUICE_HOT inline const Rule* classify(const Table& table, const State& state) {
    for (uint32_t i = 0; i < table.n_segments; ++i) {
        const Segment& s = table.segments[i];
        const Rule* rule = nullptr;
        switch (s.form) {
        case Form::kConst: return s.constant.rule;
        case Form::kLinear: rule = first_of(table, s.linear.rows, state); break;
        case Form::kHash: rule = first_of(table, hash_find(s.hash, state), state); break;
        case Form::kLpm:
            rule = first_of(table,
                            s.lpm.lists[search(state, s.lpm.slice, s.lpm.bounds, s.lpm.n_bounds)],
                            state);
            break;
        case Form::kDirect: {
            const DirectSegment& d = s.direct;
            const uint32_t v = (state.w[d.slot] & d.mask) >> d.shift;
            rule = first_of(table, d.lists[v < d.count ? v : d.count], state);
            break;
        }
        case Form::kBitmap: rule = bitmap_find(s.bitmap, state); break;
        }
        if (rule != nullptr) {
            return rule;
        }
    }
    return nullptr;
}

}  // namespace sluice::datapath
