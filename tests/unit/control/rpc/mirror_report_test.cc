// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "control/rpc/reports.h"

using namespace sluice;
using namespace sluice::rpc;

TEST_CASE("mirrors as JSON and back, and as a table") {
    MirrorReport report;
    report.rows = {{"m1", "gre", "both", "192.0.2.9", 5, "up0", "ready", {"lp1", "lp2"}},
                   {"m2", "erspan", "to-lport", "nowhere", 9999, "", "refused", {"lp1"}}};
    MirrorReport read;
    REQUIRE(from_json(to_json(report), &read));
    REQUIRE(read.rows.size() == 2);
    CHECK(read.rows[0].sink == "192.0.2.9");
    CHECK(read.rows[0].logical_ports == report.rows[0].logical_ports);
    CHECK(read.rows[1].index == 9999);
    CHECK(to_json(read) == to_json(report));
    const std::string text = to_text(report);
    CHECK(text.find("lp1,lp2") != std::string::npos);
    CHECK(text.find("refused") != std::string::npos);
    CHECK(to_text(MirrorReport()) == "no mirrors\n");
}
