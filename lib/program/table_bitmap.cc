// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
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

/// Bits of some rows, block by block.
using RowBits = std::vector<std::pair<uint32_t, Block>>;

/// Rows that are still in, as one class after the other is visited.
class ClassMaker {
public:
    ClassMaker(size_t n_rows, uint32_t n_blocks, BlockPool* pool, DimensionPlan* out)
        : n_rows_(n_rows),
          blocks_(n_blocks),
          ids_(n_blocks),
          stale_(n_blocks, true),
          pool_(pool),
          out_(out) {}

    void put_all_in() {
        for (size_t b = 0; b < blocks_.size(); ++b) {
            const size_t left = n_rows_ - b * kBlockRows;
            for (size_t w = 0; w < kBlockRows / 64; ++w) {
                const size_t bits = left > w * 64 ? std::min<size_t>(left - w * 64, 64) : 0;
                blocks_[b].bits[w] = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
            }
            stale_[b] = true;
        }
    }
    void take_out(const RowBits& rows) {
        change(rows, [](uint64_t word, uint64_t bits) { return word & ~bits; });
    }
    /// Those that are in go out, and the other way round.
    void turn_over(const RowBits& rows) {
        change(rows, [](uint64_t word, uint64_t bits) { return word ^ bits; });
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
    template <typename F>
    void change(const RowBits& rows, F&& f) {
        for (const auto& [block, bits] : rows) {
            for (unsigned w = 0; w < kBlockRows / 64; ++w) {
                blocks_[block].bits[w] = f(blocks_[block].bits[w], bits.bits[w]);
            }
            stale_[block] = true;
        }
    }

    size_t n_rows_;
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

/// Which sets a value is in, as a number: each set that it is in turns its own over.
using Membership = std::array<uint64_t, 2>;
struct MembershipHash {
    size_t operator()(const Membership& m) const { return m[0]; }
};

Membership number_of(uint64_t n) {
    Membership out;
    for (uint64_t& word : out) {
        n += 0x9e3779b97f4a7c15ull;
        uint64_t z = n;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        n = word = z ^ z >> 31;
    }
    return out;
}

/// The rows that have the very same condition.
struct SharedCond {
    const std::vector<ValueRange>* ranges;
    Slice slice;
    Membership number;
    RowBits rows;
};

std::vector<SharedCond> share(const std::vector<RowCond>& conds) {
    std::vector<SharedCond> out;
    std::unordered_multimap<const void*, size_t> known;
    for (const RowCond& c : conds) {
        auto [at, end] = known.equal_range(c.ranges);
        while (at != end && !(out[at->second].slice == c.slice)) {
            ++at;
        }
        if (at == end) {
            at = known.emplace(c.ranges, out.size());
            out.push_back({c.ranges, c.slice, number_of(out.size()), {}});
        }
        RowBits& rows = out[at->second].rows;
        if (rows.empty() || rows.back().first != c.row / kBlockRows) {
            rows.emplace_back(c.row / kBlockRows, Block{});
        }
        rows.back().second.bits[c.row % kBlockRows / 64] |= uint64_t{1} << c.row % 64;
    }
    return out;
}

/// Every value of a small window is tried on every condition.
void plan_window(const std::vector<RowCond>& conds, ClassMaker* maker, DimensionPlan* out) {
    const Slice window = out->slice;
    out->kind = Dimension::kIndex;
    out->n_index = (1u << window.bits) - 1;
    const std::vector<SharedCond> shared = share(conds);
    std::unordered_map<Membership, uint32_t, MembershipHash> class_of;
    std::vector<const SharedCond*> missed;
    for (uint32_t v = 0; v <= out->n_index; ++v) {
        Membership state{};
        missed.clear();
        for (const SharedCond& c : shared) {
            const uint32_t part = v >> (c.slice.shift - window.shift) & ((1u << c.slice.bits) - 1);
            if (contains(*c.ranges, part)) {
                state[0] ^= c.number[0];
                state[1] ^= c.number[1];
            } else {
                missed.push_back(&c);
            }
        }
        const auto [at, is_new] = class_of.try_emplace(state, 0);
        if (is_new) {
            maker->put_all_in();
            for (const SharedCond* c : missed) {
                maker->take_out(c->rows);
            }
            at->second = maker->current_class();
        }
        out->classes.push_back(at->second);
    }
}

/// Follows a value upwards. A row is in when its condition holds; each row has one of them.
class RangeSweep {
public:
    RangeSweep(const std::vector<SharedCond>& conds, ClassMaker* maker)
        : conds_(conds), maker_(*maker), is_turned_(conds.size()) {
        maker_.put_all_in();
        for (const SharedCond& c : conds) {
            maker_.take_out(c.rows);
        }
    }
    void turn(uint32_t cond) {
        state_[0] ^= conds_[cond].number[0];
        state_[1] ^= conds_[cond].number[1];
        if (!is_turned_[cond]) {
            turned_.push_back(cond);
        }
        is_turned_[cond] = !is_turned_[cond];
    }
    uint32_t current_class() {
        const auto [at, is_new] = class_of_.try_emplace(state_, 0);
        if (is_new) {
            for (const uint32_t cond : turned_) {
                if (is_turned_[cond]) {
                    maker_.turn_over(conds_[cond].rows);
                    is_turned_[cond] = false;
                }
            }
            turned_.clear();
            at->second = maker_.current_class();
        }
        return at->second;
    }

private:
    const std::vector<SharedCond>& conds_;
    ClassMaker& maker_;
    Membership state_{};
    std::unordered_map<Membership, uint32_t, MembershipHash> class_of_;
    std::vector<uint32_t> turned_;  ///< the maker has not heard of; some are back as they were
    std::vector<bool> is_turned_;
};

/// Boundary by boundary.
void plan_ranges(const std::vector<RowCond>& conds, ClassMaker* maker, DimensionPlan* out) {
    const std::vector<SharedCond> shared = share(conds);
    struct Flip {
        U128 at;
        uint32_t cond;
    };
    std::vector<Flip> flips;
    for (uint32_t i = 0; i < shared.size(); ++i) {
        for (const U128 bound : bounds_of(*shared[i].ranges, out->slice.bits)) {
            flips.push_back({bound, i});
        }
    }
    if (shared.size() > 1) {
        std::sort(flips.begin(), flips.end(),
                  [](const Flip& a, const Flip& b) { return a.at < b.at; });
    }
    RangeSweep sweep(shared, maker);
    std::vector<uint32_t> classes{sweep.current_class()};
    std::vector<U128> bounds;
    for (size_t i = 0; i < flips.size();) {
        const U128 at = flips[i].at;
        for (; i < flips.size() && flips[i].at == at; ++i) {
            sweep.turn(flips[i].cond);
        }
        const uint32_t c = sweep.current_class();
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
