// SPDX-License-Identifier: Apache-2.0
// Whole datapaths: what vanishes, what is read, what is shared, what is reported.
#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

#include "control/compile/compile.h"
#include "lib/program/table.h"
#include "lib/stats/counters.h"

using namespace sluice;
using namespace sluice::compile;

namespace {

class TwoPorts final : public Names {
public:
    bool security = false;
    std::map<std::string, std::string, std::less<>> variables;

    std::optional<uint32_t> port_key(std::string_view name) const override {
        return name == "vm1"   ? std::optional<uint32_t>(1)
               : name == "vm2" ? std::optional<uint32_t>(2)
                               : std::nullopt;
    }
    const std::vector<std::string>* address_set(std::string_view) const override { return nullptr; }
    const std::vector<std::string>* port_group(std::string_view) const override { return nullptr; }
    bool is_chassis_resident(std::string_view) const override { return true; }
    const std::string* template_var(std::string_view name) const override {
        const auto at = variables.find(name);
        return at == variables.end() ? nullptr : &at->second;
    }
    bool inport_possible(uint32_t key) const override { return key == 1; }
    bool port_security_in_use() const override { return security; }
};

class Flows {
public:
    void add(PipelineSide side, uint8_t table, uint16_t priority, const std::string& match,
             const std::string& actions) {
        auto flow = std::make_unique<Flow>();
        flow->id = static_cast<uint32_t>(flows_.size());
        flow->uuid.bytes[15] = static_cast<uint8_t>(flows_.size());
        flow->side = side;
        flow->table = table;
        flow->priority = priority;
        flow->match = std::make_shared<const std::string>(match);
        flow->actions = std::make_shared<const std::string>(actions);
        flows_.push_back(std::move(flow));
    }
    DatapathInput input(const Names& names) const {
        DatapathInput out;
        out.names = &names;
        for (const auto& flow : flows_) {
            out.flows.push_back(flow.get());
        }
        return out;
    }

private:
    std::vector<std::unique_ptr<Flow>> flows_;
};

bool reads(const Compiled& compiled, unsigned side, Slot slot) {
    return std::any_of(compiled.reads[side].begin(), compiled.reads[side].end(),
                       [&](const SlotMask& of_class) { return of_class.w[slot] != 0; });
}

const Rule* only_rule(const Table* table) {
    REQUIRE(table->n_segments == 1);
    REQUIRE(table->segments[0].form == Form::kConst);
    return table->segments[0].constant.rule;
}

}  // namespace

TEST_CASE("Tables that only go on vanish, unreachable ones go") {
    Flows flows;
    flows.add(kIngress, 0, 0, "1", "next;");
    flows.add(kIngress, 1, 100, "reg0[0] == 1", "ct_next;");  // registers start as 0
    flows.add(kIngress, 1, 0, "1", "next;");
    flows.add(kIngress, 2, 10, "ip4.dst == 10.0.0.1", "outport = \"vm1\"; next(4);");
    flows.add(kIngress, 2, 0, "1", "outport = \"vm2\"; next(4);");
    flows.add(kIngress, 3, 0, "1", "drop;");  // nothing goes here
    flows.add(kIngress, 4, 0, "1", "output;");
    flows.add(kEgress, 0, 0, "1", "output;");
    Compiler compiler;
    const TwoPorts names;
    const Compiled compiled = compiler.compile(flows.input(names));
    CHECK(compiled.errors.empty());
    CHECK(compiled.tables[0][0] == compiled.tables[0][2]);
    CHECK(compiled.tables[0][1] == compiled.tables[0][2]);
    CHECK(compiled.tables[0][2] != compiled.tables[0][4]);
    // Past the last table and in unreachable ones every packet is dropped by name.
    for (const unsigned table : {3u, 5u, 63u}) {
        const Rule* rule = only_rule(compiled.tables[0][table]);
        CHECK(rule->code[0].op == Op::kDrop);
        CHECK(rule->code[0].a == static_cast<uint8_t>(Drop::k_no_match));
    }
    CHECK(reads(compiled, 0, kSlotIp4Dst));
    CHECK(reads(compiled, 0, kSlotEthType));
    CHECK_FALSE(reads(compiled, 0, kSlotXxreg0));
    CHECK_FALSE(reads(compiled, 1, kSlotEthType));
}

TEST_CASE("Flags are carried from ingress to egress, registers are not") {
    Flows flows;
    flows.add(kIngress, 0, 0, "1", "flags.force_snat_for_lb = 1; reg1 = 7; output;");
    flows.add(kEgress, 0, 20, "reg1 == 7", "drop;");
    flows.add(kEgress, 0, 10, "flags.force_snat_for_lb == 1 && ip4", "drop;");
    flows.add(kEgress, 0, 9, "flags.skip_snat_for_lb == 1 && tcp", "drop;");
    flows.add(kEgress, 0, 0, "1", "output;");
    Compiler compiler;
    const TwoPorts names;
    const Compiled compiled = compiler.compile(flows.input(names));
    CHECK_FALSE(reads(compiled, 1, kSlotXxreg0));
    CHECK(reads(compiled, 1, kSlotFlags));
    CHECK(reads(compiled, 1, kSlotEthType));
    CHECK_FALSE(reads(compiled, 1, kSlotIpProto));
}

TEST_CASE("Flows for ports that cannot enter here go") {
    Flows flows;
    flows.add(kIngress, 0, 10, "inport == \"vm2\" && tcp", "drop;");
    flows.add(kIngress, 0, 0, "1", "inport = \"vm2\"; next;");
    flows.add(kIngress, 1, 10, "inport == \"vm2\" && udp", "drop;");  // assigned meanwhile
    flows.add(kIngress, 1, 0, "1", "output;");
    Compiler compiler;
    const TwoPorts names;
    const Compiled compiled = compiler.compile(flows.input(names));
    CHECK(compiled.tables[0][0]->n_rows == 1);
    CHECK(reads(compiled, 0, kSlotIpProto));  // of table 1: inport is known to be vm2 there
    CHECK_FALSE(reads(compiled, 0, kSlotInport));
}

TEST_CASE("Without port security its checks read nothing and never fail") {
    Flows flows;
    flows.add(kIngress, 0, 0, "1", "reg0[15] = check_in_port_sec(); next;");
    flows.add(kIngress, 1, 50, "reg0[15] == 1", "drop;");
    flows.add(kIngress, 1, 0, "1", "next;");
    flows.add(kIngress, 2, 0, "1", "output;");
    Compiler compiler;
    TwoPorts names;
    const Compiled open = compiler.compile(flows.input(names));
    CHECK_FALSE(reads(open, 0, kSlotEthSrc));
    CHECK(open.tables[0][1] == open.tables[0][2]);
    names.security = true;
    DatapathInput input = flows.input(names);
    input.previous = &open;
    const Compiled guarded = compiler.compile(input);
    CHECK(reads(guarded, 0, kSlotEthSrc));
    CHECK(reads(guarded, 0, kSlotIp4Src));
    CHECK(guarded.tables[0][1] != guarded.tables[0][2]);
}

TEST_CASE("Reads cover action sources, hashes and lengths") {
    Flows flows;
    flows.add(kIngress, 0, 0, "1", "reg0 = ip4.dst; reg1[0] = check_pkt_larger(1514); next;");
    flows.add(kIngress, 1, 0, "1", "reg2[0..15] = select(1=10, 2=30);");
    flows.add(kIngress, 2, 0, "ip.ttl == 255", "ip.ttl--; get_arp(outport, reg0); output;");
    Compiler compiler;
    const TwoPorts names;
    const Compiled compiled = compiler.compile(flows.input(names));
    CHECK(compiled.errors.empty());
    CHECK(reads(compiled, 0, kSlotIp4Dst));
    CHECK(reads(compiled, 0, kSlotPktLen));
    CHECK(reads(compiled, 0, kSlotFlowHash));
    CHECK(reads(compiled, 0, kSlotIpTtl));
    CHECK(compiled.pkt_lens == std::vector<uint32_t>{1514});
    const Rule* rule = only_rule(compiled.tables[0][1]);
    REQUIRE(rule->length == 2);
    CHECK(rule->code[0].op == Op::kSelect);
    CHECK(rule->code[1].op == Op::kNext);  // select goes on by itself
    const auto* group = static_cast<const SelectGroup*>(rule->code[0].p);
    CHECK(group->total == 40);
    CHECK(group->entries[1].id == 2);
}

TEST_CASE("Errors stay with their flow") {
    Flows flows;
    flows.add(kIngress, 0, 30, "ip4 &&", "drop;");
    flows.add(kIngress, 0, 20, "ip4.src == $later", "drop;");
    flows.add(kIngress, 0, 10, "ip4", "nonsense();");
    flows.add(kIngress, 0, 0, "1", "output;");
    Compiler compiler;
    const TwoPorts names;
    const Compiled compiled = compiler.compile(flows.input(names));
    REQUIRE(compiled.errors.size() == 3);
    CHECK(compiled.errors[0].text.find("match column 7") != std::string::npos);
    CHECK(compiled.errors[1].text.find("unknown address set $later") != std::string::npos);
    CHECK(compiled.errors[2].text.find("actions column 1") != std::string::npos);
    // The third drops by name under its own priority, the others are not there.
    const Table* table = compiled.tables[0][0];
    REQUIRE(table->n_rows == 2);
    const Rule* rule = table->segments[0].linear.rows.first[0].rule;
    CHECK(rule->flow == 2);
    CHECK(rule->code[0].a == static_cast<uint8_t>(Drop::k_malformed_flow));
}

TEST_CASE("Equal tables of two datapaths are one") {
    Flows flows;
    for (int i = 0; i < 20; ++i) {
        flows.add(kIngress, 0, 10, "ip4.dst == 10.0.0." + std::to_string(i), "output;");
    }
    Compiler compiler;
    const TwoPorts names;
    const Compiled a = compiler.compile(flows.input(names));
    const Compiled b = compiler.compile(flows.input(names));
    CHECK(a.tables[0][0] == b.tables[0][0]);
}

TEST_CASE("Template variables are put in before parsing") {
    Flows flows;
    flows.add(kIngress, 0, 10, "ip4.dst == ^VIP && tcp.dst == ^PORT", "output;");
    flows.add(kIngress, 0, 0, "1", "drop;");
    Compiler compiler;
    TwoPorts names;
    CHECK(compiler.compile(flows.input(names)).errors.size() == 1);
    names.variables = {{"VIP", "10.0.0.9"}, {"PORT", "80"}};
    const Compiled compiled = compiler.compile(flows.input(names));
    CHECK(compiled.errors.empty());
    CHECK(compiled.tables[0][0]->n_rows == 2);
    const References references = compiler.references(*flows.input(names).flows[0]);
    CHECK(references.template_vars == std::vector<std::string>{"PORT", "VIP"});
}

TEST_CASE("Every pass tells what it did") {
    struct Listener final : PassListener {
        std::map<std::string, std::string> texts;
        void pass(std::string_view name, std::string_view text) override {
            texts.emplace(name, text);
        }
    } listener;
    Flows flows;
    flows.add(kIngress, 0, 0, "1", "next;");
    flows.add(kIngress, 1, 10, "inport == \"vm1\" && ip4", "outport = \"vm2\"; output;");
    Compiler compiler;
    const TwoPorts names;
    compiler.compile(flows.input(names), &listener);
    CHECK(listener.texts.at("parse").find("match: inport == \"vm1\"") != std::string::npos);
    CHECK(listener.texts.at("bind").find("ports: vm1, vm2") != std::string::npos);
    CHECK(listener.texts.at("normalise").find("row: inport in 0x1") != std::string::npos);
    CHECK(listener.texts.at("optimise").find("ingress 0: 1 flows, 1 rows left; vanishes") !=
          std::string::npos);
    CHECK(listener.texts.at("lower").find("linear 1 row: few rows") != std::string::npos);
}
