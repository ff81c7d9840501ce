// SPDX-License-Identifier: Apache-2.0
// TableBuilder: lays a compiled table out in one block of memory.
//
// The compiler (control/compile/lower.h) chooses forms; this builder knows how each form lies in
// memory and nothing else. Rules and candidates are added first, segments in priority order after,
// finish() gives the immutable table. Everything is copied; nothing given has to outlive the call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/program/table.h"

namespace sluice {

struct ValueRange {
    U128 lo;
    U128 hi;  ///< inclusive
    bool operator==(const ValueRange&) const = default;
};

/// The slice's value lies in one of `ranges` (ascending, disjoint, not adjacent, not empty).
struct TableCond {
    Slice slice;
    const std::vector<ValueRange>* ranges;
};

/// A row as the bitmap form takes it.
struct TableRow {
    uint32_t rule;
    std::vector<TableCond> conds;
};

class TableBuilder {
public:
    TableBuilder();

    /// kSelect instructions name their group by `f`, an index into `selects`.
    uint32_t add_rule(const std::vector<Instr>& code,
                      const std::vector<std::vector<SelectGroup::Entry>>& selects, uint32_t flow);
    /// What instructions of the rules point at lives as long as the table.
    void keep(const std::vector<std::shared_ptr<const void>>& owners) {
        keep_.insert(keep_.end(), owners.begin(), owners.end());
    }
    /// A candidate with the conditions left to check on it.
    uint32_t add_candidate(uint32_t rule, uint32_t row, const std::vector<TableCond>& conds);
    /// Candidates in priority order; equal lists are stored once.
    uint32_t add_list(const std::vector<uint32_t>& candidates);

    void add_const(uint32_t rule);
    void add_linear(uint32_t list);
    /// `keys` has words.size() numbers for each of `lists`; keys must be distinct.
    void add_hash(const std::vector<HashWord>& words, const std::vector<uint32_t>& keys,
                  const std::vector<uint32_t>& lists, uint32_t miss);
    /// lists.size() == bounds.size() + 1, bounds ascending.
    void add_lpm(Slice slice, const std::vector<U128>& bounds, const std::vector<uint32_t>& lists);
    /// lists[i] for number i, the last one for larger numbers.
    void add_direct(HashWord word, unsigned shift, const std::vector<uint32_t>& lists);
    /// False, and nothing added, when the rows need more than kMaxDimensions dimensions.
    bool add_bitmap(const std::vector<TableRow>& rows);

    std::shared_ptr<const Table> finish(const std::string& description, uint32_t n_rows,
                                        uint64_t content_hash);
    /// The lists alone, by their numbers, as table_patch.h puts them into a table that is there.
    /// The first is their owner. Null when they refer to sets, which a table numbers.
    std::pair<std::shared_ptr<const void>, std::vector<List>> finish_lists();

private:
    std::byte* put_in_place();
    size_t put(const void* data, size_t size, size_t align);
    template <typename T>
    size_t put_all(const std::vector<T>& items) {
        return put(items.data(), items.size() * sizeof(T), alignof(T));
    }
    size_t put_bounds(Slice slice, const std::vector<U128>& bounds);
    void point(size_t at, size_t target) { relocations_.push_back({at, target}); }
    size_t new_segment(Form form, uint32_t rows);
    size_t put_lists(const std::vector<uint32_t>& lists);
    void put_test(std::vector<Test>* tests, const TableCond& cond);

    struct Relocation {
        size_t at;      ///< of a pointer
        size_t target;  ///< what it points to
    };
    struct PendingCandidate {
        uint32_t rule;
        uint32_t row;
        uint32_t n_tests;
        size_t tests;
    };
    struct PendingList {
        size_t first;
        uint32_t count;
        uint32_t candidates;  ///< where they are in list_candidates_
    };
    struct PendingSegment {
        Segment segment;
        std::vector<Relocation> pointers;  ///< `at` relative to the segment
    };
    std::vector<std::byte> bytes_;
    std::vector<Relocation> relocations_;
    std::vector<size_t> rules_;
    std::vector<std::shared_ptr<const void>> keep_;
    std::vector<PendingCandidate> candidates_;
    std::vector<PendingList> lists_;
    std::vector<uint32_t> list_candidates_;
    std::unordered_multimap<uint64_t, uint32_t> list_of_;  ///< by hash of the candidates
    std::vector<PendingSegment> segments_;
    std::vector<RangeSet> sets_;
    std::vector<size_t> set_bounds_;
    std::map<std::pair<const void*, uint32_t>, uint32_t> set_of_;
};

/// Membership flips of `ranges`; a flip past the largest number of the slice is left out.
std::vector<U128> bounds_of(const std::vector<ValueRange>& ranges, unsigned bits);
/// True with value and mask set when `ranges` is one block value/mask with a mask of leading ones.
bool prefix_of(const std::vector<ValueRange>& ranges, unsigned bits, U128* value, U128* mask);

/// What add_bitmap() stores for one dimension; in its own file since it is the long part.
struct DimensionPlan {
    Dimension::Kind kind;
    Slice slice;
    std::vector<U128> bounds;         ///< kSearch
    uint32_t n_index = 0;             ///< kIndex
    std::vector<uint32_t> classes;    ///< position -> class
    std::vector<uint32_t> block_ids;  ///< class * n_blocks + block
};
struct BitmapPlan {
    std::vector<DimensionPlan> dimensions;
    std::vector<Block> pool;
    uint32_t n_blocks = 0;
};
BitmapPlan plan_bitmap(const std::vector<TableRow>& rows);

}  // namespace sluice
