// SPDX-License-Identifier: Apache-2.0
#include "control/compile/compile_parse.h"

#include "lib/base/limits.h"

namespace sluice::compile {

ParsedFlow& ParsedFlows::get(PipelineSide side, uint8_t table, bool by_connection,
                             const std::string& match, const std::string& actions) {
    const lang::SymbolTable& symbols = lang::SymbolTable::of(dialect_, by_connection);
    std::string key;
    key.reserve(match.size() + actions.size() + 3);
    key += static_cast<char>(side | (by_connection ? 2 : 0));
    key += static_cast<char>(table);
    key += match;
    key += '\0';
    key += actions;
    auto& entry = flows_[std::move(key)];
    if (entry != nullptr) {
        entry->used = true;
        return *entry;
    }
    entry = std::make_unique<ParsedFlow>();
    lang::ActionContext context;
    context.pipeline = side == kIngress ? lang::Pipeline::kIngress : lang::Pipeline::kEgress;
    context.table = table;
    context.ingress_tables = limits::kMaxTables;
    context.egress_tables = limits::kMaxTables;
    std::vector<lang::Expr> prerequisites;
    auto parsed_actions = lang::parse_actions(actions, symbols, context);
    if (parsed_actions) {
        entry->actions = parsed_actions->list;
        prerequisites = parsed_actions->prerequisites;
    } else {
        entry->actions_error = parsed_actions.error();
    }
    const auto parsed_match = lang::parse_match(match, symbols);
    if (parsed_match) {
        entry->references =
            find_references(&*parsed_match, entry->actions ? &*entry->actions : nullptr);
        entry->match = lang::annotate_with(*parsed_match, prerequisites);
    } else {
        entry->references = find_references(nullptr, entry->actions ? &*entry->actions : nullptr);
        entry->match_error = parsed_match.error();
    }
    return *entry;
}

void ParsedFlows::forget_unused() {
    std::erase_if(flows_, [](auto& item) {
        const bool unused = !item.second->used;
        item.second->used = false;
        return unused;
    });
}

}  // namespace sluice::compile
