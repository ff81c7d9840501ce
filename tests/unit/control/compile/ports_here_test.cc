// SPDX-License-Identifier: Apache-2.0
// Rows for ports of other chassis go, as long as nothing changes the port on the way; tables whose
// rows have nothing to do with an address set do not mind when it changes.
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "control/compile/compile.h"
#include "control/compile/compile_memo.h"
#include "lib/program/table.h"

using namespace sluice;
using namespace sluice::compile;

namespace {

/// Port 1 is here, ports 2 and 3 are on another chassis.
class Place final : public Names {
public:
    std::map<std::string, std::vector<std::string>, std::less<>> sets{{"as", {"10.0.0.1"}}};
    std::map<std::string, std::vector<std::string>, std::less<>> groups{
        {"here", {"p1", "p2"}}, {"elsewhere", {"p2", "p3"}}};
    std::set<uint32_t> possible{1};

    std::optional<uint32_t> port_key(std::string_view name) const override {
        return name.size() == 2 && name[0] == 'p'
                   ? std::optional(static_cast<uint32_t>(name[1] - '0'))
                   : std::nullopt;
    }
    const std::vector<std::string>* address_set(std::string_view name) const override {
        const auto at = sets.find(name);
        return at == sets.end() ? nullptr : &at->second;
    }
    const std::vector<std::string>* port_group(std::string_view name) const override {
        const auto at = groups.find(name);
        return at == groups.end() ? nullptr : &at->second;
    }
    bool is_chassis_resident(std::string_view port) const override { return port == "p1"; }
    const std::string* template_var(std::string_view) const override { return nullptr; }
    bool inport_possible(uint32_t key) const override { return possible.contains(key); }
    bool outport_possible(uint32_t key) const override { return possible.contains(key); }
};

class Flows {
public:
    Flow* add(PipelineSide side, uint8_t table, uint16_t priority, const char* match,
              const char* actions) {
        auto flow = std::make_unique<Flow>();
        flow->id = static_cast<uint32_t>(flows_.size());
        flow->uuid.bytes[15] = static_cast<uint8_t>(flows_.size());
        flow->side = side;
        flow->table = table;
        flow->priority = priority;
        flow->match = std::make_shared<const std::string>(match);
        flow->actions = std::make_shared<const std::string>(actions);
        flows_.push_back(std::move(flow));
        return flows_.back().get();
    }
    void remove_last() { flows_.pop_back(); }
    DatapathInput input(const Place* place) const {
        DatapathInput input;
        input.names = place;
        for (const auto& flow : flows_) {
            input.flows.push_back(flow.get());
        }
        return input;
    }

private:
    std::vector<std::unique_ptr<Flow>> flows_;
};

/// Two tables a side; the second of each has flows for ports of both kinds.
Flows network() {
    Flows flows;
    for (const PipelineSide side : {kIngress, kEgress}) {
        const std::string port = side == kIngress ? "inport" : "outport";
        flows.add(side, 0, 0, "1", "next;");
        flows.add(side, 1, 30, (port + " == @here && ip4.src == 10.9.0.0/16").c_str(), "drop;");
        flows.add(side, 1, 20, (port + " == @elsewhere && ip4.src == $as").c_str(), "drop;");
        flows.add(side, 1, 10, (port + " == \"p3\" && ip4").c_str(), "drop;");
        flows.add(side, 1, 0, "1", "output;");
    }
    return flows;
}

unsigned rows(const Compiled& compiled, PipelineSide side) {
    return compiled.tables[side][1]->n_rows;
}

}  // namespace

TEST_CASE("flows for ports of other chassis are no rows here") {
    const Place place;
    Compiler compiler;
    const Compiled compiled = compiler.compile(network().input(&place));
    CHECK(compiled.errors.empty());
    CHECK(rows(compiled, kIngress) == 2);
    CHECK(rows(compiled, kEgress) == 2);
    for (const unsigned side : {0u, 1u}) {
        CHECK_FALSE(has_to_do_with(compiled, side, 1, "as"));
    }
    Place all;
    all.possible = {1, 2, 3};
    const Compiled everything = compiler.compile(network().input(&all));
    for (const PipelineSide side : {kIngress, kEgress}) {
        CHECK(rows(everything, side) == 4);
        CHECK(has_to_do_with(everything, side, 1, "as"));
        CHECK_FALSE(has_to_do_with(everything, side, 0, "as"));
    }
}

TEST_CASE("a set that is empty now has to do with its rows all the same") {
    Place place;
    place.sets["as"].clear();
    Flows flows;
    flows.add(kIngress, 0, 10, "inport == @here && ip4.src == $as", "drop;");
    flows.add(kIngress, 0, 5, "is_chassis_resident(\"p9\") && ip4.src == $other", "drop;");
    flows.add(kIngress, 0, 0, "1", "output;");
    Compiler compiler;
    const Compiled compiled = compiler.compile(flows.input(&place));
    CHECK(has_to_do_with(compiled, kIngress, 0, "as"));
    CHECK_FALSE(has_to_do_with(compiled, kIngress, 0, "other"));
}

TEST_CASE("who changes the port on the way keeps the rows of other ports") {
    struct Case {
        PipelineSide side;
        const char* actions;
        bool keeps_in;
        bool keeps_out;
    };
    const Case cases[] = {
        {kIngress, "inport = \"p2\"; next;", true, false},
        {kIngress, "reg0 <-> reg1; outport = inport; next;", false, false},
        {kIngress, "outport = \"p2\"; next;", false, false},
        {kEgress, "outport = \"p2\"; next;", false, true},
        {kIngress, "clone { inport = outport; next; }; next;", true, false},
        {kEgress, "clone { inport = outport; next(pipeline=ingress, table=0); }; next;", true,
         false},
        {kIngress, "outport = \"p3\"; next(pipeline=egress, table=1);", false, true},
    };
    for (const Case& c : cases) {
        INFO(c.side << " " << c.actions);
        const Place place;
        Flows flows = network();
        Compiler compiler;
        const Compiled without = compiler.compile(flows.input(&place));
        flows.add(c.side, 0, 10, "udp", c.actions);
        DatapathInput input = flows.input(&place);
        input.previous = &without;
        input.dirty_tables[c.side] = 1;
        const Compiled with = compiler.compile(input);
        REQUIRE(with.errors.empty());
        CHECK(rows(with, kIngress) == (c.keeps_in ? 4 : 2));
        CHECK(rows(with, kEgress) == (c.keeps_out ? 4 : 2));
        CHECK(has_to_do_with(with, kIngress, 1, "as") == c.keeps_in);
        CHECK(has_to_do_with(with, kEgress, 1, "as") == c.keeps_out);

        // And back again.
        flows.remove_last();
        input = flows.input(&place);
        input.previous = &with;
        input.dirty_tables[c.side] = 1;
        const Compiled again = compiler.compile(input);
        for (const PipelineSide side : {kIngress, kEgress}) {
            CHECK(rows(again, side) == 2);
            CHECK(again.tables[side][1]->content_hash == without.tables[side][1]->content_hash);
        }
    }
}
