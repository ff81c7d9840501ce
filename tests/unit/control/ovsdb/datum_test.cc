// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/datum.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>

#include "control/ovsdb/schema.h"
#include "lib/json/json.h"

namespace json = sluice::json;
using namespace sluice::ovsdb;
using sluice::Uuid;

namespace {

const ColumnType kSet{AtomType::kInteger, AtomType::kVoid, 0, UINT32_MAX};
const ColumnType kMap{AtomType::kInteger, AtomType::kString, 0, UINT32_MAX};
const ColumnType kOptional{AtomType::kString, AtomType::kVoid, 0, 1};

sluice::Result<Datum> read(const std::string& text, const ColumnType& type) {
    const auto document = json::Document::parse(text);
    REQUIRE(document.ok());
    return Datum::from_json(document->root(), type);
}

ColumnType scalar(AtomType type) {
    return {type, AtomType::kVoid, 1, 1};
}

}  // namespace

TEST_CASE("wire forms are read and written") {
    const std::string uuid = "[\"uuid\",\"550e8400-e29b-41d4-a716-446655440000\"]";
    CHECK(read("7", scalar(AtomType::kInteger))->integer() == 7);
    CHECK(read("7.0", scalar(AtomType::kInteger))->integer() == 7);
    CHECK(read("7", scalar(AtomType::kReal))->real() == 7.0);
    CHECK(read("true", scalar(AtomType::kBoolean))->boolean());
    CHECK(read("\"x\"", scalar(AtomType::kString))->string() == "x");
    CHECK(read(uuid, scalar(AtomType::kUuid))->to_string() == uuid);
    CHECK(read("[\"set\",[3,1,2,1]]", kSet)->to_string() == "[\"set\",[1,2,3]]");
    CHECK(read("4", kSet)->to_string() == "4");
    CHECK(read("[\"set\",[]]", kOptional)->empty());
    CHECK(read("[\"map\",[[2,\"b\"],[1,\"a\"]]]", kMap)->to_string() ==
          "[\"map\",[[1,\"a\"],[2,\"b\"]]]");
    CHECK(read("[\"map\",[]]", kMap)->is_map());
}

TEST_CASE("what does not fit its type is refused") {
    const std::vector<std::pair<std::string, ColumnType>> cases = {
        {"\"x\"", scalar(AtomType::kInteger)},
        {"1.5", scalar(AtomType::kInteger)},
        {"null", scalar(AtomType::kString)},
        {"1", scalar(AtomType::kBoolean)},
        {"[\"uuid\",\"550e8400\"]", scalar(AtomType::kUuid)},
        {"[\"named-uuid\",\"x\"]", scalar(AtomType::kUuid)},
        {"[\"set\",[1,\"x\"]]", kSet},
        {"[\"map\",[[1,2]]]", kMap},
        {"[\"map\",[[1,\"a\",3]]]", kMap},
        {"[\"map\",[1]]", kMap},
        {"{}", kMap},
        {"7", kMap},
    };
    for (const auto& [text, type] : cases) {
        INFO(text);
        CHECK_FALSE(read(text, type).ok());
    }
}

TEST_CASE("accessors answer for every shape") {
    const Datum empty;
    CHECK(empty.integer(5) == 5);
    CHECK(empty.string().empty());
    CHECK(empty.uuid().is_zero());
    CHECK_FALSE(empty.boolean());
    CHECK(empty.get("k") == nullptr);
    const Datum map = Datum::string_map({{"b", "2"}, {"a", "1"}, {"c", ""}});
    REQUIRE(map.get("b") != nullptr);
    CHECK(*map.get("b") == "2");
    CHECK(map.get("d") == nullptr);
    CHECK(map.contains("a"));
    CHECK(map.find_value("c")->string().empty());
    CHECK(map.size() == 3);
    const Datum set = string_set({"x", "y", "x"});
    CHECK(set.size() == 2);
    CHECK(set.contains("y"));
    CHECK_FALSE(set.contains("z"));
    CHECK(set.find_value("x") == nullptr);
    CHECK(Datum("text").integer(3) == 0);
    CHECK(Datum::default_of(kMap).is_map());
    CHECK(Datum::default_of(kOptional).empty());
    CHECK(Datum::default_of(scalar(AtomType::kUuid)).uuid().is_zero());
}

TEST_CASE("differences are symmetric, as ovsdb-server(7) says") {
    std::mt19937 random(7);
    const auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    for (int round = 0; round < 2000; ++round) {
        std::set<int> a;
        std::set<int> d;
        std::map<int, std::string> m;
        std::map<int, std::string> e;
        for (int i = below(8); i > 0; --i) {
            a.insert(below(10));
            m[below(10)] = std::to_string(below(3));
        }
        for (int i = below(8); i > 0; --i) {
            d.insert(below(10));
            e[below(10)] = std::to_string(below(3));
        }
        std::set<int> expected = a;
        for (const int x : d) {
            if (expected.erase(x) == 0) {
                expected.insert(x);
            }
        }
        std::map<int, std::string> expected_map = m;
        for (const auto& [key, value] : e) {
            const auto it = expected_map.find(key);
            if (it != expected_map.end() && it->second == value) {
                expected_map.erase(it);
            } else {
                expected_map[key] = value;
            }
        }
        const auto set_of = [](const std::set<int>& s) {
            return Datum::set(std::vector<Atom>(s.begin(), s.end()));
        };
        const auto map_of = [](const std::map<int, std::string>& s) {
            std::vector<Datum::Pair> pairs;
            for (const auto& [key, value] : s) {
                pairs.emplace_back(Atom(key), Atom(value));
            }
            return Datum::map(pairs);
        };
        REQUIRE(set_of(a).with_diff(set_of(d), kSet) == set_of(expected));
        REQUIRE(map_of(m).with_diff(map_of(e), kMap) == map_of(expected_map));
    }
    CHECK(Datum("old").with_diff(Datum("new"), kOptional).string() == "new");
    CHECK(Datum("old").with_diff(Datum(), kOptional).empty());
}
