// SPDX-License-Identifier: Apache-2.0
// Fields and constants: the operands that matches and actions share.
#pragma once

#include <optional>

#include "control/compile/ast.h"
#include "control/compile/lex.h"

namespace sluice::lang {

/// `name`, `name[bit]`, `name[low..high]`.
std::optional<FieldUse> parse_field(Cursor& cursor, const SymbolTable& symbols);

/// One constant of any type.
std::optional<Constant> parse_constant(Cursor& cursor);

/// A constant, or a `{...}` set of constants of one type.
std::optional<ConstantSet> parse_constant_set(Cursor& cursor);

/// Whether `set` goes with `field`: strings with strings, numbers no wider than the field. Cuts
/// values and masks to the bits that `field` selects. Reports what does not fit.
bool check_constants(Cursor& cursor, const FieldUse& field, ConstantSet& set);
bool check_constant(Cursor& cursor, const FieldUse& field, Constant& constant);

Span span_of(const Constant& constant);

}  // namespace sluice::lang
