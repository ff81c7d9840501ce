// SPDX-License-Identifier: Apache-2.0
// Actions: text to ActionList.
//
// parse_actions() is OVN's action parser for both branches. An action that reads or writes a field
// needs the field's prerequisites, some kinds need a packet of a certain type (ip.ttl-- needs ip,
// tcp_reset needs tcp): these are collected, and the flow matches only where they hold
// (annotate_with(), expr.h). Those of a nested block stay inside it, as in OVN: the block's packet
// is another one. Names of DHCP options and events' options are kept as written; only form is
// checked.
#pragma once

#include <string_view>
#include <vector>

#include "control/compile/ast.h"
#include "control/compile/diagnostic.h"

namespace sluice::lang {

struct ActionContext {
    Pipeline pipeline = Pipeline::kIngress;
    unsigned table = 0;            ///< of the flow, within its pipeline
    unsigned ingress_tables = 64;  ///< next() must name a smaller one
    unsigned egress_tables = 64;
};

struct ParsedActions {
    ActionList list;
    std::vector<Expr> prerequisites;  ///< in raw form (annotate(), expr.h), without duplicates
};

Parsed<ParsedActions> parse_actions(std::string_view text, const SymbolTable& symbols,
                                    const ActionContext& context);

/// Structural equality, positions ignored.
bool equal(const ActionList& a, const ActionList& b);

}  // namespace sluice::lang
