// SPDX-License-Identifier: Apache-2.0
// Datapaths with the same lists of flows share what is made of them, and nothing else.
#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "control/compile/compile.h"
#include "lib/program/table.h"

using namespace sluice;
using namespace sluice::compile;

namespace {

/// One datapath's names.
class Place final : public Names, public FlowTables {
public:
    std::map<std::string, uint32_t, std::less<>> ports;
    std::map<std::string, std::vector<std::string>, std::less<>> sets, groups;
    std::set<std::string, std::less<>> resident;
    bool security = true;
    std::map<unsigned, FlowList> lists;  ///< of ingress

    std::optional<uint32_t> port_key(std::string_view name) const override {
        const auto at = ports.find(name);
        return at == ports.end() ? std::nullopt : std::optional(at->second);
    }
    const std::vector<std::string>* address_set(std::string_view name) const override {
        const auto at = sets.find(name);
        return at == sets.end() ? nullptr : &at->second;
    }
    const std::vector<std::string>* port_group(std::string_view name) const override {
        const auto at = groups.find(name);
        return at == groups.end() ? nullptr : &at->second;
    }
    bool is_chassis_resident(std::string_view port) const override {
        return resident.contains(port);
    }
    const std::string* template_var(std::string_view) const override { return nullptr; }
    bool inport_possible(uint32_t) const override { return true; }
    bool port_security_in_use() const override { return security; }
    FlowList flows(unsigned side, unsigned table) const override {
        const auto at = lists.find(table);
        return side == kIngress && at != lists.end() ? at->second : nullptr;
    }
};

/// Flows, first come first in their list.
class Flows {
public:
    const Flow* add(uint8_t table, uint16_t priority, const char* match, const char* actions) {
        auto flow = std::make_unique<Flow>();
        flow->id = static_cast<uint32_t>(flows_.size());
        flow->uuid.bytes[15] = static_cast<uint8_t>(flows_.size());
        flow->table = table;
        flow->priority = priority;
        flow->match = std::make_shared<const std::string>(match);
        flow->actions = std::make_shared<const std::string>(actions);
        flows_.push_back(std::move(flow));
        return flows_.back().get();
    }

private:
    std::vector<std::unique_ptr<Flow>> flows_;
};

FlowList list(std::vector<const Flow*> flows) {
    return std::make_shared<const std::vector<const Flow*>>(std::move(flows));
}

Compiled compile_shared(Compiler* compiler, const Place& place, const Compiled* previous = nullptr,
                        uint64_t dirty = ~uint64_t{0}) {
    DatapathInput input;
    input.names = &place;
    input.tables = &place;
    input.previous = previous;
    input.dirty_tables = {dirty, dirty};
    return compiler->compile(input);
}

/// By a compiler that has nothing to share, from flows in any order.
Compiled compile_alone(const Place& place) {
    DatapathInput input;
    input.names = &place;
    for (const auto& [table, flows] : place.lists) {
        input.flows.insert(input.flows.begin(), flows->rbegin(), flows->rend());
    }
    return Compiler().compile(input);
}

void check_same(const Compiled& shared, const Compiled& alone) {
    CHECK(shared.errors.size() == alone.errors.size());
    for (unsigned side = 0; side < 2; ++side) {
        CHECK(shared.reads[side] == alone.reads[side]);
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            INFO("side " << side << " table " << table);
            CHECK(shared.tables[side][table]->content_hash ==
                  alone.tables[side][table]->content_hash);
        }
    }
}

bool looks_at(const Compiled& compiled, unsigned slot) {
    return std::any_of(compiled.reads[kIngress].begin(), compiled.reads[kIngress].end(),
                       [&](const SlotMask& reads) { return reads.w[slot] != 0; });
}

}  // namespace

TEST_CASE("a list without names is compiled once, one with names for each datapath") {
    Flows flows;
    const FlowList balancers =
        list({flows.add(0, 100, "ip4.dst == 10.0.0.1 && tcp.dst == 80", "reg0[0] = 1; next;"),
              flows.add(0, 100, "ip4.dst == 10.0.0.2 && tcp.dst == 80", "reg0[0] = 1; next;"),
              flows.add(0, 0, "1", "next;")});
    const FlowList acls =
        list({flows.add(1, 100, "inport == @pg && ip4.src == $as", "drop;"),
              flows.add(1, 50, "is_chassis_resident(\"vm\") && udp", "drop;"),
              flows.add(1, 40, "inport == \"vm\" && ip6", "drop;"), flows.add(1, 0, "1", "next;")});
    const FlowList output =
        list({flows.add(2, 10, "reg0[0] == 1 && ip4", "outport = \"vm\"; output;"),
              flows.add(2, 0, "1", "drop;")});
    Place a;
    a.ports = {{"vm", 1}, {"other", 2}};
    a.groups = {{"pg", {"vm", "other"}}};
    a.sets = {{"as", {"10.1.0.1", "10.2.0.0/16"}}};
    a.resident = {"vm"};
    a.lists = {{0, balancers}, {1, acls}, {2, output}};
    Place b = a;
    b.ports = {{"vm", 7}};
    b.resident = {};
    Place c = b;
    c.groups = {{"pg", {"nobody"}}};
    Compiler compiler;
    const Compiled in_a = compile_shared(&compiler, a);
    const Compiled in_b = compile_shared(&compiler, b);
    const Compiled in_c = compile_shared(&compiler, c);
    CHECK(in_a.tables[0][0] == in_b.tables[0][0]);
    CHECK(in_a.tables[0][0] == in_c.tables[0][0]);
    CHECK(in_a.tables[0][1] != in_b.tables[0][1]);
    CHECK(in_b.tables[0][1] != in_c.tables[0][1]);
    CHECK(in_a.tables[0][2] != in_b.tables[0][2]);
    check_same(in_a, compile_alone(a));
    check_same(in_b, compile_alone(b));
    check_same(in_c, compile_alone(c));

    SECTION("a name that changes is seen where tables are told to be dirty") {
        b.resident = {"vm"};
        b.sets["as"] = {"10.3.0.1"};
        const Compiled next = compile_shared(&compiler, b, &in_b, 1u << 1);
        CHECK(next.tables[0][0] == in_b.tables[0][0]);
        CHECK(next.tables[0][1] != in_b.tables[0][1]);
        check_same(next, compile_alone(b));
    }
    SECTION("another list of the same flows is shared no less by its contents") {
        b.lists[0] = list(*balancers);
        check_same(compile_shared(&compiler, b), compile_alone(b));
    }
    SECTION("a list that gained a flow") {
        std::vector<const Flow*> more = *balancers;
        more.insert(more.begin(), flows.add(0, 200, "ip4.dst == 10.0.0.3", "drop;"));
        a.lists[0] = list(more);
        const Compiled next = compile_shared(&compiler, a, &in_a, 1u);
        CHECK(next.tables[0][0] != in_a.tables[0][0]);
        CHECK(next.tables[0][1] == in_a.tables[0][1]);
        check_same(next, compile_alone(a));
    }
}

TEST_CASE("a shared list that is entered in another way is compiled for that") {
    Flows flows;
    const FlowList second =
        list({flows.add(1, 10, "reg1 == 1 && ip4", "drop;"), flows.add(1, 0, "1", "output;")});
    Place a;
    a.lists = {{0, list({flows.add(0, 0, "1", "reg1 = 1; next;")})}, {1, second}};
    Place b;
    b.lists = {{0, list({flows.add(0, 0, "1", "reg1 = 2; next;")})}, {1, second}};
    Compiler compiler;
    const Compiled in_a = compile_shared(&compiler, a);
    const Compiled in_b = compile_shared(&compiler, b);
    CHECK(in_a.tables[0][1] != in_b.tables[0][1]);
    check_same(in_a, compile_alone(a));
    check_same(in_b, compile_alone(b));
}

TEST_CASE("who has port security does not share the checks with who has not") {
    Flows flows;
    const FlowList check = list({flows.add(0, 0, "1", "reg0[15] = check_in_port_sec(); next;")});
    const FlowList judge =
        list({flows.add(1, 50, "reg0[15] == 1", "drop;"), flows.add(1, 0, "1", "output;")});
    Place a;
    a.lists = {{0, check}, {1, judge}};
    Place b = a;
    b.security = false;
    Compiler compiler;
    const Compiled in_a = compile_shared(&compiler, a);
    const Compiled in_b = compile_shared(&compiler, b);
    CHECK(in_a.tables[0][1] != in_b.tables[0][1]);
    CHECK(looks_at(in_a, kSlotEthSrc));
    CHECK_FALSE(looks_at(in_b, kSlotEthSrc));
    check_same(in_a, compile_alone(a));
    check_same(in_b, compile_alone(b));
}

TEST_CASE("an address set is read again when its members change, whatever the round") {
    Flows flows;
    Place a;
    a.sets = {{"as", {"10.0.0.1"}}};
    a.lists = {
        {0, list({flows.add(0, 10, "ip4.src == $as", "drop;"), flows.add(0, 0, "1", "output;")})}};
    Compiler compiler;
    DatapathInput input;
    input.names = &a;
    input.tables = &a;
    input.round = 1;
    const Compiled before = compiler.compile(input);
    a.sets["as"] = {"10.0.0.2"};
    input.round = 2;
    const Compiled after = compiler.compile(input);
    CHECK(before.tables[0][0]->content_hash != after.tables[0][0]->content_hash);
    check_same(after, compile_alone(a));
}
