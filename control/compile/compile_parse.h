// SPDX-License-Identifier: Apache-2.0
// Parsed flows: one for each distinct text at its place, kept as long as some flow uses it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/compile/actions.h"
#include "control/compile/compile.h"
#include "control/compile/expr.h"
#include "control/compile/ir.h"

namespace sluice::compile {

struct ParsedFlow {
    std::optional<lang::Expr> match;  ///< raw, prerequisites of the actions included
    std::optional<lang::ActionList> actions;
    std::optional<lang::Diagnostic> match_error;
    std::optional<lang::Diagnostic> actions_error;
    References references;
    // Set once known not to depend on names: good in every datapath.
    std::shared_ptr<const std::vector<Row>> rows;
    CodePtr code;
    bool used = true;  ///< since the last forget_unused()
};

class ParsedFlows {
public:
    explicit ParsedFlows(lang::Dialect dialect) : dialect_(dialect) {}

    /// Texts without templates.
    ParsedFlow& get(PipelineSide side, uint8_t table, bool by_connection, const std::string& match,
                    const std::string& actions);
    void forget_unused();
    size_t size() const { return flows_.size(); }

private:
    lang::Dialect dialect_;
    std::unordered_map<std::string, std::unique_ptr<ParsedFlow>> flows_;
};

/// Names in a match and in actions, sorted, each once.
References find_references(const lang::Expr* match, const lang::ActionList* actions);

}  // namespace sluice::compile
