// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/binding.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "control/chassis/liveness.h"
#include "control/physical/entries.h"
#include "control/physical/local_datapaths.h"
#include "control/physical/view.h"
#include "control/sb/conditions.h"

using namespace sluice;
using namespace sluice::chassis;

namespace {

using ovsdb::Datum;

/// A mirror made by hand.
class Builder {
public:
    Builder() {
        for (const ovsdb::TableSpec& spec : sb::table_specs()) {
            specs_.push_back(spec);
        }
    }
    Uuid add(uint32_t table, const std::map<std::string, Datum>& values) {
        auto row = std::make_shared<ovsdb::Row>();
        row->uuid = random_uuid();
        for (const std::string& column : specs_[table].columns) {
            const auto it = values.find(column);
            row->columns.push_back(it == values.end() ? Datum() : it->second);
        }
        update_.changes.push_back({table, row->uuid, nullptr, row, 0});
        return row->uuid;
    }
    void commit() { mirror.apply(std::exchange(update_, {})); }

    Uuid chassis(const std::string& name) {
        return add(sb::kChassis, {{"name", Datum(name)}, {"hostname", Datum("host-" + name)}});
    }
    Uuid datapath(int key, const char* kind) {
        return add(sb::kDatapathBinding, {{"tunnel_key", Datum(int64_t{key})},
                                          {"external_ids", Datum::string_map({{kind, "x"}})}});
    }
    Uuid port(const std::string& name, const Uuid& datapath, int key, const std::string& type,
              std::map<std::string, Datum> more = {}) {
        more["logical_port"] = Datum(name);
        more["datapath"] = ovsdb::uuid_set({datapath});
        more["tunnel_key"] = Datum(int64_t{key});
        more["type"] = Datum(type);
        return add(sb::kPortBinding, more);
    }
    Uuid ha_group(const std::vector<std::pair<Uuid, int>>& members,
                  const std::vector<Uuid>& refs = {}) {
        std::vector<Uuid> list;
        for (const auto& [chassis_uuid, priority] : members) {
            list.push_back(add(sb::kHaChassis, {{"chassis", ovsdb::uuid_set({chassis_uuid})},
                                                {"priority", Datum(int64_t{priority})}}));
        }
        return add(sb::kHaChassisGroup,
                   {{"ha_chassis", ovsdb::uuid_set(list)}, {"ref_chassis", ovsdb::uuid_set(refs)}});
    }

    sb::Mirror mirror;

private:
    std::vector<ovsdb::TableSpec> specs_;
    ovsdb::Update update_;
};

Datum ref(const Uuid& uuid) {
    return ovsdb::uuid_set({uuid});
}

Datum option(std::string_view key, std::string_view value) {
    return Datum::string_map({{key, value}});
}

}  // namespace

TEST_CASE("who gets which port") {
    Builder b;
    const Uuid hv1 = b.chassis("hv1");
    const Uuid hv2 = b.chassis("hv2");
    const Uuid sw = b.datapath(1, "logical-switch");
    const Uuid vif = b.port("vif", sw, 1, "");
    const Uuid other = b.port("other", sw, 2, "");
    const Uuid child =
        b.port("child", sw, 3, "", {{"parent_port", Datum("vif")}, {"tag", Datum(5)}});
    const Uuid orphan =
        b.port("orphan", sw, 4, "", {{"parent_port", Datum("other")}, {"tag", Datum(5)}});
    const Uuid virt = b.port("virt", sw, 5, "virtual", {{"virtual_parent", Datum("vif")}});
    const Uuid free = b.port("free", sw, 6, "virtual");
    const Uuid gw =
        b.port("gw", sw, 7, "l3gateway", {{"options", option("l3gateway-chassis", "hv1")}});
    const Uuid gw2 =
        b.port("gw2", sw, 8, "l3gateway", {{"options", option("l3gateway-chassis", "hv2")}});
    const Uuid l2 =
        b.port("l2", sw, 9, "l2gateway", {{"options", option("l2gateway-chassis", "hv1")}});
    const Uuid best = b.port("best", sw, 10, "chassisredirect",
                             {{"ha_chassis_group", ref(b.ha_group({{hv1, 20}, {hv2, 10}}))}});
    const Uuid router = b.datapath(2, "logical-router");
    const Uuid second = b.port("second", router, 11, "chassisredirect",
                               {{"ha_chassis_group", ref(b.ha_group({{hv1, 10}, {hv2, 20}}))}});
    const Uuid tie = b.port("tie", sw, 12, "external",
                            {{"ha_chassis_group", ref(b.ha_group({{hv2, 10}, {hv1, 10}}))}});
    const Uuid lport = b.port("lport", sw, 13, "localport");
    const Uuid patch = b.port("patch", sw, 14, "patch");
    const Uuid kept =
        b.port("kept", sw, 15, "",
               {{"requested_chassis", ref(hv2)}, {"options", option("requested-chassis", "hv2")}});
    const Uuid named =
        b.port("named", sw, 16, "", {{"options", option("requested-chassis", "hv2,hv1")}});
    const Uuid strange = b.port("strange", sw, 17, "from-the-future");
    b.commit();
    Attachments here;
    for (const char* name : {"vif", "lport", "kept", "named", "strange", "unknown"}) {
        here.vifs[name] = {1, name, ""};
    }
    const BindingPlan plan = plan_bindings(b.mirror, here, {"hv1", "host-hv1"}, {"hv2"});
    for (const Uuid& uuid : {vif, child, virt, gw, l2, best, tie, named}) {
        INFO(b.mirror.ports.find(uuid)->logical_port);
        CHECK(plan.has(uuid));
    }
    for (const Uuid& uuid : {other, orphan, free, gw2, second, lport, patch, kept, strange}) {
        INFO(b.mirror.ports.find(uuid)->logical_port);
        CHECK_FALSE(plan.has(uuid));
    }
    CHECK(plan.claims.at(named).additional);
    CHECK_FALSE(plan.claims.at(vif).additional);
    CHECK(plan.standby == std::unordered_set<Uuid>{router});
    CHECK(plan.refused.size() == 1);
}

// The rules are those of the reference's ha_chassis_group_is_active().
TEST_CASE("of several gateways the best that answers is active", "[ha]") {
    Builder b;
    const Uuid gw1 = b.chassis("gw1");
    const Uuid gw2 = b.chassis("gw2");
    const Uuid gw3 = b.chassis("gw3");
    const Uuid hv = b.chassis("hv");
    const Uuid router = b.datapath(1, "logical-router");
    const Uuid group = b.ha_group({{gw1, 30}, {gw2, 20}, {gw3, 10}}, {hv});
    const Uuid port =
        b.port("cr", router, 1, "chassisredirect", {{"ha_chassis_group", ref(group)}});
    const Uuid lone = b.port("lone", router, 2, "chassisredirect",
                             {{"ha_chassis_group", ref(b.ha_group({{gw2, 1}}))}});
    // Of two members one has no chassis: still a group of two.
    const Uuid half = b.port("half", router, 3, "chassisredirect",
                             {{"ha_chassis_group", ref(b.ha_group({{gw2, 1}, {Uuid{}, 5}}))}});
    b.commit();
    const auto plan = [&](const char* self, const std::set<std::string>& live) {
        return plan_bindings(b.mirror, {}, {self, ""}, live);
    };
    CHECK(plan("gw1", {"gw2"}).has(port));
    CHECK(plan("gw1", {"hv"}).has(port));
    CHECK_FALSE(plan("gw1", {}).has(port));  // nobody answers: the fault may be here
    CHECK(plan("gw1", {}).standby.contains(router));
    CHECK_FALSE(plan("gw2", {"gw1", "gw3", "hv"}).has(port));
    CHECK(plan("gw2", {"gw3", "hv"}).has(port));
    CHECK(plan("gw2", {"hv"}).has(port));
    CHECK_FALSE(plan("gw3", {"gw2"}).has(port));
    CHECK(plan("gw3", {"hv"}).has(port));
    CHECK_FALSE(plan("hv", {"gw1", "gw2"}).has(port));
    CHECK(plan("gw2", {}).has(lone));
    CHECK_FALSE(plan("gw2", {}).has(half));
    CHECK(plan("gw2", {"hv"}).has(half));

    // Who watches whom.
    const auto watched = [&](const Uuid& self) { return bfd_chassis(b.mirror, self); };
    CHECK(watched(hv) == std::set<Uuid>{gw1, gw2, gw3});
    CHECK(watched(gw1) == std::set<Uuid>{gw2, gw3, hv});
    CHECK(watched(random_uuid()).empty());
}

TEST_CASE("local datapaths follow patch ports") {
    Builder b;
    b.chassis("hv1");
    const Uuid hv2 = b.chassis("hv2");
    const Uuid s1 = b.datapath(1, "logical-switch");
    const Uuid r = b.datapath(2, "logical-router");
    const Uuid s2 = b.datapath(3, "logical-switch");
    const Uuid out = b.datapath(4, "logical-switch");
    const Uuid island = b.datapath(5, "logical-switch");
    b.port("vif", s1, 1, "");
    b.port("s1-r", s1, 2, "patch", {{"options", option("peer", "r-s1")}});
    b.port("r-s1", r, 1, "patch", {{"options", option("peer", "s1-r")}});
    b.port("r-s2", r, 2, "patch", {{"options", option("peer", "s2-r")}});
    b.port("s2-r", s2, 1, "patch", {{"options", option("peer", "r-s2")}});
    // A gateway port whose traffic is always redirected leads nowhere from here.
    b.port("r-out", r, 3, "patch",
           {{"options",
             Datum::string_map({{"peer", "out-r"}, {"chassis-redirect-port", "cr-r-out"}})}});
    b.port("out-r", out, 1, "patch", {{"options", option("peer", "r-out")}});
    b.port("cr-r-out", r, 4, "chassisredirect",
           {{"options", option("always-redirect", "true")},
            {"ha_chassis_group", ref(b.ha_group({{hv2, 1}}))}});
    b.port("far", island, 1, "");
    b.commit();
    Attachments here;
    here.vifs["vif"] = {1, "vif", ""};
    const BindingPlan plan = plan_bindings(b.mirror, here, {"hv1", ""});
    CHECK(physical::local_datapaths(b.mirror, plan, "hv1") == std::set<Uuid>{s1, r, s2});
    const BindingPlan gateway = plan_bindings(b.mirror, {}, {"hv2", ""});
    CHECK(physical::local_datapaths(b.mirror, gateway, "hv2") == std::set<Uuid>{s1, r, s2, out});
    CHECK(physical::local_datapaths(b.mirror, plan_bindings(b.mirror, {}, {"hv1", ""}), "hv1")
              .empty());
}

TEST_CASE("reach and replication on a switch with a localnet port") {
    Builder b;
    b.chassis("hv1");
    const Uuid hv2 = b.chassis("hv2");
    const Uuid sw = b.datapath(1, "logical-switch");
    std::vector<Uuid> members = {
        b.port("vif", sw, 1, ""), b.port("far", sw, 2, "", {{"chassis", ref(hv2)}}),
        b.port("phys", sw, 3, "localnet",
               {{"options", option("network_name", "net")}, {"tag", Datum(100)}})};
    b.add(sb::kMulticastGroup, {{"datapath", ref(sw)},
                                {"name", Datum("_MC_flood")},
                                {"tunnel_key", Datum(32768)},
                                {"ports", ovsdb::uuid_set(members)}});
    b.commit();
    Attachments here;
    here.vifs["vif"] = {5, "vif", ""};
    const Identity identity{"hv1", ""};
    const physical::Tunnels tunnels;
    const std::unordered_map<Uuid, uint32_t> index = {{sw, 0}};
    const auto build = [&] {
        const BindingPlan plan = plan_bindings(b.mirror, here, identity);
        const chassis::CtZones zones;
        const physical::View view{b.mirror, here, plan, identity, tunnels, index, zones};
        const auto ports = physical::build_ports(view, sw);
        return std::pair(ports, physical::build_groups(view, sw, *ports));
    };
    // Without a mapping of the network the remote port has no way.
    CHECK((*build().first->by_key.find(2))->reach == Reach::kNoTunnel);
    CHECK((*build().first->by_key.find(3))->reach == Reach::kUnbound);
    here.physnets["net"] = 6;
    const auto [ports, groups] = build();
    CHECK((*ports->by_key.find(1))->port == 5);
    CHECK((*ports->by_key.find(2))->reach == Reach::kLocalnet);
    CHECK((*ports->by_key.find(2))->via_key == 3);
    CHECK((*ports->by_key.find(3))->port == 6);
    CHECK((*ports->by_key.find(3))->vlan_tci == 0x1064);
    CHECK((*ports->by_key.find(3))->is_localnet);
    const Group* group = *groups->by_key.find(32768);
    CHECK(group->local == std::vector<uint32_t>{1, 3});
    CHECK(group->tunnels.empty());
}

TEST_CASE("monitor conditions name what is local") {
    Builder b;
    const Uuid hv1 = b.chassis("hv1");
    const Uuid sw = b.datapath(7, "logical-switch");
    const Uuid group = b.add(sb::kDpGroup, {{"datapaths", ref(sw)}});
    b.commit();
    const auto has = [](const ovsdb::Condition& condition, const std::string& column,
                        const Datum& value) {
        return std::any_of(condition.clauses.begin(), condition.clauses.end(),
                           [&](const ovsdb::Clause& clause) {
                               return clause.column == column && clause.value == value;
                           });
    };
    auto list = sb::conditions({false, "hv1", {"lp1"}, {sw}}, b.mirror);
    CHECK(has(list[sb::kPortBinding], "logical_port", Datum("lp1")));
    CHECK(has(list[sb::kPortBinding], "parent_port", Datum("lp1")));
    CHECK(has(list[sb::kPortBinding], "datapath", ref(sw)));
    CHECK(has(list[sb::kPortBinding], "chassis", ref(hv1)));
    CHECK(has(list[sb::kLogicalFlow], "logical_datapath", ref(sw)));
    CHECK(has(list[sb::kLogicalFlow], "logical_dp_group", ref(group)));
    CHECK(has(list[sb::kFdb], "dp_key", Datum(7)));
    CHECK_FALSE(list[sb::kLogicalFlow].everything);
    CHECK(sb::conditions({true, "hv1", {}, {}}, b.mirror)[sb::kLogicalFlow].everything);
    CHECK(sb::conditions({false, "hv1", {}, {}}, b.mirror)[sb::kLogicalFlow].clauses.empty());
}
