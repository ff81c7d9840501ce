// SPDX-License-Identifier: Apache-2.0
#include "lib/json/json.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "lib/json/writer.h"

namespace json = sluice::json;

namespace {

json::Document parse(const std::string& text) {
    auto document = json::Document::parse(text);
    INFO(text);
    REQUIRE(document.ok());
    return *document;
}

}  // namespace

TEST_CASE("values of every type are read") {
    const auto d =
        parse(R"( {"n":null,"t":true,"f":false,"i":-42,"r":1.5e3,"s":"a\"b\u00e9\ud83d\ude00",
                          "a":[1,[2],{"x":[]}],"o":{"k":"v"},"":0} )");
    const json::Value v = d.root();
    REQUIRE(v.is_object());
    CHECK(v.size() == 9);
    CHECK(v.has("n"));
    CHECK(v.find("n").is_null());
    CHECK_FALSE(v.has("absent"));
    CHECK(v.find("t").boolean());
    CHECK(v.find("f").type() == json::Type::kBool);
    CHECK(v.find("i").integer() == -42);
    CHECK(v.find("i").real() == -42.0);
    CHECK(v.find("r").type() == json::Type::kReal);
    CHECK(v.find("r").integer() == 1500);
    CHECK(v.find("s").string() == "a\"b\xc3\xa9\xf0\x9f\x98\x80");
    CHECK(v.find("a").size() == 3);
    CHECK(v.find("a").at(1).at(0).integer() == 2);
    CHECK(v.find("a").at(2).find("x").is_array());
    CHECK(v.find("a").at(3).is_null());
    CHECK(v.find("o").find("k").string() == "v");
    CHECK(v.find("").integer(7) == 0);
    CHECK(v.find("s").integer(7) == 7);
    CHECK(v.string("no") == "no");
    std::vector<std::string> names;
    for (const auto& [name, value] : v.object()) {
        names.emplace_back(name);
    }
    CHECK(names == std::vector<std::string>{"n", "t", "f", "i", "r", "s", "a", "o", ""});
}

TEST_CASE("scalars stand alone") {
    CHECK(parse("17").root().integer() == 17);
    CHECK(parse(" \"x\" ").root().string() == "x");
    CHECK(parse("\"\\n\"").root().string() == "\n");
    CHECK(parse("true").root().boolean());
    CHECK(parse("null").root().is_null());
    CHECK(json::Document().root().is_null());
    CHECK(json::Value().size() == 0);
}

TEST_CASE("numbers at the limits") {
    CHECK(parse("9223372036854775807").root().integer() == std::numeric_limits<int64_t>::max());
    CHECK(parse("-9223372036854775808").root().integer() == std::numeric_limits<int64_t>::min());
    const auto big = parse("18446744073709551615");
    CHECK(big.root().type() == json::Type::kReal);
    CHECK(big.root().integer(-1) == -1);
    CHECK(parse("1e300").root().integer(-1) == -1);
    CHECK(parse("0.1").root().real() == 0.1);
}

TEST_CASE("documents are shared and values outlive the parser") {
    std::string long_text =
        "[\"" + std::string(100000, 'x') + "\", \"\\t" + std::string(100, 'y') + "\"]";
    json::Document copy;
    {
        const auto d = parse(long_text);
        copy = d;
    }
    for (int i = 0; i < 10; ++i) {
        parse("[\"something else \\n entirely\"]");
    }
    CHECK(copy.root().at(0).string() == std::string(100000, 'x'));
    CHECK(copy.root().at(1).string() == "\t" + std::string(100, 'y'));
    CHECK(copy.memory() > 100000);
}

TEST_CASE("malformed text is refused with its position") {
    struct Case {
        std::string text;
        size_t offset;
        std::string reason;
    };
    const std::vector<Case> cases = {
        {"", 0, "no value"},
        {"  \n", 3, "ends too early"},
        {"{", 1, "ends too early"},
        {"[1,", 3, "ends too early"},
        {"[1,]", 3, "not a value"},
        {"[1 2]", 3, "expected ',' or ']'"},
        {"{\"a\":1,}", 7, "member name"},
        {"{\"a\" 1}", 5, "expected ':'"},
        {"{\"a\":1 \"b\":2}", 7, "expected ',' or '}'"},
        {"{a:1}", 1, "member name"},
        {"{'a':1}", 1, "member name"},
        {"[1]x", 3, "more text"},
        {"{}{}", 2, "more text"},
        {"1 2", 2, "more text"},
        {"tru", 0, "not a value"},
        {"[truex]", 5, "expected ',' or ']'"},
        {"[nul]", 1, "not a value"},
        {"[01]", 1, "leading zero"},
        {"[-]", 2, "not a value"},
        {"[1.]", 3, "not a value"},
        {"[.5]", 1, "not a value"},
        {"[1e]", 3, "not a value"},
        {"[+1]", 1, "not a value"},
        {"[0x10]", 2, "expected ',' or ']'"},
        {"[NaN]", 1, "not a value"},
        {"[1e999]", 1, "out of range"},
        {"[99999999999999999999]", 1, "out of range"},
        {"[\"abc]", 6, "ends too early"},
        {"[\"a\nb\"]", 3, "control character"},
        {"[\"a\\xb\"]", 3, "unknown escape"},
        {"[\"\\u12g4\"]", 2, "hexadecimal"},
        {"[\"\\ud800\"]", 2, "surrogate"},
        {"[\"\\ud800\\u0041\"]", 2, "surrogate"},
        {"[\"\xff\"]", 2, "UTF-8"},
        {"[\"\xc0\x80\"]", 2, "UTF-8"},
        {"[\"\xed\xa0\x80\"]", 2, "UTF-8"},
        {"[\"\xe2\x82\"]", 2, "UTF-8"},
        {"[1}", 2, "expected ',' or ']'"},
        {"{\"a\":1]", 6, "expected ',' or '}'"},
        {"]", 0, "not a value"},
        {"\"\\ud800\"", 1, "surrogate"},
        {"123abc", 3, "more text"},
    };
    for (const Case& c : cases) {
        INFO(c.text);
        const auto document = json::Document::parse(c.text);
        REQUIRE_FALSE(document.ok());
        INFO(document.error().message);
        CHECK(document.error().message.find("(byte " + std::to_string(c.offset) + ")") !=
              std::string::npos);
        CHECK(document.error().message.find(c.reason) != std::string::npos);
    }
}

TEST_CASE("a position counts lines and columns from 1") {
    const auto document = json::Document::parse("{\n \"a\": 1,\n \"b\" 2}");
    REQUIRE_FALSE(document.ok());
    CHECK(document.error().message == "not JSON: expected ':' at line 3, column 6 (byte 16)");
}

TEST_CASE("depth is limited") {
    const auto nested = [](size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    CHECK(json::Document::parse(nested(json::kMaxDepth)).ok());
    CHECK_FALSE(json::Document::parse(nested(json::kMaxDepth + 1)).ok());
    CHECK_FALSE(json::Document::parse(std::string(1000000, '[')).ok());
}

TEST_CASE("the writer's text is read back the same") {
    json::Writer w;
    w.begin_object().member("a").begin_array().value(1).value(int64_t{-5}).value(true).null();
    w.value("q\"\\/\b\f\n\r\t\x01 \x7f\xc3\xa9").end_array();
    w.member("e").begin_object().end_object().member("r").value(0.1).member("w").value(2.0);
    w.member("raw").raw("[1, 2]").member("nan").value(std::nan("")).end_object();
    CHECK(w.text() ==
          "{\"a\":[1,-5,true,null,\"q\\\"\\\\/\\b\\f\\n\\r\\t\\u0001 \x7f\xc3\xa9\"],"
          "\"e\":{},\"r\":0.1,\"w\":2.0,\"raw\":[1, 2],\"nan\":null}");
    const auto d = parse(w.text());
    CHECK(d.root().find("a").at(4).string() == "q\"\\/\b\f\n\r\t\x01 \x7f\xc3\xa9");
    CHECK(d.root().find("w").type() == json::Type::kReal);
    CHECK(parse(d.root().to_string()).root().to_string() == d.root().to_string());
}

TEST_CASE("the writer replaces bytes that are not UTF-8") {
    std::string out;
    json::append_quoted(&out,
                        "a\xff"
                        "b\xc0\x80\xe2\x82");
    CHECK(out ==
          "\"a\xef\xbf\xbd"
          "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK(json::Document::parse(out).ok());
}
