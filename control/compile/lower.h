// SPDX-License-Identifier: Apache-2.0
// Lower: the rows of one logical table to the forms that fit them (lib/program/table.h).
//
// The rows are in priority order and stay so. Few rows are compared one by one. Otherwise an index
// is looked for: words that most rows pin to exact values (hash, or direct when the values are
// small and dense), or one field whose ranges tell most rows apart (lpm). An index is taken when
// every lookup ends in a short list; rows that do not pin it are repeated in the lists they can
// meet, rows before or after it become segments of their own. What is left, many rows over several
// dimensions, becomes bitmaps. Each segment says in words why it is what it is.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "control/compile/optimize.h"
#include "lib/program/table.h"
#include "lib/program/table_build.h"

namespace sluice::compile {

/// Where rows of a flow stand in a table: descending priority, ascending UUID.
struct Position {
    uint16_t priority = 0;
    Uuid uuid;
    static Position of(const LiveRow& row) { return {row.flow->priority, row.flow->uuid}; }
    bool is_before(const Position& other) const {
        return priority != other.priority ? priority > other.priority : uuid < other.uuid;
    }
};

/// A table, and what it takes to make another of it (lower_patch.h).
struct Lowered {
    std::shared_ptr<const Table> table;
    std::vector<std::string> lines;  ///< the description, a segment each
    /// The hash that holds most rows, when each of them has keys there.
    struct Hash {
        uint32_t segment = 0;
        std::vector<HashWord> words;
        std::shared_ptr<const std::set<std::vector<uint32_t>>> crowded;  ///< keys of several rows
        std::optional<Position> from;  ///< of the last row before those of the hash
        std::optional<Position> to;    ///< of the first after them
        // For the description.
        std::string words_text;
        size_t rows = 0;
        size_t longest = 0;
    };
    std::optional<Hash> hash;
    /// Of a patched table: owners of what it points at, and rows that were changed in all.
    std::vector<std::shared_ptr<const void>> owners;
    size_t patched_rows = 0;
};
using LoweredPtr = std::shared_ptr<const Lowered>;

/// Rows in priority order; never fails.
LoweredPtr lower(const std::vector<LiveRow>& rows, uint64_t content_hash);

// For lower_patch.cc too: lines of the description, conditions as the builder takes them.
std::string segment_line(Form form, size_t rows, const std::string& why);
std::string index_line(const std::string& words, size_t rows, size_t longest);
void put_conds(std::span<const LiveCond> conds, std::vector<TableCond>* out);

/// The table for places no flow can match: drops with no_match.
LoweredPtr no_match_table();

}  // namespace sluice::compile
