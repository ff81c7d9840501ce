// SPDX-License-Identifier: Apache-2.0
#include "control/compile/compile_parse.h"

#include <algorithm>
#include <functional>

#include "lib/base/limits.h"

namespace sluice::compile {

namespace {

uint64_t hash_of(const Flow& flow, const std::string& match, const std::string& actions) {
    const std::hash<std::string_view> hash;
    uint64_t h = hash(match) * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 29 ^ hash(actions)) * 0xbf58476d1ce4e5b9ull;
    return h ^ (static_cast<uint64_t>(flow.side) << 9 | flow.table << 1 | flow.by_connection);
}

void add_template_names(const std::string& text, std::vector<std::string>* names) {
    if (text.find('^') != std::string::npos) {
        for (std::string& name : lang::template_names(text)) {
            names->push_back(std::move(name));
        }
    }
}

bool is_empty(const References& r) {
    return r.address_sets.empty() && r.port_groups.empty() && r.ports.empty() &&
           r.resident_ports.empty() && r.template_vars.empty();
}

struct Parse {
    ParsedFlow::Trees trees;
    ParsedFlow::Errors errors;
    References references;
};

Parse parse_texts(const ParsedFlow& of) {
    const lang::SymbolTable& symbols = lang::SymbolTable::of(of.dialect, of.by_connection);
    lang::ActionContext context;
    context.pipeline = of.side == kIngress ? lang::Pipeline::kIngress : lang::Pipeline::kEgress;
    context.table = of.table;
    context.ingress_tables = limits::kMaxTables;
    context.egress_tables = limits::kMaxTables;
    Parse out;
    std::vector<lang::Expr> prerequisites;
    auto actions = lang::parse_actions(*of.actions_text, symbols, context);
    if (actions) {
        lang::ParsedActions parsed = *std::move(actions);
        out.trees.actions = std::move(parsed.list);
        prerequisites = std::move(parsed.prerequisites);
    } else {
        out.errors.actions = actions.error();
    }
    const lang::ActionList* list = out.trees.actions ? &*out.trees.actions : nullptr;
    const auto match = lang::parse_match(*of.match_text, symbols);
    if (match) {
        out.references = find_references(&*match, list);
        out.trees.match = lang::annotate_with(*match, prerequisites);
    } else {
        out.references = find_references(nullptr, list);
        out.errors.match = match.error();
    }
    return out;
}

}  // namespace

const std::shared_ptr<ParsedFlow>& ParsedFlows::of(const Flow& flow) {
    if (!flow.parsed || flow.parsed->dialect != dialect_) {
        flow.parsed = get(flow, flow.match, flow.actions);
    }
    return flow.parsed;
}

std::shared_ptr<ParsedFlow> ParsedFlows::get(const Flow& flow, Text match, Text actions) {
    const uint64_t hash = hash_of(flow, *match, *actions);
    const auto [first, last] = flows_.equal_range(hash);
    for (auto it = first; it != last; ++it) {
        std::shared_ptr<ParsedFlow> known = it->second.lock();
        if (known && known->side == flow.side && known->table == flow.table &&
            known->by_connection == flow.by_connection && *known->match_text == *match &&
            *known->actions_text == *actions) {
            return known;
        }
    }
    auto made = parse(flow, std::move(match), std::move(actions));
    flows_.emplace(hash, made);
    if (flows_.size() >= sweep_at_) {
        forget_unused();
        sweep_at_ = std::max<size_t>(2 * flows_.size(), 4096);
    }
    return made;
}

std::shared_ptr<ParsedFlow> ParsedFlows::parse(const Flow& flow, Text match, Text actions) const {
    auto out = std::make_shared<ParsedFlow>();
    out->dialect = dialect_;
    out->side = flow.side;
    out->table = flow.table;
    out->by_connection = flow.by_connection;
    out->match_text = std::move(match);
    out->actions_text = std::move(actions);
    Parse parsed = parse_texts(*out);
    std::vector<std::string>& templates = parsed.references.template_vars;
    add_template_names(*out->match_text, &templates);
    add_template_names(*out->actions_text, &templates);
    std::sort(templates.begin(), templates.end());
    templates.erase(std::unique(templates.begin(), templates.end()), templates.end());
    out->trees = std::make_unique<ParsedFlow::Trees>(std::move(parsed.trees));
    if (parsed.errors.match || parsed.errors.actions) {
        out->errors = std::make_unique<const ParsedFlow::Errors>(std::move(parsed.errors));
    }
    if (!is_empty(parsed.references)) {
        out->references = std::make_unique<const References>(std::move(parsed.references));
    }
    return out;
}

ParsedFlow::Trees ParsedFlows::trees_of(const ParsedFlow& flow) {
    return parse_texts(flow).trees;
}

void ParsedFlows::forget_unused() {
    std::erase_if(flows_, [](const auto& item) { return item.second.expired(); });
}

}  // namespace sluice::compile
