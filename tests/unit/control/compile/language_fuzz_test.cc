// SPDX-License-Identifier: Apache-2.0
// Damaged flows: the parser neither crashes nor points outside the text, and what it takes still
// prints to text that parses back. Seeded, so every run does the same.
#include <catch2/catch.hpp>
#include <random>

#include "control/compile/expr.h"
#include "control/compile/print.h"
#include "tests/unit/control/compile/language_corpus.h"

using namespace sluice::lang;

namespace {

constexpr unsigned kMutations = 20000;

constexpr const char* kPieces[] = {
    "&&",        "||",
    "!",         "(",
    ")",         "{",
    "}",         "[",
    "]",         "==",
    "!=",        "<=",
    "<",         ">",
    "..",        ",",
    ";",         "=",
    "<->",       "--",
    "-",         ":",
    "\"",        "\\",
    "$",         "@",
    "^",         "/",
    "/*",        "*/",
    "//",        "0",
    "0x",        "1/",
    "fe80::",    "10.0.0.1",
    "ip",        "ip4",
    "reg0",      "xxreg1[0..127]",
    "inport",    "next",
    "clone",     "arp",
    "ct_commit", "select",
    "drop;",     "\x01",
    "\xff",      "18446744073709551616",
    "[0]",       "[1..0]",
    "() ;",      "is_chassis_resident(",
};

std::string damaged(std::string text, std::mt19937& random) {
    for (unsigned i = 0; i <= random() % 3; ++i) {
        const size_t at = text.empty() ? 0 : random() % text.size();
        switch (random() % 5) {
        case 0: text.erase(at, 1 + random() % 8); break;
        case 1: text.insert(at, kPieces[random() % std::size(kPieces)]); break;
        case 2:
            if (!text.empty()) {
                text[at] = static_cast<char>(random() % 256);
            }
            break;
        case 3: text.resize(at); break;
        default: text.insert(at, text.substr(random() % (text.size() + 1), random() % 20)); break;
        }
    }
    return text;
}

void check_place(const Diagnostic& why, const std::string& text) {
    REQUIRE_FALSE(why.message.empty());
    REQUIRE(why.span.ofs <= text.size());
    REQUIRE(why.span.len <= text.size() - why.span.ofs);
    REQUIRE_FALSE(format_error("fuzz", "text", text, why).empty());
}

void check_match(const std::string& text, const SymbolTable& symbols, unsigned& taken) {
    auto parsed = parse_match(text, symbols);
    if (!parsed) {
        check_place(parsed.error(), text);
        return;
    }
    ++taken;
    auto again = parse_match(print(*parsed), symbols);
    INFO(print(*parsed));
    REQUIRE(again.ok());
    REQUIRE(equal(*parsed, *again));
    REQUIRE(is_raw(annotate(*parsed)));
}

void check_actions(const std::string& text, const SymbolTable& symbols, unsigned& taken) {
    auto parsed = parse_actions(text, symbols, {});
    if (!parsed) {
        check_place(parsed.error(), text);
        return;
    }
    ++taken;
    auto again = parse_actions(print(parsed->list), symbols, {});
    INFO(print(parsed->list));
    REQUIRE(again.ok());
    REQUIRE(equal(parsed->list, again->list));
}

}  // namespace

TEST_CASE("damaged flows are refused or taken, never a crash") {
    std::vector<CorpusFlow> flows = load_corpus("23.03");
    const std::vector<CorpusFlow> newer = load_corpus("26.03");
    flows.insert(flows.end(), newer.begin(), newer.end());
    const SymbolTable& symbols = SymbolTable::of(Dialect::kMain);
    std::mt19937 random(42);
    unsigned taken_matches = 0;
    unsigned taken_actions = 0;
    for (unsigned i = 0; i < kMutations; ++i) {
        const CorpusFlow& flow = flows[random() % flows.size()];
        const std::string text = damaged(i % 2 == 0 ? flow.match : flow.actions, random);
        INFO(text);
        if (i % 2 == 0) {
            check_match(text, symbols, taken_matches);
        } else {
            check_actions(text, symbols, taken_actions);
        }
    }
    // Enough survives to exercise what comes after the parser.
    CHECK(taken_matches > kMutations / 100);
    CHECK(taken_actions > kMutations / 100);
}
