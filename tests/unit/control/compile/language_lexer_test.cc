// SPDX-License-Identifier: Apache-2.0
// Tokens: their extent, their values and what is no token.
#include <catch2/catch.hpp>
#include <random>

#include "control/compile/expr.h"
#include "control/compile/lex.h"
#include "control/compile/lex_number.h"
#include "control/compile/lex_string.h"
#include "control/compile/print.h"

using namespace sluice::lang;

namespace {

/// The pieces of `text`, separated by spaces; `!` in front of what is no token.
std::string pieces(const std::string& text) {
    std::string out;
    for (uint32_t ofs = 0;;) {
        const Token token = next_token(text, ofs);
        if (token.type == Tok::kEnd) {
            return out;
        }
        out += out.empty() ? "" : " ";
        out += (token.type == Tok::kBad ? "!" : "") + text.substr(token.span.ofs, token.span.len);
        ofs = token.span.ofs + token.span.len;
    }
}

/// The constant in `text`, printed; or why there is none.
std::string number(const std::string& text) {
    const Token token = next_token(text, 0);
    if (token.type == Tok::kBad) {
        return token.error;
    }
    REQUIRE(token.is_number());
    CHECK(token.span.len == text.size());
    return print(Constant(Integer{token.value, token.mask, token.type == Tok::kMaskedInteger,
                                  token.format, token.span}));
}

}  // namespace

TEST_CASE("text splits into tokens") {
    const std::pair<const char*, const char*> cases[] = {
        {"foo bar _abcd_ a.b.c.d a123_.456", "foo bar _abcd_ a.b.c.d a123_.456"},
        {"a/*b*/c", "a c"},
        {"a//b c", "a"},
        {"a//b\nc", "a c"},
        {"a/**/b", "a b"},
        {"a/*/**/b", "a b"},
        {"(){}[]==!=<<=>>=!&&||..,;=<->--:",
         "( ) { } [ ] == != < <= > >= ! && || .. , ; = <-> -- :"},
        {"-> - <-", "- > - < -"},
        {"1.2.3.4:5", "1.2.3.4 : 5"},
        {"[12..15]", "[ 12 .. 15 ]"},
        {"$foo @bar.baz ^qux1", "$foo @bar.baz ^qux1"},
        {"ae:01:02:03:04:05 ae01", "ae:01:02:03:04:05 ae01"},
        {"fe80::1/64,fd00::2", "fe80::1/64 , fd00::2"},
        {"\"a b\\\"c\"x", "\"a b\\\"c\" x"},
        {"ip.ttl--;", "ip.ttl -- ;"},
        {"\"p1\":10.0.0.1:80", "\"p1\" : 10.0.0.1 : 80"},
    };
    for (const auto& [text, expected] : cases) {
        INFO(text);
        CHECK(pieces(text) == expected);
    }
    CHECK(next_token("a /* b", 1).error == "`/*' without matching `*/'.");
    CHECK(next_token("/", 0).error == "`/' is only valid as part of `//' or `/*'.");
    CHECK(next_token("$1", 0).error == "`$' must be followed by a valid identifier.");
    CHECK(next_token("\x01", 0).error == "Invalid byte 1 in input.");
    CHECK(next_token("#", 0).error == "Invalid character `#' in input.");
}

// The values are those of OVN's own lexer test.
TEST_CASE("numbers") {
    const std::pair<const char*, const char*> cases[] = {
        {"0", "0"},
        {"12345", "12345"},
        {"18446744073709551615", "18446744073709551615"},
        {"18446744073709551616", "Decimal constants must be less than 2**64."},
        {"01", "Decimal constants must not have leading zeros."},
        {"0/1", "0/1"},
        {"1/0", "0/0"},
        {"128/384", "128/384"},
        {"1/", "Integer constant expected."},
        {"1/0x123", "Value and mask have incompatible formats."},
        {"0x01234", "0x1234"},
        {"0XFEDCBA9876543210", "0xfedcba9876543210"},
        {"0xfedcba9876543210fedcba9876543210", "0xfedcba9876543210fedcba9876543210"},
        {"0x0000fedcba9876543210fedcba9876543210", "0xfedcba9876543210fedcba9876543210"},
        {"0x", "Hex digits expected following 0x."},
        {"0X", "Hex digits expected following 0X."},
        {"0x1/0x0", "0x0/0x0"},
        {"0xffff/0x1ffff", "0xffff/0x1ffff"},
        {"0x.", "Invalid syntax in hexadecimal constant."},
        {"255.255.255.255", "255.255.255.255"},
        {"256.1.2.3", "Invalid numeric constant."},
        {"192.168.0.0/255.255.255.0", "192.168.0.0/24"},
        {"192.168.0.0/255.255.0.255", "192.168.0.0/255.255.0.255"},
        {"192.168.0.0/255.0.0.0", "192.0.0.0/8"},
        {"192.168.0.2/30", "192.168.0.0/30"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"::", "::"},
        {"ff00::1234", "ff00::1234"},
        {"2001:0db8:85a3:0000:0000:8a2e:0370:7334", "2001:db8:85a3::8a2e:370:7334"},
        {"::ffff:192.0.2.128", "::ffff:192.0.2.128"},
        {"::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1/128"},
        {"::1/::1", "::1/::1"},
        {"ff00::/ff00::", "ff00::/8"},
        {"FE:DC:ba:98:76:54", "fe:dc:ba:98:76:54"},
        {"ff:ff:ff:ff:ff:ff/fe:ff:ff:ff:ff:ff", "fe:ff:ff:ff:ff:ff/fe:ff:ff:ff:ff:ff"},
        {"fe:x", "Invalid numeric constant."},
        {"00:01:02:03:04:x", "Invalid numeric constant."},
    };
    for (const auto& [text, expected] : cases) {
        INFO(text);
        CHECK(number(text) == expected);
    }
    CHECK(prefix_length(0, 32) == 0u);
    CHECK(prefix_length(0xffffff00, 32) == 24u);
    CHECK_FALSE(prefix_length(0xff00ff00, 32).has_value());
    CHECK(prefix_length(low_bits(128), 128) == 128u);
}

TEST_CASE("strings are JSON's") {
    CHECK(unescape("\"abc\\u0020def\"") == "abc def");
    CHECK(unescape(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
    CHECK(unescape("\"\\u00e4\\u20ac\\ud83d\\ude00\"") == "\u00e4\u20ac\U0001f600");
    CHECK(next_token("\"\\ud83d\"", 0).error == "Incomplete surrogate pair in string.");
    CHECK(next_token("\"\\u0000\"", 0).error == "Null bytes are not allowed in strings.");
    CHECK(next_token("\"a\nb\"", 0).error == "Control characters must be escaped in strings.");
    CHECK(next_token("\"open", 0).error == "Input ends inside quoted string.");
    CHECK(next_token("\"open\\\"", 0).error == "Input ends inside quoted string.");
    std::mt19937 random(7);
    for (unsigned i = 0; i < 2000; ++i) {
        std::string text(random() % 12, ' ');
        for (char& c : text) {
            c = static_cast<char>(1 + random() % 255);
        }
        const std::string quoted = quote(text);
        const Token token = next_token(quoted, 0);
        REQUIRE(token.type == Tok::kString);
        REQUIRE(token.span.len == quoted.size());
        REQUIRE(unescape(quoted) == text);
    }
}

TEST_CASE("matches print as they were meant") {
    const std::pair<const char*, const char*> cases[] = {
        {"eth.type==0x800", "eth.type == 0x800"},
        {"eth.type[0..15] == 0x800", "eth.type == 0x800"},
        {"!vlan.pcp", "!vlan.pcp"},
        {"!(vlan.pcp)", "!vlan.pcp"},
        {"0x4 < vlan.pcp", "vlan.pcp > 0x4"},
        {"4 >= vlan.pcp > 1", "vlan.pcp <= 4 && vlan.pcp > 1"},
        {"((ip4))", "ip4"},
        {"(ip4 && tcp) || udp", "(ip4 && tcp) || udp"},
        {"(ip4 && tcp) && udp", "(ip4 && tcp) && udp"},
        {"!(ip4.mcast || !eth.mcast)", "!(ip4.mcast || !eth.mcast)"},
        {"!(!eth.mcast)", "!(!eth.mcast)"},
        {"!(tcp.dst == 80)", "!(tcp.dst == 80)"},
        {"{1 2,3,} == tcp.dst", "tcp.dst == {1, 2, 3}"},
        {"ip4.src != {$a, 10.0.0.0/8, 1.2.3.4}", "ip4.src != {$a, 10.0.0.0/8, 1.2.3.4}"},
        {"inport == {@pg, \"x\"}", "inport == {@pg, \"x\"}"},
        {"ip4.dst == ^vip", "ip4.dst == ^vip"},
        {"tcp.dst < ^port", "tcp.dst < ^port"},
        {"!1", "!1"},
        {"!is_chassis_resident(\"p\")", "!is_chassis_resident(\"p\")"},
        {"ip4.src == ::1.2.3.4/::ffff:ffff", "ip4.src == ::1.2.3.4/::255.255.255.255"},
        {"reg0[0..3] == 255", "reg0[0..3] == 15"},
        {"!eth.type", "!eth.type"},
    };
    for (const auto& [text, expected] : cases) {
        INFO(text);
        auto parsed = parse_match(text, SymbolTable::of(Dialect::kMain));
        REQUIRE(parsed.ok());
        CHECK(print(*parsed) == expected);
        auto again = parse_match(print(*parsed), SymbolTable::of(Dialect::kMain));
        REQUIRE(again.ok());
        CHECK(equal(*parsed, *again));
    }
}
