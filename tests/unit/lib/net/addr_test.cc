// SPDX-License-Identifier: Apache-2.0
#include "lib/net/addr.h"

#include <catch2/catch.hpp>

namespace sluice {
namespace {

TEST_CASE("addresses parse and print") {
    REQUIRE(to_string(*parse_mac("40:44:00:00:00:Ff")) == "40:44:00:00:00:ff");
    REQUIRE(parse_mac("40:44:00:00:00:01")->to_u64() == 0x404400000001);
    REQUIRE(Mac::from_u64(0x404400000001) == *parse_mac("40:44:00:00:00:01"));
    REQUIRE(parse_ip4("192.168.0.11")->value == 0xc0a8000b);
    REQUIRE(to_string(Ip4{0xc0a8000b}) == "192.168.0.11");
    REQUIRE(to_string(*parse_ip6("fe80:0::1")) == "fe80::1");
    const char* text = "0a1b2c3d-0000-4000-8000-00000000ffee";
    REQUIRE(to_string(*parse_uuid(text)) == text);
    REQUIRE(parse_ip4_prefix("10.0.0.0/8")->length == 8);
    REQUIRE(parse_ip4_prefix("10.0.0.1")->length == 32);
    REQUIRE(parse_ip6_prefix("fe80::/64")->length == 64);
}

TEST_CASE("malformed addresses are refused") {
    for (const char* text :
         {"", "40:44:00:00:00", "40:44:00:00:00:0g", "40-44-00-00-00-01", "40:44:00:00:00:01:02"}) {
        REQUIRE_FALSE(parse_mac(text));
    }
    for (const char* text : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 "}) {
        REQUIRE_FALSE(parse_ip4(text));
    }
    for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "/8", "10.0.0.0/-1"}) {
        REQUIRE_FALSE(parse_ip4_prefix(text));
    }
    for (const char* text :
         {"", "0a1b2c3d-0000-4000-8000-00000000ffe", "0a1b2c3d_0000-4000-8000-00000000ffee",
          "0a1b2c3d-0000-4000-8000-00000000ffeg"}) {
        REQUIRE_FALSE(parse_uuid(text));
    }
}

TEST_CASE("random UUIDs are version 4 and differ") {
    const Uuid a = random_uuid();
    REQUIRE((a.bytes[6] & 0xf0) == 0x40);
    REQUIRE((a.bytes[8] & 0xc0) == 0x80);
    REQUIRE(a != random_uuid());
}

}  // namespace
}  // namespace sluice
