// SPDX-License-Identifier: Apache-2.0
// Normalise: a match in raw form (annotate(), expr.h) to rows.
//
// An And of comparisons is one row, whatever the size of their sets; an Or gives rows, and those
// that differ in one slice only become one again, so `tcp.dst == 80 || tcp.dst == 443` is one row.
// A match that would still need more than kMaxRows is refused by name.
#pragma once

#include <vector>

#include "control/compile/bind.h"
#include "control/compile/expr.h"
#include "control/compile/ir.h"

namespace sluice::compile {

inline constexpr size_t kMaxRows = 4096;

/// Rows that together match what `raw` matches; none when nothing does.
lang::Parsed<std::vector<Row>> normalize(const lang::Expr& raw, Binder* binder);
/// The numbers a comparison's constants stand for; none of them has a mask that is no prefix.
lang::Parsed<ValueSetPtr> named_members(const lang::Compare& node, Binder* binder);

}  // namespace sluice::compile
