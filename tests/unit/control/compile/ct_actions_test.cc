// SPDX-License-Identifier: Apache-2.0
// Conntrack actions as instructions: zone, NAT, commit, and whether flows see the answer, as the
// ct() that ovn-controller makes of each (its tests and its flow tables say which).
#include <catch2/catch.hpp>

#include "control/compile/compile.h"
#include "lib/program/ct_args.h"
#include "lib/program/table.h"

using namespace sluice;
using namespace sluice::compile;

namespace {

class Ports final : public Names {
public:
    std::optional<uint32_t> port_key(std::string_view) const override { return 1; }
    const std::vector<std::string>* address_set(std::string_view) const override { return nullptr; }
    const std::vector<std::string>* port_group(std::string_view) const override { return nullptr; }
    bool is_chassis_resident(std::string_view port) const override { return port == "here"; }
    const std::string* template_var(std::string_view) const override { return nullptr; }
    bool inport_possible(uint32_t) const override { return true; }
    bool port_security_in_use() const override { return false; }
};

struct One {
    Compiler compiler;
    Ports names;
    Flow flow;
    Compiled compiled;
    std::vector<Instr> code;

    explicit One(const std::string& actions, lang::Dialect dialect = lang::Dialect::kMain) {
        compiler.set_dialect(dialect);
        flow.id = 0;
        flow.match = std::make_shared<const std::string>("1");
        flow.actions = std::make_shared<const std::string>(actions);
        DatapathInput input;
        input.names = &names;
        input.flows.push_back(&flow);
        compiled = compiler.compile(input);
        REQUIRE(compiled.errors.empty());
        // The prerequisite "ip" may make rows of it; all have the same code.
        const Segment& segment = compiled.tables[kIngress][0]->segments[0];
        REQUIRE((segment.form == Form::kLinear || segment.form == Form::kConst));
        const Rule* rule = segment.form == Form::kConst ? segment.constant.rule
                                                        : segment.linear.rows.first[0].rule;
        code.assign(rule->code, rule->code + rule->length);
        REQUIRE(!code.empty());
    }
};

constexpr auto kPort = static_cast<uint8_t>(CtZone::kPort);
constexpr auto kPortSnat = static_cast<uint8_t>(CtZone::kPortSnat);
constexpr auto kDnat = static_cast<uint8_t>(CtZone::kDnat);
constexpr auto kSnat = static_cast<uint8_t>(CtZone::kSnat);
constexpr auto kCommon = static_cast<uint8_t>(CtZone::kCommon);

/// A look, in `zone`, that goes on in the next table.
void check_look(const std::string& actions, uint8_t zone, bool nat) {
    CAPTURE(actions);
    const One one(actions);
    REQUIRE(one.code.size() == 2);
    CHECK(one.code[0].op == Op::kCtNext);
    CHECK(one.code[0].a == zone);
    CHECK(one.code[0].b == nat);
    CHECK(one.code[1].op == Op::kNext);
    CHECK(one.code[1].d == 1);
}

/// A commit; `next`: that goes on in the next table by itself.
void check_commit(const std::string& actions, uint8_t zone, CtNat nat, bool next) {
    CAPTURE(actions);
    const One one(actions);
    REQUIRE(one.code.size() == (next ? 2 : 1));
    CHECK(one.code[0].op == Op::kCtCommit);
    CHECK(one.code[0].a == zone);
    CHECK(one.code[0].b == next);
    CHECK(static_cast<const CtCommitArgs*>(one.code[0].p)->nat.kind == nat);
    if (next) {
        CHECK(one.code[1].op == Op::kNext);
    }
}

}  // namespace

TEST_CASE("what looks a connection up, in which zone", "[ct_actions]") {
    check_look("ct_next;", kPort, false);
    check_look("ct_next(dnat);", kPort, false);
    check_look("ct_next(snat);", kPortSnat, false);
    check_look("ct_dnat;", kDnat, true);
    check_look("ct_snat;", kSnat, true);
    check_look("ct_dnat_in_czone;", kCommon, true);
    check_look("ct_snat_in_czone;", kCommon, true);
    check_look("ct_lb;", kPort, true);
    check_look("ct_lb_mark;", kPort, true);
}

TEST_CASE("what commits, with which NAT", "[ct_actions]") {
    check_commit("ct_commit;", kPort, CtNat::kSrc, false);  // nat(src) without a range
    check_commit("ct_commit_to_zone(dnat);", kPort, CtNat::kNone, true);
    check_commit("ct_commit_to_zone(snat);", kPortSnat, CtNat::kNone, true);
    check_commit("ct_commit_nat;", kPort, CtNat::kRestore, true);
    check_commit("ct_commit_nat(snat);", kPortSnat, CtNat::kRestore, true);
    check_commit("ct_dnat(10.0.0.1);", kDnat, CtNat::kDst, true);
    check_commit("ct_snat(10.0.0.1);", kSnat, CtNat::kSrc, true);
    check_commit("ct_dnat_in_czone(10.0.0.1);", kCommon, CtNat::kDst, true);
    check_commit("ct_snat_in_czone(10.0.0.1);", kCommon, CtNat::kSrc, true);
}

TEST_CASE("addresses and ports of NAT", "[ct_actions]") {
    const One range("ct_snat(192.168.1.2, 3000-3100);");
    const auto* args = static_cast<const CtCommitArgs*>(range.code[0].p);
    CHECK(args->nat.low[3] == 0xc0a80102);
    CHECK(args->nat.high[3] == 0xc0a80102);
    CHECK_FALSE(args->nat.is_v6);
    CHECK(args->nat.port_low == 3000);
    CHECK(args->nat.port_high == 3100);
    const One six("ct_dnat(fd11::2);");
    args = static_cast<const CtCommitArgs*>(six.code[0].p);
    CHECK(args->nat.is_v6);
    CHECK(args->nat.low[0] == 0xfd110000);
    CHECK(args->nat.low[3] == 2);
    CHECK(args->nat.port_low == 0);
}

TEST_CASE("the block of ct_commit follows it", "[ct_actions]") {
    const One one("ct_commit { ct_mark = 1/1; ct_label = 5; }; next;");
    REQUIRE(one.code.size() == 7);
    CHECK(one.code[0].op == Op::kCtCommit);
    CHECK(one.code[0].d == 5);  // one word of mark, four of label
    CHECK(one.code[1].op == Op::kLoad);
    CHECK(one.code[1].a == kSlotCtMark);
    CHECK(one.code[1].e == 1);
    CHECK(one.code[6].op == Op::kNext);
}

TEST_CASE("backends and what is noted of them", "[ct_actions]") {
    const One mark(
        "ct_lb_mark(backends=10.0.0.1:80,10.0.0.2; hash_fields=\"ip_src,tcp_dst\"; "
        "force_snat);");
    const auto* lb = static_cast<const CtLbArgs*>(mark.code[0].p);
    REQUIRE(lb->backends.size() == 2);
    CHECK(lb->backends[0].address[3] == 0x0a000001);
    CHECK(lb->backends[0].port == 80);
    CHECK(lb->backends[1].port == 0);
    CHECK(lb->marks.mark == (2 | 8));  // natted, force_snat
    CHECK(lb->marks.mark_mask == (2 | 8));
    CHECK(lb->hash_fields == (select_hash::kIpSrc | select_hash::kL4Dst));
    CHECK(mark.code[1].op == Op::kNext);
    const One label("ct_lb(backends=10.0.0.1; skip_snat);", lang::Dialect::k2303);
    lb = static_cast<const CtLbArgs*>(label.code[0].p);
    CHECK(lb->marks.mark_mask == 0);
    CHECK(lb->marks.label[3] == (2 | 4));  // natted, skip_snat
    CHECK(lb->marks.label_mask[3] == (2 | 4));
}

TEST_CASE("only backends that live here", "[ct_actions]") {
    const One some("ct_lb_mark_local(backends=\"here\":10.0.0.1:80,\"there\":10.0.0.2:80);");
    const auto* lb = static_cast<const CtLbArgs*>(some.code[0].p);
    REQUIRE(lb->backends.size() == 1);
    CHECK(lb->backends[0].address[3] == 0x0a000001);
    const One none("ct_lb_mark_local(backends=\"there\":10.0.0.2:80);");
    CHECK(none.code[0].op == Op::kDrop);
}

TEST_CASE("what a connection was made for, in registers", "[ct_actions]") {
    const One address("reg4 = ct_nw_dst();");
    CHECK(address.code[0].op == Op::kCtOriginal);
    CHECK(address.code[0].b == static_cast<uint8_t>(CtOriginal::kIp4Dst));
    CHECK(address.code[0].a == kSlotXxreg1);
    CHECK(address.code[0].e == 32);
    const One port("reg2[0..15] = ct_tp_dst();");
    CHECK(port.code[0].b == static_cast<uint8_t>(CtOriginal::kL4Dst));
    CHECK(port.code[0].a == kSlotXxreg0 + 2);
    CHECK(port.code[0].c == 0);
    CHECK(port.code[0].e == 16);
    const One six("xxreg1 = ct_ip6_dst();");
    CHECK(six.code[0].a == kSlotXxreg1);
    CHECK(six.code[0].e == 128);
}
