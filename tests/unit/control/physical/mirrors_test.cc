// SPDX-License-Identifier: Apache-2.0
// Mirror rows to sinks and bits. Headers are what Open vSwitch 3.1 sends for such a mirror (as the
// conformance cases see it), those over IPv6 by RFC 7676 and the ERSPAN type II draft.
#include "control/physical/mirrors.h"

#include <catch2/catch.hpp>

#include "control/ovsdb/transaction.h"

using namespace sluice;
using namespace sluice::physical;

namespace {

using Columns = std::map<std::string, ovsdb::Datum>;

Uuid uuid(uint8_t n) {
    Uuid u;
    u.bytes[0] = n;
    return u;
}

std::string hex(const MirrorSink& sink) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (unsigned i = 0; i < sink.header_len; ++i) {
        out += kDigits[sink.header[i] >> 4];
        out += kDigits[sink.header[i] & 15];
    }
    return out;
}

/// Ports 1, 2 and 3 are VIFs here; mirrors are what a test says.
struct World {
    sb::Mirror mirror;
    chassis::Attachments here;
    chassis::BindingPlan plan;
    UnderlayModel underlay;
    Mirrors mirrors;
    bool has_port_change = false;

    World() {
        underlay.set_devices({{"up0", "br-a", "eth0", 3, 0x02aa00000001, 1500}});
        REQUIRE(underlay.add_address("up0", "192.168.0.1/24").ok());
        REQUIRE(underlay.add_address("up0", "fd00::1/64").ok());
        REQUIRE(underlay.set_neighbor("up0", "192.168.0.2", "02:00:00:00:00:02").ok());
        REQUIRE(underlay.set_neighbor("up0", "fd00::2", "02:00:00:00:00:02").ok());
    }
    void put(sb::Table table, uint8_t id, const Columns& columns) {
        const auto spec = sb::table_specs()[table];
        auto row = std::make_shared<ovsdb::Row>();
        row->uuid = uuid(id);
        for (const std::string& name : spec.columns) {
            const auto it = columns.find(name);
            row->columns.push_back(it == columns.end() ? ovsdb::Datum() : it->second);
        }
        ovsdb::Update change;
        change.changes.push_back({table, row->uuid, nullptr, row, ~0ull});
        mirror.apply(change);
    }
    void rule(uint8_t id, const char* name, const char* type, const char* sink, int64_t index,
              const char* filter) {
        put(sb::kMirror, id,
            {{"name", ovsdb::Datum(name)},
             {"type", ovsdb::Datum(type)},
             {"sink", ovsdb::Datum(sink)},
             {"index", ovsdb::Datum(index)},
             {"filter", ovsdb::Datum(filter)}});
    }
    void port(uint8_t id, const std::vector<Uuid>& rules) {
        put(sb::kPortBinding, id,
            {{"logical_port", ovsdb::Datum("lp" + std::to_string(id))},
             {"mirror_rules", ovsdb::uuid_set(rules)}});
        plan.claims[uuid(id)] = {};
    }
    bool update() {
        underlay.begin_round();
        return mirrors.update(mirror, plan, here, {*parse_address("192.168.0.1")}, &underlay,
                              &has_port_change);
    }
    Mirrors::Bits bits(uint8_t id) { return mirrors.of(*mirror.ports.find(uuid(id))); }
    const MirrorSink& sink(unsigned number) { return *mirrors.list().at(number); }
};

}  // namespace

TEST_CASE("GRE and ERSPAN sinks", "[mirrors]") {
    World world;
    world.rule(10, "a", "gre", "192.168.0.2", 5, "from-lport");
    world.rule(11, "b", "erspan", "192.168.0.2", 6, "to-lport");
    world.rule(12, "c", "gre", "fd00::2", 0x12345678, "both");
    world.port(1, {uuid(10), uuid(11)});
    world.port(2, {uuid(12)});
    CHECK(world.update());
    CHECK(world.has_port_change);
    CHECK(hex(world.sink(0)) ==
          "02000000000202aa0000000108004500000000004000402f0000c0a80001c0a80002"
          "2000655800000005");
    CHECK(hex(world.sink(1)) ==
          "02000000000202aa0000000108004500000000004000402f0000c0a80001c0a80002"
          "100088be000000001000000600000006");
    CHECK(hex(world.sink(2)) ==
          "02000000000202aa0000000186dd6000000000002f40"
          "fd000000000000000000000000000001fd000000000000000000000000000002"
          "2000655812345678");
    CHECK(world.sink(0).is_ready);
    CHECK(world.sink(0).port == 3);
    CHECK(world.bits(1).in == 1);
    CHECK(world.bits(1).out == 2);
    CHECK(world.bits(2).in == 4);
    CHECK(world.bits(2).out == 4);
    CHECK_FALSE(world.update());
    CHECK(world.mirrors.errors().empty());
}

TEST_CASE("a mirror has its number while a port of ours names it", "[mirrors]") {
    World world;
    for (uint8_t i = 0; i < 3; ++i) {
        const std::string name(1, static_cast<char>('a' + i));
        world.rule(static_cast<uint8_t>(10 + i), name.c_str(), "gre", "192.168.0.2", i, "both");
    }
    world.port(1, {uuid(10), uuid(11)});
    world.update();
    CHECK(world.bits(1).in == 3);
    world.port(1, {uuid(11), uuid(12)});
    CHECK(world.update());
    CHECK(world.bits(1).in == (1 | 2));  // the new one takes the free place
    CHECK(world.sink(0).header[world.sink(0).header_len - 1] == 2);
    world.plan.claims.clear();  // the port went elsewhere
    CHECK(world.update());
    CHECK(world.has_port_change);
    CHECK(world.bits(1).in == 0);
    CHECK(world.mirrors.list() == std::vector<std::shared_ptr<const MirrorSink>>(2));
}

TEST_CASE("a sink without a way is known, and its next hop asked for", "[mirrors]") {
    World world;
    world.rule(10, "a", "gre", "192.168.0.9", 5, "both");
    world.rule(11, "b", "gre", "10.9.9.9", 5, "both");
    world.port(1, {uuid(10), uuid(11)});
    world.update();
    CHECK_FALSE(world.sink(0).is_ready);
    CHECK_FALSE(world.sink(1).is_ready);
    REQUIRE(world.underlay.wanted(0).size() == 1);
    CHECK(world.underlay.wanted(0)[0].target4.value == 0xc0a80009);
    world.underlay.learned(3, *parse_address("192.168.0.9"), *parse_mac("02:00:00:00:00:09"), 0);
    CHECK(world.update());
    CHECK_FALSE(world.has_port_change);
    CHECK(world.sink(0).is_ready);
}

TEST_CASE("a local sink is the interface that says its name", "[mirrors]") {
    World world;
    world.rule(10, "a", "local", "tap", 0, "both");
    world.rule(11, "l", "lport", "lp9", 0, "both");  // logical flows do that
    world.port(1, {uuid(10), uuid(11)});
    world.update();
    CHECK(world.bits(1).in == 1);
    CHECK_FALSE(world.sink(0).is_ready);
    world.here.mirror_targets["tap"] = 7;
    CHECK(world.update());
    CHECK(world.sink(0).is_ready);
    CHECK(world.sink(0).port == 7);
    CHECK(world.sink(0).header_len == 0);
    CHECK(world.mirrors.errors().empty());
}

TEST_CASE("rows that cannot be served say why, the others go on", "[mirrors]") {
    World world;
    world.rule(10, "a", "erspan", "192.168.0.2", 1024, "both");  // ten bits
    world.rule(11, "b", "gre", "somewhere", 1, "both");
    world.rule(12, "c", "smoke", "192.168.0.2", 1, "both");
    world.rule(13, "d", "gre", "192.168.0.2", 4294967296, "both");
    world.rule(14, "e", "erspan", "192.168.0.2", 1023, "both");
    world.port(1, {uuid(10), uuid(11), uuid(12), uuid(13), uuid(14), uuid(99)});
    world.update();
    CHECK(world.mirrors.errors().size() == 4);
    CHECK(world.bits(1).in == 1);
    CHECK(hex(world.sink(0)).substr(68) == "100088be00000000100003ff000003ff");
}

TEST_CASE("a Mirror of the local database copies what its interfaces send and get", "[mirrors]") {
    World world;
    world.port(1, {});
    world.port(2, {uuid(10)});
    world.port(3, {});
    world.rule(10, "a", "gre", "192.168.0.2", 1, "both");
    world.update();
    chassis::Attachments::LocalMirror local;
    local.row = uuid(50);
    local.name = "m";
    local.from = {"lp1"};
    local.to = {"lp2"};
    local.output = 7;
    world.here.mirrors = {local};
    CHECK(world.update());
    CHECK(world.has_port_change);
    CHECK(world.sink(1).type == MirrorSink::Type::kLocal);
    CHECK(world.sink(1).port == 7);
    CHECK(world.sink(1).is_ready);
    CHECK(world.bits(1).in == 2);
    CHECK(world.bits(1).out == 0);
    CHECK(world.bits(2).in == 1);
    CHECK(world.bits(2).out == 3);
    CHECK(world.bits(3).out == 0);
    world.here.mirrors[0].all = true;
    CHECK(world.update());
    CHECK(world.has_port_change);
    CHECK(world.bits(3).in == 2);
    world.here.mirrors[0].is_refused = true;
    world.here.mirrors[0].errors = {"cannot"};
    CHECK(world.update());
    CHECK(world.bits(3).in == 0);
    CHECK(world.mirrors.errors() == std::vector<std::string>{"mirror m: cannot"});
    CHECK(world.bits(2).out == 1);
}
