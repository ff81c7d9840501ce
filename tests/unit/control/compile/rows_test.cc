// SPDX-License-Identifier: Apache-2.0
// Matches to rows: how many, and which.
#include <catch2/catch.hpp>

#include "control/compile/normalize.h"
#include "control/compile/optimize.h"

using namespace sluice;
using namespace sluice::compile;

namespace {

class FewNames final : public Names {
public:
    std::optional<uint32_t> port_key(std::string_view name) const override {
        if (name == "a" || name == "b" || name == "c") {
            return static_cast<uint32_t>(name[0] - 'a' + 1);
        }
        return std::nullopt;
    }
    const std::vector<std::string>* address_set(std::string_view name) const override {
        static const std::vector<std::string> as = {"10.0.0.1", "10.0.0.2", "10.1.0.0/16"};
        static const std::vector<std::string> none;
        static const std::vector<std::string> wide = {"fd00::1"};
        static const std::vector<std::string> bad = {"10.0.0.1", "what"};
        return name == "as"     ? &as
               : name == "none" ? &none
               : name == "wide" ? &wide
               : name == "bad"  ? &bad
                                : nullptr;
    }
    const std::vector<std::string>* port_group(std::string_view name) const override {
        static const std::vector<std::string> pg = {"a", "c", "elsewhere"};
        return name == "pg" ? &pg : nullptr;
    }
    bool is_chassis_resident(std::string_view port) const override { return port == "a"; }
    const std::string* template_var(std::string_view) const override { return nullptr; }
    bool inport_possible(uint32_t) const override { return true; }
};

lang::Parsed<std::vector<Row>> rows_of(const std::string& text) {
    static const FewNames names;
    static AddressSetCache sets;
    Binder binder(&names, &sets);
    const auto parsed = lang::parse_match(text, lang::SymbolTable::of(lang::Dialect::k2303));
    REQUIRE(parsed.ok());
    return normalize(lang::annotate(*parsed), &binder);
}

std::string text_of(const std::string& match) {
    const auto rows = rows_of(match);
    REQUIRE(rows.ok());
    std::string out;
    for (const Row& row : *rows) {
        out += (out.empty() ? "" : " | ") + print(row);
    }
    return out.empty() ? "0" : out;
}

}  // namespace

TEST_CASE("A typical ACL stays one row") {
    const auto rows = rows_of("inport == @pg && ip4.src == $as && tcp.dst >= 80 && tcp.dst <= 90");
    REQUIRE(rows.ok());
    REQUIRE(rows->size() == 1);
    CHECK(print(rows->front()) ==
          "inport in {0x1, 0x3} && eth.type in 0x800 && ip.proto in 0x6 && "
          "ip4.src in {0xa000001..0xa000002, 0xa010000..0xa01ffff} && l4.dst in 0x50..0x5a");
}

TEST_CASE("Negations are exact and stay one row") {
    CHECK(text_of("ip4.src != {10.0.0.1, 10.0.0.2}") ==
          "eth.type in 0x800 && ip4.src in {0x0..0xa000000, 0xa000003..0xffffffff}");
    CHECK(text_of("ip4 && ip4.src != $none") == "eth.type in 0x800");
    CHECK(text_of("ip4.src == $none") == "0");
    CHECK(text_of("!ct.est") == "ct_state[1..1] in 0x0 && ct_state[5..5] in 0x1");
    CHECK(text_of("ip4.dst != 10.0.0.0/8") ==
          "eth.type in 0x800 && ip4.dst in {0x0..0x9ffffff, 0xb000000..0xffffffff}");
}

TEST_CASE("Alternatives on one field are one row") {
    CHECK(text_of("tcp.dst == 80 || tcp.dst == 81 || tcp.dst == 443") ==
          "eth.type in {0x800, 0x86dd} && ip.proto in 0x6 && l4.dst in {0x50..0x51, 0x1bb}");
    CHECK(text_of("ip") == "eth.type in {0x800, 0x86dd}");
    CHECK(text_of("inport == \"a\" || inport == \"b\"") == "inport in 0x1..0x2");
    CHECK(text_of("reg0[0] == 0 || reg0[0] == 1") == "1");
}

TEST_CASE("Contradictions vanish, narrow slices fold into wide ones") {
    CHECK(text_of("tcp && udp") == "0");
    CHECK(text_of("eth.mcast && eth.dst == 40:44:00:00:00:01") == "0");
    CHECK(text_of("eth.dst == ff:ff:ff:ff:ff:ff && eth.mcast") == "eth.dst in 0xffffffffffff");
    CHECK(text_of("ip4.mcast && ip4.dst == 224.0.0.1 && eth.mcast") ==
          "eth.dst[40..40] in 0x1 && eth.type in 0x800 && ip4.dst in 0xe0000001");
    CHECK(text_of("reg0[24..31] == 5 && reg0[8..31] < 0x600") == "0");
    // The low bits of a range cannot be folded: both conditions stay.
    CHECK(text_of("reg0[8..15] == 5 && reg0[8..31] < 0x600") ==
          "xxreg0[104..111] in 0x5 && xxreg0[104..127] in 0x0..0x5ff");
}

TEST_CASE("Masks that are no prefix become slices") {
    CHECK(text_of("reg0 == 0x10001/0x10001") == "xxreg0[96..96] in 0x1 && xxreg0[112..112] in 0x1");
    CHECK(text_of("reg0 != 0x10001/0x10001") == "xxreg0[96..96] in 0x0 | xxreg0[112..112] in 0x0");
}

TEST_CASE("Names: residence, unknown ports, sets and groups") {
    CHECK(text_of("is_chassis_resident(\"a\")") == "1");
    CHECK(text_of("is_chassis_resident(\"b\")") == "0");
    CHECK(text_of("!is_chassis_resident(\"b\")") == "1");
    CHECK(text_of("inport == \"nobody\"") == "0");
    CHECK(text_of("inport == {\"a\", \"nobody\"}") == "inport in 0x1");
    for (const char* match :
         {"ip4.src == $missing", "inport == @missing", "ip4.src == $wide", "ip4.src == $bad"}) {
        INFO(match);
        const auto rows = rows_of(match);
        REQUIRE_FALSE(rows.ok());
        CHECK(rows.error().span.len != 0);
    }
    CHECK(rows_of("ip4.src == $missing").error().message.find("unknown address set $missing") == 0);
}

TEST_CASE("Too many rows are refused") {
    std::string match = "1";
    for (int i = 0; i < 8; ++i) {
        match += " && (";
        for (int j = 0; j < 8; ++j) {
            match += (j != 0 ? " || " : "") + std::string("(reg") + std::to_string(i) + "[" +
                     std::to_string(j) + "] == 1 && reg9[" + std::to_string(i) +
                     "] == 1 && xreg4[" + std::to_string(40 + i) + "] == " + std::to_string(j % 2) +
                     ")";
        }
        match += ")";
    }
    const auto rows = rows_of(match);
    REQUIRE_FALSE(rows.ok());
    CHECK(rows.error().message.find("more than 4096 rows") != std::string::npos);
}

TEST_CASE("Known bits and ranges: possible() tries like one who counts") {
    // All masks and patterns of 5 bits against sets of one or two ranges.
    for (unsigned lo = 0; lo < 32; ++lo) {
        for (unsigned hi = lo; hi < 32; hi += 3) {
            const ValueSet set({{lo, hi}, {30, 30}});
            for (unsigned known = 0; known < 32; ++known) {
                const unsigned bits = (lo * 7 + hi * 5) & known;
                bool expected = false;
                for (unsigned v = 0; v < 32; ++v) {
                    const bool in = (v >= lo && v <= hi) || v == 30;
                    expected = expected || (in && (v & known) == bits);
                }
                // Above the five bits nothing is set.
                const U128 above = ~U128{31};
                INFO(lo << ".." << hi << " known " << known << " bits " << bits);
                REQUIRE(possible(set, above | known, bits) == expected);
            }
        }
    }
}

TEST_CASE("Value sets behave like sets") {
    const auto members = [](const ValueSet& set) {
        uint32_t out = 0;
        for (unsigned v = 0; v < 16; ++v) {
            out |= set.contains(v) ? 1u << v : 0;
        }
        return out;
    };
    const auto of = [](uint32_t bits) {
        std::vector<ValueRange> ranges;
        for (unsigned v = 0; v < 16; ++v) {
            if (bits >> v & 1) {
                ranges.push_back({v, v});
            }
        }
        return ValueSet(std::move(ranges));
    };
    for (uint32_t a = 1; a < 65536; a = a * 3 + 7) {
        CHECK(members(of(a)) == a);
        CHECK(members(of(a).complement(4)) == (~a & 0xffff));
        for (uint32_t b = 5; b < 65536; b = b * 5 + 3) {
            CHECK(members(of(a).unite(of(b))) == (a | b));
            CHECK(members(of(a).intersect(of(b))) == (a & b));
            CHECK((of(a) == of(b)) == (a == b));
        }
    }
    const ValueSet top({{~U128{0}, ~U128{0}}});
    CHECK(top.complement(128).contains(~U128{0} - 1));
    CHECK_FALSE(top.complement(128).contains(~U128{0}));
    CHECK(ValueSet::all(128).complement(128).empty());
    CHECK(ValueSet().complement(128).is_all(128));
}
