// SPDX-License-Identifier: Apache-2.0
// Zones by the rules of ovn-controller: what it did in the same situations was seen by
// `ovs-appctl -t ovn-controller ct-zone-list`.
#include "control/chassis/ct_zones.h"

#include <catch2/catch.hpp>
#include <set>

using namespace sluice;
using chassis::CtZones;
using chassis::ZoneRange;
using chassis::ZoneUsers;

namespace {

Uuid uuid(uint8_t n) {
    Uuid u;
    u.bytes[0] = n;
    return u;
}

ZoneUsers two_switches() {
    ZoneUsers users;
    users.datapaths[uuid(1)] = {"sw0", {}, {}};
    users.datapaths[uuid(2)] = {"lr0", {}, {}};
    users.ports["lp1"] = {uuid(1), {}};
    users.ports["lp2"] = {uuid(1), {}};
    return users;
}

std::set<uint16_t> numbers(const CtZones& zones) {
    std::set<uint16_t> all;
    for (const auto& [user, zone] : zones.zones()) {
        all.insert(zone);
    }
    return all;
}

std::set<uint16_t> set_of(const std::vector<uint16_t>& list) {
    return {list.begin(), list.end()};
}

}  // namespace

TEST_CASE("every port has a zone and every datapath two, all different and none 0", "[zones]") {
    CtZones zones;
    const auto changed = zones.update(two_switches(), {});
    CHECK(changed == std::set<Uuid>{uuid(1), uuid(2)});
    CHECK(zones.zones().size() == 6);
    CHECK(numbers(zones) == std::set<uint16_t>{1, 2, 3, 4, 5, 6});
    CHECK(set_of(zones.take_assigned()) == numbers(zones));
    CHECK(zones.take_assigned().empty());
    CHECK(zones.of_port("lp1") != 0);
    CHECK(zones.dnat(uuid(2)) != zones.snat(uuid(2)));
    CHECK(zones.of_port("nobody") == 0);
    CHECK(zones.external_ids().contains("ct-zone-" + to_string(uuid(2)) + "_snat"));
    CHECK(zones.update(two_switches(), {}).empty());
    CHECK(zones.take_assigned().empty());
}

TEST_CASE("zones outlive a restart by what the bridge says", "[zones]") {
    CtZones first;
    first.update(two_switches(), {});
    sb::StringMap ids = first.external_ids();
    ids["ovn-nb-cfg"] = "7";
    ids["ct-zone-"] = "9";
    ids["ct-zone-broken"] = "many";
    CtZones second;
    second.restore(ids);
    ZoneUsers more = two_switches();
    more.ports["a-new-one"] = {uuid(2), {}};
    CHECK(second.update(more, {}) == std::set<Uuid>{uuid(1), uuid(2)});  // nobody knew them before
    for (const auto& [user, zone] : first.zones()) {
        CHECK(second.zones().at(user) == zone);
    }
    CHECK(second.of_port("a-new-one") == 7);
    CHECK(second.take_assigned() == std::vector<uint16_t>{7});
}

TEST_CASE("names by datapath name are those of newer ovn-controllers", "[zones]") {
    CtZones zones;
    zones.restore({{"ct-zone-lr0_snat", "31"}, {"ct-zone-lr0_dnat", "32"}});
    zones.update(two_switches(), {});
    CHECK(zones.snat(uuid(2)) == 31);
    CHECK(zones.dnat(uuid(2)) == 32);
    CHECK(zones.external_ids().at("ct-zone-lr0_snat") == "31");
    CHECK_FALSE(zones.external_ids().contains("ct-zone-" + to_string(uuid(2)) + "_snat"));
}

TEST_CASE("a zone is given to another only when it has been emptied", "[zones]") {
    CtZones zones;
    zones.update(two_switches(), {});
    const uint16_t old = zones.of_port("lp2");
    zones.take_assigned();
    ZoneUsers users = two_switches();
    users.ports.erase("lp2");
    zones.update(users, {});
    CHECK(zones.take_released() == std::vector<uint16_t>{old});
    users.ports["lp3"] = {uuid(1), {}};
    zones.update(users, {});
    CHECK(zones.of_port("lp3") != old);
    zones.give_back({old});
    users.ports["lp4"] = {uuid(1), {}};
    zones.update(users, {});
    CHECK(zones.of_port("lp4") == old);
    CHECK(set_of(zones.take_assigned()) ==
          std::set<uint16_t>{zones.of_port("lp3"), zones.of_port("lp4")});
}

TEST_CASE("nobody loses a zone while the database has not told everything", "[zones]") {
    CtZones before;
    before.update(two_switches(), {});
    CtZones zones;
    zones.restore(before.external_ids());
    zones.update({}, {}, false);
    CHECK(zones.external_ids() == before.external_ids());
    CHECK(zones.take_released().empty());
    zones.update({}, {}, true);
    CHECK(zones.external_ids().empty());
    CHECK(zones.take_released().size() == 6);
}

TEST_CASE("who asks for a number gets it, and whoever had it moves", "[zones]") {
    CtZones zones;
    ZoneUsers users = two_switches();
    zones.update(users, {});
    zones.take_assigned();
    const uint16_t wanted = zones.of_port("lp1");
    const uint16_t snat_before = zones.snat(uuid(2));
    users.datapaths[uuid(2)].snat = wanted;
    CHECK(zones.update(users, {}) == std::set<Uuid>{uuid(1), uuid(2)});
    CHECK(zones.snat(uuid(2)) == wanted);
    CHECK(zones.of_port("lp1") != wanted);
    CHECK(zones.of_port("lp1") != 0);
    CHECK(zones.of_port("lp1") != snat_before);  // not emptied yet
    CHECK(set_of(zones.take_assigned()) == std::set<uint16_t>{wanted, zones.of_port("lp1")});
    CHECK(zones.take_released() == std::vector<uint16_t>{snat_before});

    SECTION("two may ask for the same") {
        users.datapaths[uuid(1)].snat = wanted;
        zones.update(users, {});
        CHECK(zones.snat(uuid(1)) == wanted);
        CHECK(zones.snat(uuid(2)) == wanted);
    }
    SECTION("it stays when the request goes") {
        users.datapaths[uuid(2)].snat.reset();
        CHECK(zones.update(users, {}).empty());
        CHECK(zones.snat(uuid(2)) == wanted);
    }
    SECTION("0 and numbers out of the range may be asked for") {
        users.datapaths[uuid(2)].snat = 0;
        zones.update(users, {});
        CHECK(zones.zones().at(to_string(uuid(2)) + "_snat") == 0);
        users.datapaths[uuid(2)].snat = 777;
        zones.update(users, {1, 100});
        CHECK(zones.snat(uuid(2)) == 777);
    }
}

TEST_CASE("a zone that two hold by mistake is parted", "[zones]") {
    CtZones zones;
    zones.restore({{"ct-zone-lp1", "5"}, {"ct-zone-lp2", "5"}});
    zones.update(two_switches(), {});
    CHECK(zones.of_port("lp1") == 5);
    CHECK(zones.of_port("lp2") != 5);
    CHECK(numbers(zones).size() == 6);
}

TEST_CASE("numbers come from ct-zone-range", "[zones]") {
    CtZones zones;
    zones.update(two_switches(), {});
    zones.update(two_switches(), {100, 110});
    CHECK(numbers(zones) == std::set<uint16_t>{100, 101, 102, 103, 104, 105});
    CHECK(zones.take_released().size() == 6);
    zones.update(two_switches(), {200, 203});
    CHECK(numbers(zones) == std::set<uint16_t>{200, 201, 202, 203});
    CHECK(zones.waiting() == 2);
}

TEST_CASE("limits go with the zone, the port's before its datapath's", "[zones]") {
    CtZones zones;
    ZoneUsers users = two_switches();
    users.ports["lp1"].limit = 5;
    users.datapaths[uuid(2)].limit = 100;
    zones.update(users, {});
    const std::map<uint16_t, uint32_t> expected = {
        {zones.of_port("lp1"), 5}, {zones.dnat(uuid(2)), 100}, {zones.snat(uuid(2)), 100}};
    CHECK(zones.limits() == expected);
    users.ports["lp1"].limit.reset();
    zones.update(users, {});
    CHECK(zones.limits().size() == 2);
}
