// SPDX-License-Identifier: Apache-2.0
// Parsed flows: one for each distinct text at its place, kept as long as some flow uses it.
//
// A flow that names nothing is worth its rows and its code, once they are made, and the trees go:
// with many flows the trees would be most of the memory. Who wants to see them parses again.
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
#include "control/compile/row_template.h"

namespace sluice::compile {

using Text = std::shared_ptr<const std::string>;

struct ParsedFlow {
    // What it is of.
    lang::Dialect dialect;
    PipelineSide side;
    uint8_t table;
    bool by_connection;
    Text match_text;
    Text actions_text;

    /// Trees; null once rows and code stand for them.
    struct Trees {
        std::optional<lang::Expr> match;  ///< raw, prerequisites of the actions included
        std::optional<lang::ActionList> actions;
    };
    std::unique_ptr<Trees> trees;
    struct Errors {
        std::optional<lang::Diagnostic> match;
        std::optional<lang::Diagnostic> actions;
    };
    std::unique_ptr<const Errors> errors;          ///< null: none
    std::unique_ptr<const References> references;  ///< null: it names nothing
    // Set once known not to depend on names: good in every datapath.
    std::shared_ptr<const std::vector<Row>> rows;
    CodePtr code;
    std::unique_ptr<const RowTemplate> row_template;  ///< null: none
    bool is_template_tried = false;
    std::shared_ptr<ParsedFlow> substituted;  ///< with the template variables of the last time
};

class ParsedFlows {
public:
    explicit ParsedFlows(lang::Dialect dialect) : dialect_(dialect) {}

    /// Of the flow's own texts; kept in the flow.
    const std::shared_ptr<ParsedFlow>& of(const Flow& flow);
    /// Of texts with template variables put in.
    std::shared_ptr<ParsedFlow> get(const Flow& flow, Text match, Text actions);
    /// The trees of what was parsed before.
    static ParsedFlow::Trees trees_of(const ParsedFlow& flow);

private:
    std::shared_ptr<ParsedFlow> parse(const Flow& flow, Text match, Text actions) const;
    void forget_unused();

    lang::Dialect dialect_;
    std::unordered_multimap<uint64_t, std::weak_ptr<ParsedFlow>> flows_;  ///< by hash of the texts
    size_t sweep_at_ = 4096;
};

/// Names in a match and in actions, sorted, each once.
References find_references(const lang::Expr* match, const lang::ActionList* actions);

}  // namespace sluice::compile
