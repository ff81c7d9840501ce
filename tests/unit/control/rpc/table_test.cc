// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/table.h"

#include <catch2/catch.hpp>

namespace sluice::rpc {
namespace {

TEST_CASE("columns line up, whatever is in them") {
    TextTable table({{"name"}, {"count", Align::kRight}, {"last"}}, false);
    table.row({"vm1", "7", "x"});
    table.row({"m\xc3\xbcller", "12345678", ""});
    table.row({"evil\033[31m\n", "", "\xc2\x9bq"});
    CHECK(table.text() ==
          "name           count  last\n"
          "vm1                7  x\n"
          "m\xc3\xbcller      12345678  -\n"
          "evil?[31m?         -  ?q\n");
}

TEST_CASE("colour surrounds the text and does not move it") {
    TextTable table({{"a", Align::kRight}, {"b"}}, true, 2);
    table.row({Cell("up", Colour::kGood), "z"});
    CHECK(table.text() ==
          "   \033[1ma\033[0m  \033[1mb\033[0m\n"
          "  \033[32mup\033[0m  z\n");
}

TEST_CASE("units") {
    CHECK(bytes_text(0) == "0 B");
    CHECK(bytes_text(999) == "999 B");
    CHECK(bytes_text(1000) == "1.0 kB");
    CHECK(bytes_text(1550) == "1.6 kB");
    CHECK(bytes_text(9960) == "10 kB");
    CHECK(bytes_text(999499) == "999 kB");
    CHECK(bytes_text(999500) == "1.0 MB");
    CHECK(bytes_text(UINT64_MAX) == "18 EB");
    CHECK(duration_text(5) == "5s");
    CHECK(duration_text(123) == "2m 03s");
    CHECK(duration_text(3725) == "1h 02m");
    CHECK(duration_text(100 * 3600) == "4d 04h");
    CHECK(percent_text(1, 8) == "12.5%");
    CHECK(percent_text(0, 0) == "-");
}

}  // namespace
}  // namespace sluice::rpc
