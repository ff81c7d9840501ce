// SPDX-License-Identifier: Apache-2.0
// Patch: a lowered table with a few rows changed, without looking at the others.
//
// Large tables are hashes: a VIP or a neighbour is a row under a key of its own. Such rows are put
// into the hash or taken from it (lib/program/table_patch.h) where the order of rows cannot matter:
// they stand between the same other rows as the hash, and no other row has their keys. The result
// looks up what lower() of all rows would; how it lies in memory depends on the way that led there.
// When half as many rows as there are were patched, the table is to be lowered as a whole again.
#pragma once

#include <vector>

#include "control/compile/lower.h"

namespace sluice::compile {

/// False: patch() would give null whatever changed.
bool is_patchable(const Lowered& from);
/// `gone` are rows of `from`, `come` those in their stead; rows in both stay as they are. Null when
/// the table has to be lowered as a whole.
LoweredPtr patch(const Lowered& from, std::vector<LiveRow> gone, std::vector<LiveRow> come,
                 uint32_t n_rows, uint64_t content_hash);

}  // namespace sluice::compile
