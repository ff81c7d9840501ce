// SPDX-License-Identifier: Apache-2.0
// Search for an index over the rows of a table: what lower.cc chooses from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/compile/optimize.h"
#include "lib/program/table.h"

namespace sluice::compile {

/// A short list of rows for each value of an index.
struct IndexPlan {
    Form form = Form::kHash;
    size_t begin = 0;  ///< rows [begin, end) are in it
    size_t end = 0;
    // kHash and kDirect.
    std::vector<HashWord> words;
    std::vector<std::vector<uint32_t>> keys;  ///< one word list for each list
    std::vector<size_t> miss;                 ///< rows for keys that are not there
    std::vector<uint32_t> crowded;            ///< lists of keys that several rows have
    // kLpm.
    Slice slice{};
    FieldRef field;
    std::vector<U128> bounds;

    std::vector<std::vector<size_t>> lists;  ///< rows; kLpm: bounds.size() + 1 of them
    std::vector<std::vector<LiveCond>>
        residual;        ///< by row - begin: what the index leaves to check
    size_t indexed = 0;  ///< rows that the index tells apart
    size_t longest = 0;
    double mean = 0;

    std::string words_text() const;
};

/// The best index over rows [begin, end), if one keeps its lists short.
std::optional<IndexPlan> find_index(const std::vector<const LiveRow*>& rows, size_t begin,
                                    size_t end);

// The two kinds, for find_index().
/// Words that rows pin to one value: what every index over exact words starts from.
struct Pins {
    struct Pin {
        uint32_t slot;
        uint32_t mask;
        uint32_t value;  ///< 0 where there are several
    };
    struct Cond {
        uint32_t first_pin;  ///< in `pins`, up to that of the next condition
        bool is_pinned;      ///< to one of a few exact values, or to a prefix
        bool is_single;      ///< to one of them
    };
    std::vector<Pin> pins;
    std::vector<Cond> conds;         ///< of all rows, and one behind the last
    std::vector<uint32_t> first;     ///< condition of row - begin, and one behind the last
    std::vector<bool> has_multiple;  ///< a condition of the row has several exact values
};
Pins pins_of(const std::vector<const LiveRow*>& rows, size_t begin, size_t end);
std::vector<std::vector<HashWord>> hash_candidates(const Pins& pins);
std::optional<IndexPlan> try_hash(const Pins& pins, const std::vector<const LiveRow*>& rows,
                                  size_t begin, size_t end, const std::vector<HashWord>& words);
std::optional<IndexPlan> try_lpm(const std::vector<const LiveRow*>& rows, size_t begin, size_t end,
                                 const FieldRef& field);

/// Keys of one row in a hash over `words`, one behind the other, and what they leave to check.
/// False: it has none.
bool keys_of_row(const LiveRow& row, const std::vector<HashWord>& words,
                 std::vector<uint32_t>* keys, std::vector<LiveCond>* residual);

/// Gives up on indexes whose lists would repeat rows more often than this on average.
inline constexpr size_t kMaxRepeats = 8;
inline constexpr size_t kMaxList = 12;

}  // namespace sluice::compile
