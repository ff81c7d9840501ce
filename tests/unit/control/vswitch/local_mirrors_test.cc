// SPDX-License-Identifier: Apache-2.0
// Mirror rows of the local database: what they select, and what is refused in words.
#include "control/vswitch/local_mirrors.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::vswitch;

namespace {

/// br-int with the VIFs vm1 (lp1) and vm2 (lp2) and the plain ports tap (PortId 7) and shut.
struct Node {
    Contents contents;
    Settings settings;
    std::vector<WantedPort> wanted;

    Node() {
        settings.bridge = "br-int";
        contents.bridges = {Bridge(), Bridge()};
        contents.bridges[0].name = "br-int";
        contents.bridges[1].name = "br-phys";
        for (const auto& [name, iface] : {std::pair("vm1", "lp1"), std::pair("vm2", "lp2"),
                                          std::pair("tap", ""), std::pair("shut", "")}) {
            WantedPort& port = wanted.emplace_back();
            port.spec.name = name;
            port.iface_id = iface;
            port.is_integration = true;
        }
    }
    Mirror& add(const std::string& name, size_t bridge = 0) {
        Mirror& row = contents.bridges[bridge].mirrors.emplace_back();
        row.name = name;
        row.output_port = "tap";
        return row;
    }
    std::vector<chassis::Attachments::LocalMirror> resolve() const {
        return local_mirrors(contents, settings, wanted, [](const std::string& name) {
            return name == "tap" ? PortId{7} : kNoPort;
        });
    }
};

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("a mirror selects by port and is told by logical port", "[local_mirrors]") {
    Node node;
    Mirror& row = node.add("m");
    row.sources = {"vm1"};
    row.destinations = {"vm1", "vm2"};
    const auto list = node.resolve();
    REQUIRE(list.size() == 1);
    CHECK(list[0].from == Names{"lp1"});
    CHECK(list[0].to == Names{"lp1", "lp2"});
    CHECK(list[0].output == 7);
    CHECK_FALSE(list[0].all);
    CHECK(list[0].errors.empty());
}

TEST_CASE("an output port that is not open leaves the mirror waiting", "[local_mirrors]") {
    Node node;
    Mirror& row = node.add("m");
    row.select_all = true;
    row.output_port = "shut";
    const auto list = node.resolve();
    CHECK(list.at(0).all);
    CHECK(list.at(0).output == kNoPort);
    CHECK_FALSE(list.at(0).is_refused);
}

TEST_CASE("what a mirror cannot do is said, never passed over", "[local_mirrors]") {
    Node node;
    node.add("a").sources = {"vm1", "tap"};  // tap is no VIF; vm1 is copied
    node.add("b").has_output_vlan = true;
    node.add("c").has_vlans = true;
    node.add("d").snaplen = 100;
    node.add("e").output_port.clear();
    node.add("f");
    node.add("g", 1).select_all = true;
    const auto list = node.resolve();
    REQUIRE(list.size() == 7);
    CHECK(list[0].from == Names{"lp1"});
    CHECK_FALSE(list[0].is_refused);
    const std::vector<std::string> words = {
        "tap is no VIF",  "output_vlan",         "select_vlan", "snaplen",
        "no output_port", "nothing is selected", "br-phys"};
    for (size_t i = 0; i < list.size(); ++i) {
        REQUIRE_FALSE(list[i].errors.empty());
        CHECK_THAT(list[i].errors.front(), Catch::Contains(words[i]));
        CHECK(list[i].is_refused == (i > 0));
    }
}
