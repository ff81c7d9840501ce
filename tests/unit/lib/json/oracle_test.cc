// SPDX-License-Identifier: Apache-2.0
// Random and damaged texts, judged by Python's json module: both must accept the same texts and
// read the same values.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <stdlib.h>
#include <unistd.h>

#include "lib/json/json.h"

namespace json = sluice::json;

namespace {

constexpr char kOracle[] = R"PY(
import json, struct, sys
def integer(text):
    v = int(text)
    if -2**63 <= v < 2**63: return v
    if 0 <= v < 2**64: return float(v)
    raise ValueError
def real(text):
    v = float(text)
    if v in (float('inf'), float('-inf')): raise ValueError
    return v
def constant(text): raise ValueError
def show(v):
    if v is None: return 'n'
    if v is True: return 't'
    if v is False: return 'f'
    if isinstance(v, int): return 'i%d' % v
    if isinstance(v, float): return 'r' + struct.pack('>d', v).hex()
    if isinstance(v, str): return 's' + v.encode('utf-8').hex()
    if isinstance(v, tuple): return '{' + ''.join(show(k) + show(x) for k, x in v) + '}'
    return '[' + ''.join(show(x) for x in v) + ']'
for line in open(sys.argv[1]):
    try:
        text = bytes.fromhex(line.strip()).decode('utf-8')
        if text.startswith('\ufeff'): raise ValueError
        print(show(json.loads(text, parse_int=integer, parse_float=real, parse_constant=constant,
                              object_pairs_hook=tuple)))
    except (ValueError, RecursionError):
        print('bad')
)PY";

std::string hex(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(c));
        out += two;
    }
    return out;
}

std::string show(json::Value v) {
    switch (v.type()) {
    case json::Type::kNull: return "n";
    case json::Type::kBool: return v.boolean() ? "t" : "f";
    case json::Type::kInteger: return "i" + std::to_string(v.integer());
    case json::Type::kReal: {
        uint64_t bits = 0;
        const double real = v.real();
        std::memcpy(&bits, &real, sizeof bits);
        char text[20];
        std::snprintf(text, sizeof text, "r%016llx", static_cast<unsigned long long>(bits));
        return text;
    }
    case json::Type::kString: return "s" + hex(v.string());
    case json::Type::kArray: {
        std::string out = "[";
        for (const json::Value element : v.array()) {
            out += show(element);
        }
        return out + "]";
    }
    case json::Type::kObject: {
        std::string out = "{";
        for (const auto& [name, value] : v.object()) {
            out += "s" + hex(name) + show(value);
        }
        return out + "}";
    }
    }
    return "?";
}

class Generator {
public:
    explicit Generator(unsigned seed) : random_(seed) {}

    unsigned below(unsigned n) {
        return std::uniform_int_distribution<unsigned>(0, n - 1)(random_);
    }

    std::string value(unsigned depth) {
        switch (below(depth > 4 ? 6 : 9)) {
        case 0: return "null";
        case 1: return below(2) ? "true" : "false";
        case 2: return std::to_string(static_cast<int>(below(2000)) - 1000);
        case 3: return number();
        case 4:
        case 5: return string();
        case 6:
        case 7: {
            std::string out = "[";
            for (unsigned i = below(5); i > 0; --i) {
                out += space() + value(depth + 1) + space() + (i > 1 ? "," : "");
            }
            return out + "]";
        }
        default: {
            std::string out = "{";
            for (unsigned i = below(5); i > 0; --i) {
                out += space() + string() + space() + ":" + value(depth + 1) + (i > 1 ? "," : "");
            }
            return out + space() + "}";
        }
        }
    }

    std::string damaged(std::string text) {
        constexpr std::string_view kPieces = "{}[]\",:\\u0e.-+tfn \x00\x1f\xc3\xa9\xff\x80";
        for (unsigned i = 1 + below(3); i > 0 && !text.empty(); --i) {
            const size_t at = below(static_cast<unsigned>(text.size()));
            const char piece = kPieces[below(static_cast<unsigned>(kPieces.size()))];
            switch (below(4)) {
            case 0: text.erase(at, 1 + below(3)); break;
            case 1: text.insert(at, 1, piece); break;
            case 2: text[at] = piece; break;
            default: text.resize(at); break;
            }
        }
        return text;
    }

private:
    std::string space() { return std::string(below(3) ? 0 : 1, " \n\t\r"[below(4)]); }

    std::string number() {
        static const char* const kNumbers[] = {"0",
                                               "-0",
                                               "1.5",
                                               "-2.25e10",
                                               "1E-7",
                                               "1e400",
                                               "9223372036854775807",
                                               "9223372036854775808",
                                               "-9223372036854775808",
                                               "-9223372036854775809",
                                               "18446744073709551616",
                                               "0.1",
                                               "123456789.123456789",
                                               "1e22",
                                               "5e-324",
                                               "2.2250738585072014e-308"};
        return kNumbers[below(sizeof kNumbers / sizeof *kNumbers)];
    }

    std::string string() {
        static const char* const kParts[] = {"a",
                                             "lsp-1",
                                             " ",
                                             "\\\"",
                                             "\\\\",
                                             "\\/",
                                             "\\n",
                                             "\\u0041",
                                             "\\u00e9",
                                             "\\ud83d\\ude00",
                                             "\xc3\xa9",
                                             "\xe2\x82\xac",
                                             "\xf0\x9f\x98\x80",
                                             "{",
                                             "}",
                                             "[",
                                             "\\u0000",
                                             "0123456789abcdef0123456789",
                                             "\\ud800",
                                             "/"};
        std::string out = "\"";
        for (unsigned i = below(6); i > 0; --i) {
            out += kParts[below(sizeof kParts / sizeof *kParts)];
        }
        return out + "\"";
    }

    std::mt19937 random_;
};

}  // namespace

TEST_CASE("the same texts are accepted, with the same values, as by Python") {
    Generator generator(20260102);
    std::vector<std::string> texts;
    for (int i = 0; i < 6000; ++i) {
        std::string text = generator.value(0);
        texts.push_back(i % 3 == 0 ? text : generator.damaged(text));
    }
    char dir[] = "/tmp/sluice-json-XXXXXX";
    REQUIRE(mkdtemp(dir) != nullptr);
    const std::string base = dir;
    {
        std::ofstream script(base + "/oracle.py");
        script << kOracle;
        std::ofstream input(base + "/texts");
        for (const std::string& text : texts) {
            input << hex(text) << "\n";
        }
    }
    const std::string command =
        "python3 " + base + "/oracle.py " + base + "/texts > " + base + "/answers";
    const int status = system(command.c_str());
    std::vector<std::string> answers;
    std::ifstream in(base + "/answers");
    for (std::string line; std::getline(in, line);) {
        answers.push_back(line);
    }
    for (const char* name : {"/oracle.py", "/texts", "/answers"}) {
        unlink((base + name).c_str());
    }
    rmdir(dir);
    REQUIRE(status == 0);
    REQUIRE(answers.size() == texts.size());
    size_t bad = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
        const auto document = json::Document::parse(texts[i]);
        const std::string ours = document.ok() ? show(document->root()) : "bad";
        bad += ours == "bad";
        INFO(texts[i]);
        REQUIRE(ours == answers[i]);
        if (!document.ok()) {
            INFO(document.error().message);
            CHECK(document.error().message.find("(byte ") != std::string::npos);
        }
    }
    CHECK(bad > 1000);
    CHECK(bad < 5000);
}
