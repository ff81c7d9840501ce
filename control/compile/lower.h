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
#include <string>
#include <vector>

#include "control/compile/optimize.h"
#include "lib/program/table.h"

namespace sluice::compile {

/// `rows` refer to `flows`; never fails.
std::shared_ptr<const Table> lower(const std::vector<LiveRow>& rows,
                                   const std::vector<BoundFlow>& flows, uint64_t content_hash);

/// The table for places no flow can match: drops with no_match.
std::shared_ptr<const Table> no_match_table();

}  // namespace sluice::compile
