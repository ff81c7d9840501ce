// SPDX-License-Identifier: Apache-2.0
#include "control/physical/port_security.h"

#include <catch2/catch.hpp>

using namespace sluice;
using physical::parse_port_security;

TEST_CASE("port security as ovn-nb(5) writes it") {
    std::vector<std::string> errors;
    CHECK(parse_port_security({}, &errors) == nullptr);
    const auto security =
        parse_port_security({"80:fa:5b:06:72:b7", "80:fa:5b:12:42:ba 192.168.10.1/24",
                             "80:fa:5b:12:42:bb 192.168.10.0/24, 10.0.0.1  fd00::1 fd01::/64"},
                            &errors);
    REQUIRE(errors.empty());
    REQUIRE(security->entries.size() == 3);
    CHECK(security->entries[0].mac == 0x80fa5b0672b7);
    CHECK_FALSE(security->entries[0].has_ip());
    REQUIRE(security->entries[1].ip4.size() == 1);
    CHECK(security->entries[1].ip4[0].ip == 0xc0a80a01);  // host bits as written
    CHECK(security->entries[1].ip4[0].mask == 0xffffff00);
    REQUIRE(security->entries[2].ip4.size() == 2);
    CHECK(security->entries[2].ip4[0].ip == 0xc0a80a00);
    CHECK(security->entries[2].ip4[1].mask == 0xffffffff);
    REQUIRE(security->entries[2].ip6.size() == 2);
    CHECK(security->entries[2].ip6[0].mask ==
          *parse_ip6("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    CHECK(security->entries[2].ip6[1].mask == *parse_ip6("ffff:ffff:ffff:ffff::"));
}

TEST_CASE("what does not parse is told and limits nothing else") {
    std::vector<std::string> errors;
    const auto security =
        parse_port_security({"nonsense", "", "02:00:00:00:00:01 10.0.0.1 bad 10.0.0.2"}, &errors);
    CHECK(errors.size() == 3);
    REQUIRE(security->entries.size() == 1);
    CHECK(security->entries[0].ip4.size() == 1);
    errors.clear();
    CHECK(parse_port_security({"nonsense"}, &errors) == nullptr);
}
