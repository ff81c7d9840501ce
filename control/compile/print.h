// SPDX-License-Identifier: Apache-2.0
// Syntax trees to text that parses back to an equal tree.
#pragma once

#include <string>

#include "control/compile/ast.h"

namespace sluice::lang {

std::string print(const Expr& expr);
std::string print(const ActionList& list);
std::string print(const Action& action);  ///< with its semicolon
std::string print(const FieldUse& field);
std::string print(const Constant& constant);
std::string print(const ConstantSet& set);

/// The name OVN gives the action's kind: "ct_lb_mark", "=" for Load and Move, "ip.ttl--" ...
const char* action_name(const Action& action);

}  // namespace sluice::lang
