// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/watch_config.h"

#include <catch2/catch.hpp>

#include "control/chassis/learning.h"
#include "control/slowpath/watch/igmp.h"

namespace sluice::chassis {
namespace {

using watch::mapped;

Uuid id(uint8_t n) {
    return Uuid{{n}};
}

/// A mirror filled by hand, and the plan that goes with it.
struct World {
    World() {
        auto sw = std::make_shared<sb::DatapathBinding>();
        sw->uuid = id(1);
        sw->tunnel_key = 7;
        mirror.datapaths.put(sw->uuid, sw);
        auto router = std::make_shared<sb::DatapathBinding>();
        router->uuid = id(2);
        router->tunnel_key = 8;
        mirror.datapaths.put(router->uuid, router);
        local = {id(1), id(2)};
    }
    watch::Config config() const { return watch_config(mirror, plan, local, {"hv1", "hv1"}); }

    sb::Mirror mirror;
    BindingPlan plan;
    std::set<Uuid> local;
};

TEST_CASE("addresses of a port") {
    const auto a = parse_port_addresses("0a:00:00:00:00:01 10.0.0.1 fd00::1/64");
    REQUIRE(a);
    CHECK(to_string(a->mac) == "0a:00:00:00:00:01");
    REQUIRE(a->ip4.size() == 1);
    REQUIRE(a->ip6.size() == 1);
    CHECK(to_string(a->ip6[0]) == "fd00::1");
    CHECK_FALSE(parse_port_addresses("unknown"));
    CHECK_FALSE(parse_port_addresses(""));
}

TEST_CASE("snooping takes its numbers from IP_Multicast, defaults where they are unset") {
    World world;
    sb::IpMulticast row;
    row.uuid = id(20);
    row.datapath = id(1);
    row.enabled = row.querier = true;
    row.eth_src = "0a:00:00:00:00:fe";
    row.ip4_src = "10.0.0.254";
    row.query_interval = 20;
    row.table_size = 50;
    row.seq_no = 3;
    world.mirror.ip_multicast.put(row.uuid, std::make_shared<sb::IpMulticast>(row));
    const auto config = world.config();
    REQUIRE(config.switches.size() == 1);
    const watch::SnoopConfig& c = config.switches[0];
    CHECK(c.datapath == 7);
    CHECK(c.enabled);
    CHECK(c.table_size == 50);
    CHECK(c.idle_timeout_s == 300);
    CHECK(c.query_interval_s == 20);
    CHECK(c.querier4);
    CHECK_FALSE(c.querier6);
    CHECK(c.seq_no == 3);
    CHECK(world.config() == config);

    row.eth_src = "";  // nobody to ask as
    row.query_interval.reset();
    row.table_size = 2;  // Open vSwitch's tables have at least ten entries
    world.mirror.ip_multicast.put(row.uuid, std::make_shared<sb::IpMulticast>(row));
    CHECK_FALSE(world.config().switches[0].querier4);
    CHECK(world.config().switches[0].query_interval_s == 150);
    CHECK(world.config().switches[0].table_size == 10);
    world.local.erase(id(1));
    CHECK(world.config().switches.empty());
}

TEST_CASE("shortest ageing time of a router's option") {
    CHECK(age_threshold_s("") == 0);
    CHECK(age_threshold_s("0") == 0);
    CHECK(age_threshold_s("300") == 300);
    CHECK(age_threshold_s("10.0.0.0/8:60;fd00::/8:30;300") == 30);
    CHECK(age_threshold_s("10.0.0.0/8:0;300") == 300);
    CHECK(age_threshold_s("nonsense;;/:") == 0);
}

}  // namespace
}  // namespace sluice::chassis
