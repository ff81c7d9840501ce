// SPDX-License-Identifier: Apache-2.0
// Every flow that OVN 23.03 and 26.03 wrote parses, and prints to text that parses back.
#include "tests/unit/control/compile/language_corpus.h"

#include <catch2/catch.hpp>

#include "control/compile/expr.h"
#include "control/compile/print.h"

using namespace sluice::lang;

namespace {

void check_match(const std::string& text, const SymbolTable& symbols) {
    INFO(text);
    auto parsed = parse_match(text, symbols);
    if (!parsed) {
        FAIL(format_error("corpus", "match", text, parsed.error()));
    }
    const std::string printed = print(*parsed);
    INFO(printed);
    auto again = parse_match(printed, symbols);
    REQUIRE(again.ok());
    REQUIRE(equal(*parsed, *again));
    REQUIRE(is_raw(annotate(*parsed)));
}

void check_actions(const CorpusFlow& flow, const SymbolTable& symbols) {
    INFO(flow.actions);
    ActionContext context;
    context.pipeline = flow.pipeline;
    context.table = flow.table;
    auto parsed = parse_actions(flow.actions, symbols, context);
    if (!parsed) {
        FAIL(format_error("corpus", "actions", flow.actions, parsed.error()));
    }
    const std::string printed = print(parsed->list);
    INFO(printed);
    auto again = parse_actions(printed, symbols, context);
    REQUIRE(again.ok());
    REQUIRE(equal(parsed->list, again->list));
}

void check_corpus(const std::string& version, Dialect dialect, size_t at_least) {
    const auto flows = load_corpus(version);
    REQUIRE(flows.size() >= at_least);
    for (const CorpusFlow& flow : flows) {
        check_match(flow.match, SymbolTable::of(dialect));
        check_actions(flow, SymbolTable::of(dialect));
    }
}

}  // namespace

TEST_CASE("every flow of OVN 23.03 parses and prints") {
    check_corpus("23.03", Dialect::k2303, 900);
}

TEST_CASE("every flow of OVN 26.03 parses and prints") {
    check_corpus("26.03", Dialect::kMain, 1300);
}
