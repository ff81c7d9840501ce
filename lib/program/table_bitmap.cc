// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "lib/base/check.h"
#include "lib/program/table_build.h"

namespace sluice {

namespace {

constexpr unsigned kWindowBits = 8;       ///< small slices of one slot share a dimension this wide
constexpr uint32_t kMaxIndexSize = 4096;  ///< beyond that, boundaries are searched

/// Equal blocks are stored once; block 0 is the empty one.
class BlockPool {
public:
    explicit BlockPool(std::vector<Block>* out) : out_(out) {
        const Block empty{};
        intern(empty);
    }
    uint32_t intern(const Block& block) {
        uint64_t h = 0;
        for (const uint64_t w : block.bits) {
            h = (h ^ w) * 0x9e3779b97f4a7c15ull;
            h ^= h >> 29;
        }
        auto [first, last] = by_hash_.equal_range(h);
        for (; first != last; ++first) {
            if (std::memcmp((*out_)[first->second].bits, block.bits, sizeof block.bits) == 0) {
                return first->second;
            }
        }
        const auto id = static_cast<uint32_t>(out_->size());
        out_->push_back(block);
        by_hash_.emplace(h, id);
        return id;
    }

private:
    std::vector<Block>* out_;
    std::unordered_multimap<uint64_t, uint32_t> by_hash_;
};

/// Rows that are still in, as one class after the other is visited.
class ClassMaker {
public:
    ClassMaker(size_t n_rows, uint32_t n_blocks, BlockPool* pool, DimensionPlan* out)
        : blocks_(n_blocks), ids_(n_blocks), stale_(n_blocks, true), pool_(pool), out_(out) {
        for (size_t row = 0; row < n_rows; ++row) {
            set(static_cast<uint32_t>(row), true);
        }
    }
    void set(uint32_t row, bool in) {
        Block& block = blocks_[row / kBlockRows];
        const uint64_t bit = uint64_t{1} << row % 64;
        uint64_t& word = block.bits[row % kBlockRows / 64];
        word = in ? word | bit : word & ~bit;
        stale_[row / kBlockRows] = true;
    }
    uint32_t current_class() {
        for (size_t b = 0; b < blocks_.size(); ++b) {
            if (stale_[b]) {
                ids_[b] = pool_->intern(blocks_[b]);
                stale_[b] = false;
            }
        }
        const auto [at, fresh] = classes_.try_emplace(ids_, static_cast<uint32_t>(classes_.size()));
        if (fresh) {
            out_->block_ids.insert(out_->block_ids.end(), ids_.begin(), ids_.end());
        }
        return at->second;
    }

private:
    std::vector<Block> blocks_;
    std::vector<uint32_t> ids_;
    std::vector<bool> stale_;
    std::map<std::vector<uint32_t>, uint32_t> classes_;
    BlockPool* pool_;
    DimensionPlan* out_;
};

struct RowCond {
    uint32_t row;
    const std::vector<ValueRange>* ranges;
    Slice slice;
};

bool contains(const std::vector<ValueRange>& ranges, U128 v) {
    const auto at = std::upper_bound(ranges.begin(), ranges.end(), v,
                                     [](U128 x, const ValueRange& r) { return x < r.lo; });
    return at != ranges.begin() && v <= std::prev(at)->hi;
}

/// Every value of a small window is tried on every row.
void plan_window(const std::vector<RowCond>& conds, ClassMaker* maker, DimensionPlan* out) {
    const Slice window = out->slice;
    out->kind = Dimension::kIndex;
    out->n_index = (1u << window.bits) - 1;
    for (uint32_t v = 0; v <= out->n_index; ++v) {
        for (const RowCond& c : conds) {
            maker->set(c.row, true);
        }
        for (const RowCond& c : conds) {
            const uint32_t part = v >> (c.slice.shift - window.shift) & ((1u << c.slice.bits) - 1);
            if (!contains(*c.ranges, part)) {
                maker->set(c.row, false);
            }
        }
        out->classes.push_back(maker->current_class());
    }
}

/// Boundary by boundary; rows with the same set flip together.
void plan_ranges(const std::vector<RowCond>& conds, ClassMaker* maker, DimensionPlan* out) {
    std::map<const std::vector<ValueRange>*, std::vector<uint32_t>> rows_of;
    for (const RowCond& c : conds) {
        rows_of[c.ranges].push_back(c.row);
        maker->set(c.row, false);
    }
    struct Flip {
        U128 at;
        const std::vector<uint32_t>* rows;
        bool in;
    };
    std::vector<Flip> flips;
    for (const auto& [ranges, rows] : rows_of) {
        const std::vector<U128> bounds = bounds_of(*ranges, out->slice.bits);
        for (size_t i = 0; i < bounds.size(); ++i) {
            flips.push_back({bounds[i], &rows, i % 2 == 0});
        }
    }
    std::sort(flips.begin(), flips.end(), [](const Flip& a, const Flip& b) { return a.at < b.at; });
    std::vector<uint32_t> classes{maker->current_class()};
    std::vector<U128> bounds;
    for (size_t i = 0; i < flips.size();) {
        const U128 at = flips[i].at;
        for (; i < flips.size() && flips[i].at == at; ++i) {
            for (const uint32_t row : *flips[i].rows) {
                maker->set(row, flips[i].in);
            }
        }
        const uint32_t c = maker->current_class();
        if (c != classes.back()) {
            classes.push_back(c);
            bounds.push_back(at);
        }
    }
    if (out->slice.slots == 1 && !bounds.empty() && bounds.back() < kMaxIndexSize) {
        out->kind = Dimension::kIndex;
        out->n_index = static_cast<uint32_t>(bounds.back());
        size_t position = 0;
        for (uint32_t v = 0; v <= out->n_index; ++v) {
            while (position < bounds.size() && bounds[position] <= v) {
                ++position;
            }
            out->classes.push_back(classes[position]);
        }
    } else {
        out->kind = Dimension::kSearch;
        out->bounds = std::move(bounds);
        out->classes = std::move(classes);
    }
}

using SliceKey = std::array<uint8_t, 4>;
SliceKey key_of(Slice s) {
    return {s.slot, s.shift, s.slots, s.bits};
}

}  // namespace

BitmapPlan plan_bitmap(const std::vector<TableRow>& rows) {
    std::map<SliceKey, std::vector<RowCond>> by_slice;
    for (size_t row = 0; row < rows.size(); ++row) {
        for (const TableCond& c : rows[row].conds) {
            by_slice[key_of(c.slice)].push_back({static_cast<uint32_t>(row), c.ranges, c.slice});
        }
    }
    BitmapPlan plan;
    plan.n_blocks = static_cast<uint32_t>((rows.size() + kBlockRows - 1) / kBlockRows);
    BlockPool pool(&plan.pool);
    for (auto at = by_slice.begin(); at != by_slice.end();) {
        const Slice first = at->second.front().slice;
        DimensionPlan d{};
        d.slice = first;
        std::vector<RowCond> conds = std::move(at->second);
        ++at;
        const bool small = first.slots == 1 && first.bits <= kWindowBits;
        unsigned end = first.shift + first.bits;
        for (auto next = at; small && next != by_slice.end();) {
            const Slice s = next->second.front().slice;
            if (s.slot != first.slot) {
                break;
            }
            if (s.slots == 1 && s.shift + s.bits <= first.shift + kWindowBits) {
                end = std::max(end, unsigned{s.shift} + s.bits);
                conds.insert(conds.end(), next->second.begin(), next->second.end());
                const bool is_next = next == at;
                next = by_slice.erase(next);
                at = is_next ? next : at;
            } else {
                ++next;
            }
        }
        d.slice.bits = static_cast<uint8_t>(end - first.shift);
        ClassMaker maker(rows.size(), plan.n_blocks, &pool, &d);
        if (small) {
            plan_window(conds, &maker, &d);
        } else {
            plan_ranges(conds, &maker, &d);
        }
        plan.dimensions.push_back(std::move(d));
    }
    return plan;
}

}  // namespace sluice
