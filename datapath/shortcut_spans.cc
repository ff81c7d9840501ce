// SPDX-License-Identifier: Apache-2.0
// Spans: what a lookup compared, as intervals. Mirrors datapath/classify.h form by form.
#include <algorithm>
#include <bit>
#include <cstring>

#include "datapath/classify.h"
#include "datapath/shortcut_learn.h"

namespace sluice {
namespace {

constexpr uint32_t kMaxBucketsScanned = 4096;

constexpr uint32_t low_bits(unsigned n) {
    return n >= 32 ? ~0u : (1u << n) - 1;
}

/// All bits that a packet can have in a word.
uint32_t domain_of_slot(unsigned slot) {
    for (const FieldInfo& f : kFields) {
        if (f.slots() == 1 && f.slot == slot) {
            // Two fields share the word of DSCP and ECN: both ends at bit 8.
            return low_bits(f.shift + f.bits);
        }
    }
    return ~0u;
}

/// Blocks of the rows that the State's value of a dimension allows.
const uint32_t* row_of(const Dimension& d, uint32_t n_blocks, const State& s) {
    uint32_t place;
    if (d.kind == Dimension::kIndex) {
        place = std::min(datapath::slice32(s, d.slice), d.n_bounds);
    } else {
        place = datapath::search(s, d.slice, d.bounds, d.n_bounds);
    }
    return d.block_ids + size_t{d.classes[place]} * n_blocks;
}

/// Whether every value of a dimension allows the row.
bool is_everywhere(const BitmapSegment& b, const Dimension& d, uint32_t row) {
    const uint32_t block = row / kBlockRows;
    const uint32_t bit = row % kBlockRows;
    for (uint32_t place = 0; place <= d.n_bounds; ++place) {
        const uint32_t id = d.block_ids[size_t{d.classes[place]} * b.n_blocks + block];
        if (!(b.pool[id].bits[bit / 64] >> (bit % 64) & 1)) {
            return false;
        }
    }
    return true;
}

}  // namespace

void Spans::begin(const State& s) {
    for (unsigned slot = 0; slot < kSlots; ++slot) {
        // The tree is for one protocol; IPv6, ARP and ND have nothing to say in it.
        const bool is_same = slot == kSlotEthType || slot == kSlotIpProto || slot == kSlotIpFrag ||
                             (slot >= kSlotIp6Src && slot <= kSlotIp6Label) ||
                             (slot >= kSlotArpOp && slot < kSlotPktLen);
        const bool is_packets = slot >= kSlotEthSrc && slot <= kSlotFlowHash && !is_same;
        var_[slot] = is_packets || slot == kSlotPktMark ? static_cast<uint8_t>(slot) : kFixed;
        value_[slot] = s.w[slot];
        domain_[slot] = domain_of_slot(slot);
    }
    domain_[kSlotIpDscp] = 0xff;
    for (unsigned step = 0; step < ShortcutValues::kMaxSteps; ++step) {
        for (unsigned a = 0; a < ShortcutValues::kAnswers; ++a) {
            const bool is_address = a == ShortcutValues::kSrc || a == ShortcutValues::kDst;
            domain_[ShortcutValues::var_of(step, a)] = is_address ? ~0u : 0xffff;
        }
    }
    for (Span& span : spans_) {
        span = {};
    }
}

void Spans::pin(unsigned slot, uint32_t mask) {
    if (var_[slot] != kFixed) {
        spans_[var_[slot]].mask |= mask & domain(slot);
    }
}

void Spans::keep(unsigned slot, unsigned shift, unsigned bits, uint32_t low, uint32_t high) {
    if (var_[slot] == kFixed) {
        return;
    }
    const uint32_t mask = low_bits(bits) << shift;
    const uint32_t all = domain(slot);
    if (((all >> shift) & ~low_bits(bits)) != 0) {
        pin(slot, mask);  // bits above it: no interval
        return;
    }
    const uint64_t first = uint64_t{low} << shift;
    const uint64_t last = (uint64_t{high} << shift) | low_bits(shift);
    Span& span = spans_[var_[slot]];
    span.low = std::max<uint32_t>(span.low, static_cast<uint32_t>(std::min<uint64_t>(first, ~0u)));
    span.high = std::min<uint32_t>(span.high, static_cast<uint32_t>(std::min<uint64_t>(last, ~0u)));
    SLUICE_DCHECK(span.low <= value(slot) && value(slot) <= span.high);
}

bool Spans::is_prefix(unsigned slot, uint32_t mask) const {
    const uint32_t rest = domain(slot) & ~mask;
    return (rest & (rest + 1)) == 0;
}

void Spans::keep_equal(unsigned slot, uint32_t mask) {
    pin(slot, mask);
}

void Spans::keep_different(unsigned slot, uint32_t mask, uint32_t key) {
    if (var_[slot] == kFixed || excludes(slot, mask, key)) {
        return;
    }
    Span& span = spans_[var_[slot]];
    const uint32_t v = value(slot);
    if (!is_prefix(slot, mask)) {
        pin(slot, std::bit_floor((v ^ key) & mask));  // one bit that differs is enough
        return;
    }
    if (v < key) {
        span.high = std::min(span.high, key - 1);
    } else {
        span.low = std::max(span.low, (key | (domain(slot) & ~mask)) + 1);
    }
    SLUICE_DCHECK(span.low <= v && v <= span.high);
}

bool Spans::excludes(unsigned slot, uint32_t mask, uint32_t key) const {
    if (var_[slot] == kFixed) {
        return false;
    }
    const Span& span = spans_[var_[slot]];
    if ((value(slot) ^ key) & mask & span.mask) {
        return true;
    }
    return is_prefix(slot, mask) && (span.high < key || span.low > (key | (domain(slot) & ~mask)));
}

uint32_t Spans::left_without(unsigned slot, uint32_t mask, uint32_t key) const {
    if (!is_prefix(slot, mask)) {
        return 0;
    }
    const Span& span = spans_[var_[slot]];
    const uint64_t left = value(slot) < key ? key - span.low : span.high - key;
    return static_cast<uint32_t>(left * 65536 / (uint64_t{domain(slot)} + 1)) + 1;
}

uint32_t Spans::search(const State& s, Slice slice, const void* bounds, uint32_t n) {
    const uint32_t place = datapath::search(s, slice, bounds, n);
    if (slice.slots > 1) {
        pin_words(slice.slot, slice.slots);
        return place;
    }
    const auto* b = static_cast<const uint32_t*>(bounds);
    keep(slice.slot, slice.shift, slice.bits, place ? b[place - 1] : 0,
         place < n ? b[place] - 1 : low_bits(slice.bits));
    return place;
}

bool Spans::passes(const Table& table, const Test& t, const State& s) {
    const uint32_t v = s.w[t.slot] & t.mask;
    if (t.kind == Test::kEqual) {
        const bool same = v == t.low;
        if (same) {
            keep_equal(t.slot, t.mask);
        } else {
            keep_different(t.slot, t.mask, t.low);
        }
        return same;
    }
    if (t.kind == Test::kSet) {
        const RangeSet& set = table.sets[t.low];
        return search(s, set.slice, set.bounds, set.n_bounds) & 1;
    }
    const uint32_t cut = t.mask >> t.shift;
    const uint32_t at = v >> t.shift;
    const bool inside = at - t.low <= t.high;
    if ((cut & (cut + 1)) != 0 || t.low + t.high < t.low) {
        pin(t.slot, t.mask);
        return inside;
    }
    const auto bits = static_cast<unsigned>(std::popcount(cut));
    if (inside) {
        keep(t.slot, t.shift, bits, t.low, t.low + t.high);
    } else if (at < t.low) {
        keep(t.slot, t.shift, bits, 0, t.low - 1);
    } else {
        keep(t.slot, t.shift, bits, t.low + t.high + 1, cut);
    }
    return inside;
}

/// A row that fails does so for one of its tests: the one that costs least.
bool Spans::fails(const Table& table, const Candidate& row, const State& s) {
    const Test* best = nullptr;
    uint32_t most = 0;
    for (uint32_t i = 0; i < row.n_tests; ++i) {
        const Test& t = row.tests[i];
        if (datapath::passes(table, {row.rule, &t, 1, row.row}, s)) {
            continue;
        }
        const bool is_set = t.kind == Test::kSet;
        const unsigned slot = is_set ? table.sets[t.low].slice.slot : t.slot;
        const bool is_equal = t.kind == Test::kEqual;
        const bool is_wide = is_set && table.sets[t.low].slice.slots > 1;
        if (!is_wide && (is_fixed(slot) || (is_equal && excludes(slot, t.mask, t.low)))) {
            return true;
        }
        const uint32_t left = is_equal ? left_without(slot, t.mask, t.low) : 1;
        if (!best || left > most) {
            best = &t;
            most = left;
        }
    }
    return best && !passes(table, *best, s);
}

const Rule* Spans::first_of(const Table& table, const List& list, const State& s) {
    for (uint32_t i = 0; i < list.count; ++i) {
        const Candidate& row = list.first[i];
        if (fails(table, row, s)) {
            continue;
        }
        for (uint32_t n = 0; n < row.n_tests; ++n) {
            passes(table, row.tests[n], s);
        }
        return row.rule;
    }
    return nullptr;
}

/// The packet is not entry `entry`: keeps the difference that leaves most values.
void Spans::miss(const HashSegment& h, const State& s, uint32_t entry) {
    const uint32_t* key = h.keys + size_t{entry} * h.n_words;
    const HashWord* best = nullptr;
    uint32_t best_key = 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < h.n_words; ++i) {
        const HashWord& word = h.words[i];
        if ((s.w[word.slot] & word.mask) == key[i]) {
            continue;
        }
        if (is_fixed(word.slot) || excludes(word.slot, word.mask, key[i])) {
            return;
        }
        const uint32_t left = left_without(word.slot, word.mask, key[i]);
        if (!best || left > most) {
            best = &word;
            best_key = key[i];
            most = left;
        }
    }
    if (best) {
        keep_different(best->slot, best->mask, best_key);
    }
}

const List& Spans::hash_find(const HashSegment& h, const State& s) {
    const List& found = datapath::hash_find(h, s);
    const bool scans = h.bucket_mask < kMaxBucketsScanned;
    if (&found != &h.lists[0] || !scans) {
        for (uint32_t i = 0; i < h.n_words; ++i) {
            keep_equal(h.words[i].slot, h.words[i].mask);
        }
        return found;
    }
    for (uint32_t i = 0; i <= h.bucket_mask; ++i) {
        if (h.buckets[i].entry) {
            miss(h, s, h.buckets[i].entry - 1);
        }
    }
    return found;
}

void Spans::keep_place(const Dimension& d, const State& s) {
    if (d.kind != Dimension::kIndex) {
        search(s, d.slice, d.bounds, d.n_bounds);
        return;
    }
    const uint32_t v = datapath::slice32(s, d.slice);
    const bool in_table = v < d.n_bounds;
    keep(d.slice.slot, d.slice.shift, d.slice.bits, in_table ? v : d.n_bounds,
         in_table ? v : low_bits(d.slice.bits));
}

/// Dimensions that must stay are those without which another row could be the first: the row found
/// must be in them for every value, or rows before it must be in none of the others.
const Rule* Spans::bitmap_find(const BitmapSegment& b, const State& s) {
    const uint32_t* all[kMaxDimensions];
    const uint32_t* kept[kMaxDimensions];
    bool is_kept[kMaxDimensions] = {};
    unsigned n_kept = 0;
    for (uint32_t i = 0; i < b.n_dimensions; ++i) {
        all[i] = row_of(b.dimensions[i], b.n_blocks, s);
    }
    const int row = first_row(all, b.n_dimensions, b.n_blocks, b.pool);
    const auto keep_dimension = [&](uint32_t i) {
        if (!is_kept[i]) {
            is_kept[i] = true;
            kept[n_kept++] = all[i];
            keep_place(b.dimensions[i], s);
        }
    };
    for (uint32_t i = 0; i < b.n_dimensions; ++i) {
        const Dimension& d = b.dimensions[i];
        if ((d.slice.slots == 1 && is_fixed(d.slice.slot)) ||
            (row >= 0 && !is_everywhere(b, d, static_cast<uint32_t>(row)))) {
            keep_dimension(i);
        }
    }
    for (uint32_t i = 0; i < b.n_dimensions; ++i) {
        if (n_kept != 0 && first_row(kept, n_kept, b.n_blocks, b.pool) == row) {
            break;
        }
        keep_dimension(i);
    }
    return row < 0 ? nullptr : b.rules[row];
}

void Spans::classify(const Table& table, const State& s) {
    const Rule* rule = nullptr;
    for (uint32_t i = 0; i < table.n_segments && !rule; ++i) {
        const Segment& g = table.segments[i];
        switch (g.form) {
        case Form::kConst: return;
        case Form::kLinear: rule = first_of(table, g.linear.rows, s); break;
        case Form::kHash: rule = first_of(table, hash_find(g.hash, s), s); break;
        case Form::kLpm:
            rule = first_of(table,
                            g.lpm.lists[search(s, g.lpm.slice, g.lpm.bounds, g.lpm.n_bounds)], s);
            break;
        case Form::kDirect: {
            const DirectSegment& d = g.direct;
            const uint32_t v = (s.w[d.slot] & d.mask) >> d.shift;
            const uint32_t cut = d.mask >> d.shift;
            if (v < d.count || (cut & (cut + 1)) != 0) {
                pin(d.slot, d.mask);
            } else {
                keep(d.slot, d.shift, static_cast<unsigned>(std::popcount(cut)), d.count, cut);
            }
            rule = first_of(table, d.lists[v < d.count ? v : d.count], s);
            break;
        }
        case Form::kBitmap: rule = bitmap_find(g.bitmap, s); break;
        }
    }
}

}  // namespace sluice
