// SPDX-License-Identifier: Apache-2.0
// Actions that remember, recall or choose, as instructions; and matches on the connection's ports.
#include <algorithm>

#include <catch2/catch.hpp>

#include "control/compile/compile.h"
#include "control/compile/expr.h"
#include "control/compile/print.h"
#include "lib/program/ct_args.h"
#include "lib/program/table.h"

using namespace sluice;
using namespace sluice::compile;

namespace {

class Ports final : public Names {
public:
    std::optional<uint32_t> port_key(std::string_view name) const override {
        return name == "a"   ? std::optional<uint32_t>(11)
               : name == "b" ? std::optional<uint32_t>(12)
                             : std::nullopt;
    }
    const std::vector<std::string>* address_set(std::string_view) const override { return nullptr; }
    const std::vector<std::string>* port_group(std::string_view) const override { return nullptr; }
    bool is_chassis_resident(std::string_view) const override { return true; }
    const std::string* template_var(std::string_view) const override { return nullptr; }
    bool inport_possible(uint32_t) const override { return true; }
    bool port_security_in_use() const override { return false; }
};

struct One {
    Compiler compiler;
    Ports names;
    Flow flow;
    Compiled compiled;

    explicit One(const std::string& actions, const std::string& match = "1",
                 bool by_connection = false) {
        compiler.set_dialect(lang::Dialect::kMain);
        flow.id = 0;
        flow.by_connection = by_connection;
        flow.match = std::make_shared<const std::string>(match);
        flow.actions = std::make_shared<const std::string>(actions);
        DatapathInput input;
        input.names = &names;
        input.flows.push_back(&flow);
        compiled = compiler.compile(input);
        REQUIRE(compiled.errors.empty());
    }
    std::vector<Instr> code() const {
        const Table* table = compiled.tables[kIngress][0];
        REQUIRE(table->n_segments == 1);
        REQUIRE(table->segments[0].form == Form::kConst);
        const Rule* rule = table->segments[0].constant.rule;
        return {rule->code, rule->code + rule->length};
    }
    bool reads(unsigned slot) const {
        const ClassReads& reads = compiled.reads[kIngress];
        return std::any_of(reads.begin(), reads.end(),
                           [&](const SlotMask& of_class) { return of_class.w[slot] != 0; });
    }
};

}  // namespace

TEST_CASE("commit_lb_aff says who had which backend, and holds a lease on it") {
    const One tcp(
        "commit_lb_aff(vip = \"10.0.0.1:80\", backend = \"10.0.0.2:8080\", proto = tcp, "
        "timeout = 60); next;");
    const auto code = tcp.code();
    REQUIRE(code[0].op == Op::kCommitLbAff);
    const auto& args = *static_cast<const LbAffinityArgs*>(code[0].p);
    CHECK(args.vip[3] == 0x0a000001);
    CHECK(args.vip_port == 80);
    CHECK(args.backend[3] == 0x0a000002);
    CHECK(args.backend_port == 8080);
    CHECK(args.proto == 6);
    CHECK(args.timeout_s == 60);
    REQUIRE(args.lease);
    CHECK(LbLease::is_held(args.lease->number(), args.lease->epoch()));

    const One six(
        "commit_lb_aff(vip = \"[fd00::1]:80\", backend = \"[fd00::2]:80\", proto = udp, "
        "timeout = 5); next;");
    const auto& args6 = *static_cast<const LbAffinityArgs*>(six.code()[0].p);
    CHECK(args6.is_v6);
    CHECK(args6.proto == 17);
    CHECK(args6.vip[0] == 0xfd000000);
    CHECK(args6.backend[3] == 2);
}

TEST_CASE("chk_lb_aff and the ECMP checks write their bit") {
    const One one(
        "reg9[6] = chk_lb_aff(); reg0[1] = chk_ecmp_nh(); reg0[2] = chk_ecmp_nh_mac(); "
        "commit_ecmp_nh(ipv6 = \"true\", proto = sctp); next;");
    const auto code = one.code();
    REQUIRE(code.size() >= 4);
    CHECK(code[0].op == Op::kChkLbAff);
    CHECK(code[0].e == kSlotXreg4 + 1);
    CHECK(code[0].f == 6);
    CHECK(code[1].op == Op::kChkEcmpNh);
    CHECK(code[2].op == Op::kChkEcmpNhMac);
    CHECK(code[2].f == 2);
    CHECK(code[3].op == Op::kCommitEcmpNh);
    CHECK(code[3].a == 1);
    CHECK(code[3].b == 132);
}

TEST_CASE("select by named fields reads these and not the flow hash") {
    const One plain("reg0[0..15] = select(1, 2);");
    CHECK(plain.reads(kSlotFlowHash));
    const One named("reg0[0..15] = select(values=(1=10, 2=20); hash_fields=\"ip_src,tcp_dst\");");
    CHECK(named.code()[0].d == (select_hash::kIpSrc | select_hash::kL4Dst));
    CHECK_FALSE(named.reads(kSlotFlowHash));
    CHECK(named.reads(kSlotIp4Src));
    CHECK(named.reads(kSlotIp6Src));
    CHECK(named.reads(kSlotL4Dst));
    CHECK_FALSE(named.reads(kSlotIp4Dst));
    CHECK_FALSE(named.reads(kSlotL4Src));
}

TEST_CASE("fwd_group chooses a port and sends there; with an unknown port it does nothing") {
    const One one("fwd_group(liveness=\"true\", childports=\"a\",\"b\");");
    const auto code = one.code();
    REQUIRE(code.size() == 2);
    CHECK(code[0].op == Op::kFwdGroup);
    CHECK(code[0].a == 1);
    const auto& group = *static_cast<const FwdGroupArgs*>(code[0].p);
    REQUIRE(group.count == 2);
    CHECK(group.ports[0] == 11);
    CHECK(group.ports[1] == 12);
    CHECK(code[1].op == Op::kOutput);

    const One unknown("fwd_group(childports=\"a\",\"z\");");
    CHECK(unknown.code().empty());
}

TEST_CASE("EVPN actions") {
    const auto code = One("outport = get_remote_fdb(eth.dst); reg0[3] = chk_evpn_arp(reg1); "
                          "flood_remote; mac_cache_use; next;")
                          .code();
    REQUIRE(code.size() >= 4);
    CHECK(code[0].op == Op::kGetRemoteFdb);
    CHECK(code[0].a == kSlotOutport);
    CHECK(code[0].b == kSlotEthDst);
    CHECK(code[1].op == Op::kChkEvpnArp);
    CHECK(code[1].b == kSlotXxreg0 + 1);
    CHECK(code[1].c == 0);
    CHECK(code[1].f == 3);
    CHECK(code[2].op == Op::kFloodRemote);
    CHECK(code[3].op == Op::kMacCacheUse);
}

TEST_CASE("ACLs translated to connections look at the connection's ports") {
    using lang::SymbolTable;
    const SymbolTable& table = SymbolTable::of(lang::Dialect::kMain, true);
    const auto raw = [&](const char* text) {
        const auto parsed = lang::parse_match(text, table);
        REQUIRE(parsed);
        return lang::print(lang::annotate(*parsed));
    };
    CHECK(raw("tcp") == "ct_proto == 6");
    CHECK(raw("sctp") == "ct_proto == 132");
    CHECK(raw("udp.dst == 53").find("ct_proto == 17") != std::string::npos);
    CHECK(SymbolTable::of(lang::Dialect::kMain).find("ct_proto") == nullptr);

    const One packet("output;", "tcp.dst == 80");
    CHECK(packet.reads(kSlotL4Dst));
    CHECK_FALSE(packet.reads(kSlotCtTpDst));
    const One connection("output;", "tcp.dst == 80 || icmp4.type == 8", true);
    CHECK(connection.reads(kSlotCtTpDst));
    CHECK(connection.reads(kSlotCtProto));
    CHECK(connection.reads(kSlotL4Src));  // of ICMP
    CHECK_FALSE(connection.reads(kSlotL4Dst));
}
