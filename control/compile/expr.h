// SPDX-License-Identifier: Apache-2.0
// Matches: text to Expr, and Expr to its raw form.
//
// parse_match() is OVN's match parser: same grammar, same type rules, same refusals (ambiguous &&
// and
// ||, order tests on nominal fields, constants wider than their field ...). annotate() gives the
// form the compiler works on: negations pushed down to the comparisons, predicates replaced by what
// they stand for, each comparison AND'ed with its field's prerequisites, recursively. As in OVN the
// prerequisites stay positive under `!`: `!(tcp.dst == 80)` is "TCP to another port than 80".
// All functions are pure and may run on any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/compile/ast.h"
#include "control/compile/diagnostic.h"

namespace sluice::lang {

/// A whole Logical_Flow match.
Parsed<Expr> parse_match(std::string_view text, const SymbolTable& symbols);

/// Raw form of `expr`: Bool, Compare (of fields and subfields), IsResident, And and Or only.
/// An And or Or never directly holds its own kind nor two equal terms, and no Bool is left below
/// the root. One-bit comparisons have the form `== 0` or `== 1`.
Expr annotate(const Expr& expr);

/// annotate(`expr`) AND'ed with each of `prerequisites` (raw, from parse_actions()).
Expr annotate_with(const Expr& expr, const std::vector<Expr>& prerequisites);

/// The negation of a raw form, in raw form.
Expr negate(Expr expr);

/// Structural equality, positions ignored.
bool equal(const Expr& a, const Expr& b);

/// `text` with each ^NAME outside strings and comments that `variables` knows replaced by its
/// value, to be done before parsing: a value may be any text, also a list of backends.
std::string substitute_templates(std::string_view text,
                                 const std::map<std::string, std::string>& variables);

/// Names of all ^NAME in `text`, in order of appearance, without duplicates.
std::vector<std::string> template_names(std::string_view text);

}  // namespace sluice::lang
