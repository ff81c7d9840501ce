// SPDX-License-Identifier: Apache-2.0
// Malformed text is refused where a person would point (tests/data/lflows_malformed.txt).
#include <catch2/catch.hpp>
#include <fstream>

#include "control/compile/actions.h"
#include "control/compile/expr.h"

using namespace sluice::lang;

namespace {

/// The diagnostic for `text`, or one that says that there was none.
Diagnostic complaint(bool is_match, const std::string& text, Dialect dialect = Dialect::kMain) {
    const SymbolTable& table = SymbolTable::of(dialect);
    const Diagnostic none{"accepted", {0xffff, 0}};
    if (is_match) {
        auto parsed = parse_match(text, table);
        return parsed.ok() ? none : parsed.error();
    }
    auto parsed = parse_actions(text, table, {});
    return parsed.ok() ? none : parsed.error();
}

}  // namespace

TEST_CASE("malformed text is refused at the right place") {
    std::ifstream file(std::string(SLUICE_TEST_DATA) + "/lflows_malformed.txt");
    REQUIRE(file.is_open());
    unsigned count = 0;
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') {
            continue;
        }
        std::string text = line.substr(line.find(' ') + 1);
        const size_t mark = text.find('~');
        INFO(line);
        REQUIRE(mark != std::string::npos);
        text.erase(mark, 1);
        // "n" lines hold both; a match never ends in ';'.
        const bool is_match =
            line[0] == 'm' || (line[0] == 'n' && line.find(';') == std::string::npos);
        for (Dialect dialect : {Dialect::k2303, Dialect::kMain}) {
            const Diagnostic why = complaint(is_match, text, dialect);
            INFO(format_error("case", is_match ? "match" : "actions", text, why));
            CHECK_FALSE(why.message.empty());
            // Blank in front of the place, as a person may put the mark on either side of it.
            size_t column = mark;
            while (column < text.size() && text[column] == ' ') {
                ++column;
            }
            CHECK(why.span.ofs == column);
            CHECK(why.span.ofs + why.span.len <= text.size());
        }
        ++count;
    }
    CHECK(count >= 200);
}

TEST_CASE("messages say what OVN's say") {
    auto match = [](const char* text) { return complaint(true, text).message; };
    auto actions = [](const char* text) { return complaint(false, text).message; };
    CHECK(match("eth.type == xyzzy") == "Syntax error at `xyzzy' expecting constant.");
    CHECK(match("123") == "Syntax error at end of input expecting relational operator.");
    CHECK(match("eth.type[12..16] == 1") ==
          "Cannot select bits 12 to 16 of 16-bit field eth.type.");
    CHECK(match("ip4.src == ::1") ==
          "128-bit constant is not compatible with 32-bit field ip4.src.");
    CHECK(match("!ip") ==
          "Nominal predicate ip may only be tested positively, e.g. `ip' or `ip == 1' but not "
          "`!ip' or `ip == 0'.");
    CHECK(match("eth.type == 0x800 || eth.type == 0x86dd && ip.proto == 17") ==
          "&& and || must be parenthesized when used together.");
    CHECK(match("eth.type") ==
          "Explicit `!= 0' is required for inequality test of multibit field against 0.");
    CHECK(match("!0x800 != reg0") == "Missing parentheses around operand of !.");
    CHECK(actions("next(64);") == "\"next\" action cannot advance beyond table 63.");
    CHECK(actions("ip.proto = 6;") == "Field ip.proto is not modifiable.");
    CHECK(actions("reg0 = reg1[0..10];") == "Can't assign 11-bit value to 32-bit destination.");
    CHECK(actions("get_arp(inport, eth.dst);") ==
          "Cannot use 48-bit field eth.dst[0..47] where 32-bit field is required.");
}

TEST_CASE("next is held to the pipeline it leads to") {
    const SymbolTable& table = SymbolTable::of(Dialect::kMain);
    ActionContext context{Pipeline::kIngress, 28, 30, 11};
    CHECK(parse_actions("next;", table, context).ok());
    context.table = 29;
    CHECK_FALSE(parse_actions("next;", table, context).ok());
    CHECK(parse_actions("next(pipeline=egress,table=10);", table, context).ok());
    CHECK_FALSE(parse_actions("next(pipeline=egress,table=11);", table, context).ok());
}

TEST_CASE("blocks nest only so deep") {
    auto nested = [](unsigned depth) {
        std::string text = "next;";
        for (unsigned i = 0; i < depth; ++i) {
            text = "clone { " + text + " };";
        }
        return text;
    };
    CHECK(complaint(false, nested(31)).message == "accepted");
    CHECK(complaint(false, nested(32)).message == "Actions nested too deeply.");
    CHECK(complaint(false, nested(5000)).message == "Actions nested too deeply.");
}

TEST_CASE("errors are shown with a caret under the place") {
    const std::string text = "ip4 && eth.type[5!]";
    const Diagnostic why = complaint(true, text);
    CHECK(format_error("0a1b2c3d", "match", text, why) ==
          "Logical_Flow 0a1b2c3d: match column 18: Syntax error at `!' expecting `]'.\n"
          "  ip4 && eth.type[5!]\n"
          "                   ^");
    CHECK(format_error("u", "match", "ip4 &&", complaint(true, "ip4 &&")) ==
          "Logical_Flow u: match column 7: Syntax error at end of input expecting constant.\n"
          "  ip4 &&\n"
          "        ^");
    // Long text is cut, multibyte characters take one column, tabs do not move the caret.
    const std::string longer = std::string(200, ' ') + "inport == \"\u00e4\t\u00f6\" xx";
    const std::string shown = format_error("u", "match", longer, complaint(true, longer));
    const size_t first = shown.find('\n') + 1;
    const size_t second = shown.find('\n', first) + 1;
    const std::string line = shown.substr(first, second - first - 1);
    CHECK(line.starts_with("  ..."));
    CHECK(shown.substr(second).find('^') < line.size());
}
