// SPDX-License-Identifier: Apache-2.0
#include "control/physical/load_balancers.h"
#include "control/physical/hairpins.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::physical;

namespace {

IpAddress ip(const char* text) {
    return *parse_address(text);
}

Balancer read(sb::LoadBalancer row, std::vector<std::string>* errors,
              const sb::TemplateVar* variables = nullptr) {
    row.name = "lb0";
    return read_balancer(row, variables, errors);
}

}  // namespace

TEST_CASE("VIPs and backends as Load_Balancer.vips has them", "[balancers]") {
    CHECK(*parse_endpoint("10.0.0.1:80") == Endpoint{ip("10.0.0.1"), 80});
    CHECK(*parse_endpoint("10.0.0.1") == Endpoint{ip("10.0.0.1"), 0});
    CHECK(*parse_endpoint("[fd00::1]:8080") == Endpoint{ip("fd00::1"), 8080});
    CHECK(*parse_endpoint("fd00::1") == Endpoint{ip("fd00::1"), 0});
    CHECK(*parse_endpoint("[fd00::1]") == Endpoint{ip("fd00::1"), 0});
    for (const char* bad : {"", "10.0.0", "10.0.0.1:", "10.0.0.1:x", "10.0.0.1:65536", "[fd00::1",
                            "[fd00::1]80", "^vip:80", ":80"}) {
        INFO(bad);
        CHECK_FALSE(parse_endpoint(bad).has_value());
    }
}

TEST_CASE("a row of a load balancer", "[balancers]") {
    std::vector<std::string> errors;
    sb::LoadBalancer row;
    row.protocol = "udp";
    row.vips = {{"10.0.1.1:53", "10.0.0.1:53,10.0.0.2:54"}, {"[fd01::1]:53", "[fd00::2]:53"}};
    row.options = {{"hairpin_snat_ip", "88.88.88.88 fd00::88"}, {"ct_flush", "true"}};
    const Balancer b = read(row, &errors);
    CHECK(errors.empty());
    CHECK(b.proto == 17);
    CHECK(b.is_flushing);
    CHECK(b.snat4 == ip("88.88.88.88"));
    CHECK(b.snat6 == ip("fd00::88"));
    REQUIRE(b.vips.size() == 2);
    CHECK(b.vips[0].first == Endpoint{ip("10.0.1.1"), 53});
    CHECK(b.vips[0].second == std::vector<Endpoint>{{ip("10.0.0.1"), 53}, {ip("10.0.0.2"), 54}});
    CHECK(b.vips[1].second == std::vector<Endpoint>{{ip("fd00::2"), 53}});
}

TEST_CASE("what is wrong in a row is told and the rest is used", "[balancers]") {
    std::vector<std::string> errors;
    sb::LoadBalancer row;
    row.vips = {{"nonsense", "10.0.0.1:80"}, {"10.0.1.1:80", "x:1,10.0.0.2:80,[fd00::1]:80"}};
    row.options = {{"hairpin_snat_ip", "nowhere"}};
    const Balancer b = read(row, &errors);
    CHECK(errors.size() == 4);
    REQUIRE(b.vips.size() == 1);
    CHECK(b.vips[0].second == std::vector<Endpoint>{{ip("10.0.0.2"), 80}});
    CHECK(b.proto == 6);
}

TEST_CASE("template variables of the chassis are put in", "[balancers]") {
    std::vector<std::string> errors;
    sb::TemplateVar variables;
    variables.variables = {{"vip", "10.0.1.1"}, {"port", "80"}, {"backends", "10.0.0.1:8080"}};
    sb::LoadBalancer row;
    row.vips = {{"^vip:^port", "^backends"}};
    const Balancer b = read(row, &errors, &variables);
    CHECK(errors.empty());
    REQUIRE(b.vips.size() == 1);
    CHECK(b.vips[0].first == Endpoint{ip("10.0.1.1"), 80});
    CHECK(b.vips[0].second == std::vector<Endpoint>{{ip("10.0.0.1"), 8080}});
    CHECK(read(row, &errors).vips.empty());  // without the variables there is no such VIP
    CHECK(errors.size() == 1);
}

namespace {

/// A mirror that is fed with rows made by hand.
struct World {
    sb::Mirror mirror;
    chassis::Attachments attachments;
    chassis::BindingPlan plan;
    chassis::Identity identity{"hv1", "hv1"};
    Tunnels tunnels;
    std::unordered_map<Uuid, uint32_t> index;
    chassis::CtZones zones;
    View view{mirror, attachments, plan, identity, tunnels, index, zones};
};

}  // namespace

namespace {

using Columns = std::map<std::string, ovsdb::Datum>;

Uuid uuid(uint8_t n) {
    Uuid u;
    u.bytes[0] = n;
    return u;
}

void put(World* world, sb::Table table, uint8_t id, const Columns& columns) {
    const auto spec = sb::table_specs()[table];
    auto row = std::make_shared<ovsdb::Row>();
    row->uuid = uuid(id);
    for (const std::string& name : spec.columns) {
        const auto it = columns.find(name);
        row->columns.push_back(it == columns.end() ? ovsdb::Datum() : it->second);
    }
    ovsdb::Update update;
    update.changes.push_back({table, row->uuid, nullptr, row, ~0ull});
    world->mirror.apply(update);
}

void remove(World* world, sb::Table table, uint8_t id) {
    ovsdb::Update update;
    update.changes.push_back({table, uuid(id), nullptr, nullptr, ~0ull});
    world->mirror.apply(update);
}

const Uuid kSwitch = uuid(1);

ovsdb::Datum here() {
    return ovsdb::uuid_set({kSwitch});
}

}  // namespace

TEST_CASE("hairpins of a datapath, by its own rows and those of its groups", "[balancers]") {
    World world;
    CHECK(build_hairpins(world.view, kSwitch, nullptr) == nullptr);
    put(&world, sb::kDpGroup, 10, {{"datapaths", here()}});
    put(&world, sb::kLoadBalancer, 20,
        {{"vips", ovsdb::Datum::string_map({{"10.0.1.1:80", "10.0.0.1:8080,10.0.0.2:8081"}})},
         {"datapaths", here()},
         {"options", ovsdb::Datum::string_map({{"hairpin_orig_tuple", "true"}})}});
    put(&world, sb::kLoadBalancer, 21,
        {{"vips", ovsdb::Datum::string_map({{"10.0.1.3", "10.0.0.1"}})},
         {"ls_datapath_group", ovsdb::uuid_set({uuid(10)})},
         {"options", ovsdb::Datum::string_map({{"hairpin_snat_ip", "88.88.88.88"}})}});
    put(&world, sb::kLoadBalancer, 22,
        {{"vips", ovsdb::Datum::string_map({{"10.0.1.9", "10.0.0.9"}})},
         {"datapaths", ovsdb::uuid_set({uuid(2)})}});
    const auto part = build_hairpins(world.view, kSwitch, nullptr);
    REQUIRE(part);
    CHECK(part->n_entries == 3);
    CHECK(part->n_vips == 2);
    CHECK(part->table.vip4_slot == kSlotXxreg0 + 1);
    CHECK(part->table.natted_in_mark);
    const uint32_t backend[4] = {0, 0, 0, 0x0a000001};
    const auto* range = part->table.shards[0]->by_backend.find(LbHairpins::key(backend));
    REQUIRE(range);
    REQUIRE(range->end - range->begin == 2);
    const LbHairpin& with_port = part->table.shards[0]->entries[range->begin];
    CHECK(with_port.vip[3] == 0x0a000101);
    CHECK(with_port.snat[3] == 0x0a000101);
    CHECK(with_port.vip_port == 80);
    CHECK(with_port.backend_port == 8080);
    CHECK(with_port.proto == 6);
    CHECK(with_port.in_registers);
    const LbHairpin& without = part->table.shards[0]->entries[range->begin + 1];
    CHECK(without.backend_port == 0);
    CHECK(without.snat[3] == 0x58585858);
    CHECK_FALSE(without.in_registers);

    SECTION("what northd says about registers and marks") {
        put(&world, sb::kSbGlobal, 30,
            {{"options", ovsdb::Datum::string_map({{"register_consolidation", "true"},
                                                   {"lb_hairpin_use_ct_mark", "false"}})}});
        const auto other = build_hairpins(world.view, kSwitch, part.get());
        CHECK(other->table.vip4_slot == kSlotXxreg1);
        CHECK_FALSE(other->table.natted_in_mark);
        CHECK(other->table.shards[0]->entries[0].in_registers);
        CHECK_FALSE(equal(*part, *other));
    }
    SECTION("sessions go on over changes, and end with their backend") {
        with_port.session->set(1, 6);
        put(&world, sb::kLoadBalancer, 23,
            {{"vips", ovsdb::Datum::string_map({{"10.0.1.7", "10.0.0.7"}})},
             {"datapaths", here()}});
        const auto more = build_hairpins(world.view, kSwitch, part.get());
        CHECK_FALSE(equal(*part, *more));
        unsigned open = 0;
        for (const LbHairpin& h : more->table.shards[0]->entries) {
            open += h.session->has(1, 6);
        }
        CHECK(open == 1);
        remove(&world, sb::kLoadBalancer, 20);
        const auto less = build_hairpins(world.view, kSwitch, more.get());
        put(&world, sb::kLoadBalancer, 20,
            {{"vips", ovsdb::Datum::string_map({{"10.0.1.1:80", "10.0.0.1:8080"}})},
             {"datapaths", here()}});
        const auto again = build_hairpins(world.view, kSwitch, less.get());
        for (const LbHairpin& h : again->table.shards[0]->entries) {
            CHECK_FALSE(h.session->has(1, 6));
        }
    }
    SECTION("the same rows give an equal table") {
        CHECK(equal(*part, *build_hairpins(world.view, kSwitch, part.get())));
    }
}

TEST_CASE("connections to backends that go are to be flushed where ct_flush asks", "[balancers]") {
    World world;
    BackendWatch watch;
    const auto balancer = [&](const char* vip, const char* backends, const char* flush) {
        put(&world, sb::kLoadBalancer, 20,
            {{"vips", ovsdb::Datum::string_map({{vip, backends}})},
             {"protocol", ovsdb::Datum("udp")},
             {"datapaths", here()},
             {"options", ovsdb::Datum::string_map({{"ct_flush", flush}})}});
        watch.update(world.mirror, {kSwitch}, "hv1");
    };
    balancer("10.0.1.1:53", "10.0.0.1:53,10.0.0.2:54", "true");
    CHECK(watch.take().empty());

    SECTION("a backend less") {
        balancer("10.0.1.1:53", "10.0.0.1:53", "true");
        const auto filters = watch.take();
        REQUIRE(filters.size() == 1);
        CHECK(filters[0].dst->words[3] == 0x0a000101);
        CHECK(filters[0].dst_port == 53);
        CHECK(filters[0].reply_src->words[3] == 0x0a000002);
        CHECK(filters[0].reply_src_port == 54);
        CHECK(filters[0].proto == 17);
        CHECK_FALSE(filters[0].zone.has_value());
        CHECK(watch.take().empty());
    }
    SECTION("all of it gone") {
        remove(&world, sb::kLoadBalancer, 20);
        watch.update(world.mirror, {kSwitch}, "hv1");
        CHECK(watch.take().size() == 2);
    }
    SECTION("no longer local") {
        watch.update(world.mirror, {}, "hv1");
        CHECK(watch.take().size() == 2);
    }
    SECTION("the option gone is no reason") {
        balancer("10.0.1.1:53", "10.0.0.1:53,10.0.0.2:54", "false");
        CHECK(watch.take().empty());
        balancer("10.0.1.1:53", "10.0.0.1:53", "false");
        CHECK(watch.take().empty());
    }
    SECTION("without ports every protocol is meant") {
        balancer("10.0.1.1", "10.0.0.1", "true");
        watch.take();
        balancer("10.0.1.1", "10.0.0.2", "true");
        const auto filters = watch.take();
        REQUIRE(filters.size() == 1);
        CHECK_FALSE(filters[0].proto.has_value());
        CHECK_FALSE(filters[0].dst_port.has_value());
        CHECK_FALSE(filters[0].reply_src_port.has_value());
    }
}
