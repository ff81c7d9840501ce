// SPDX-License-Identifier: Apache-2.0
// libFuzzer target for the match and action language:
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/lex_fuzz.cc \
//     control/compile/{lex,expr,actions,print,symbols,diagnostic}*.cc -lfmt -o lex_fuzz
// The first byte picks match or actions and the branch of OVN. What parses must print to text that
// parses back to an equal tree, and an error must lie inside the text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "control/compile/actions.h"
#include "control/compile/expr.h"
#include "control/compile/print.h"

namespace {

using namespace sluice::lang;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_place(const Diagnostic& why, const std::string& text) {
    require(why.span.ofs <= text.size() && why.span.len <= text.size() - why.span.ofs);
    require(!format_error("fuzz", "text", text, why).empty());
}

void try_match(const std::string& text, const SymbolTable& symbols) {
    auto parsed = parse_match(text, symbols);
    if (!parsed) {
        check_place(parsed.error(), text);
        return;
    }
    auto again = parse_match(print(*parsed), symbols);
    require(again.ok() && equal(*parsed, *again));
    require(equal(negate(negate(annotate(*parsed))), annotate(*parsed)));
}

void try_actions(const std::string& text, const SymbolTable& symbols) {
    auto parsed = parse_actions(text, symbols, {});
    if (!parsed) {
        check_place(parsed.error(), text);
        return;
    }
    auto again = parse_actions(print(parsed->list), symbols, {});
    require(again.ok() && equal(parsed->list, again->list));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const SymbolTable& symbols =
        SymbolTable::of((data[0] & 2) != 0 ? Dialect::kMain : Dialect::k2303);
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if ((data[0] & 1) != 0) {
        try_actions(text, symbols);
    } else {
        try_match(text, symbols);
    }
    return 0;
}
