// SPDX-License-Identifier: Apache-2.0
// Hairpins: the comparisons of ovn-controller's tables 68 to 70 (OVN 23.03), seen by
// `ovs-ofctl dump-flows br-int`.
#include "datapath/lb_hairpin.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "datapath/conntrack/conntrack.h"

using namespace sluice;

namespace {

constexpr uint32_t kVip = 0x0a000101;
constexpr uint32_t kBackend = 0x0a000001;
constexpr uint32_t kSnat = 0x58585858;

/// One VIP with one backend.
struct Table {
    LbHairpins t;
    std::shared_ptr<LbHairpins::Shard> shard = std::make_shared<LbHairpins::Shard>();
    LbSession session;

    explicit Table(uint16_t vip_port = 80, uint16_t backend_port = 8080, bool in_registers = true) {
        LbHairpin h;
        h.in_registers = in_registers;
        h.proto = 6;
        h.vip_port = vip_port;
        h.backend_port = backend_port;
        h.vip[3] = kVip;
        h.backend[3] = kBackend;
        h.snat[3] = kSnat;
        h.session = &session;
        shard->entries = {h};
        shard->by_backend =
            FlatMap<uint64_t, LbHairpins::Range>({{LbHairpins::key(h.backend), {0, 1}}});
        LbVip v;
        v.in_registers = in_registers;
        v.proto = 6;
        v.port = vip_port;
        v.vip[3] = kVip;
        v.snat[3] = kSnat;
        shard->vips = {v};
        shard->by_vip = FlatMap<uint64_t, LbHairpins::Range>({{LbHairpins::key(v.vip), {0, 1}}});
        t.shards = {shard};
    }
};

/// From the backend to itself, balanced, as it looks when chk_lb_hairpin() is asked.
State hairpin() {
    State s;
    std::memset(&s, 0, sizeof s);
    s.w[kSlotEthType] = 0x0800;
    s.w[kSlotIpProto] = 6;
    s.w[kSlotIp4Src] = s.w[kSlotIp4Dst] = kBackend;
    s.w[kSlotL4Src] = 40000;
    s.w[kSlotL4Dst] = 8080;
    s.w[kSlotXxreg0 + 1] = kVip;
    s.w[kSlotXxreg0 + 2] = 80;
    s.w[kSlotCtMark] = 2;
    s.w[kSlotCtState] = ct::kTrk | ct::kEst | ct::kDnat;
    return s;
}

State reply() {
    State s = hairpin();
    s.w[kSlotIp4Dst] = kSnat;
    s.w[kSlotL4Src] = 8080;
    s.w[kSlotL4Dst] = 40000;
    return s;
}

CtTuple original() {
    CtTuple t{};
    t.dst[3] = kVip;
    t.src[3] = kBackend;
    t.proto = 6;
    t.dst_port = 80;
    return t;
}

}  // namespace

TEST_CASE("a packet balanced to its own sender is a hairpin", "[hairpin]") {
    const Table table;
    const State good = hairpin();
    REQUIRE(chk_lb_hairpin(&table.t, good, nullptr) == &table.shard->entries[0]);
    CHECK(chk_lb_hairpin(nullptr, good, nullptr) == nullptr);

    const auto without = [&](unsigned slot, uint32_t value) {
        State s = good;
        s.w[slot] = value;
        return chk_lb_hairpin(&table.t, s, nullptr);
    };
    CHECK(without(kSlotCtMark, 1) == nullptr);           // not natted
    CHECK(without(kSlotIp4Src, 0x0a000002) == nullptr);  // another client
    CHECK(without(kSlotIp4Dst, 0x0a000002) == nullptr);
    CHECK(without(kSlotL4Dst, 8081) == nullptr);
    CHECK(without(kSlotIpProto, 17) == nullptr);
    CHECK(without(kSlotXxreg0 + 1, kVip + 1) == nullptr);
    CHECK(without(kSlotXxreg0 + 2, 81) == nullptr);
    CHECK(without(kSlotEthType, 0x0806) == nullptr);
    CHECK(without(kSlotXxreg0 + 2, 0xffff0050) != nullptr);  // 16 bits of the register count
    CHECK(without(kSlotCtMark, 0xf2) != nullptr);
    CHECK(without(kSlotCtState, 0) != nullptr);
}

TEST_CASE("where older and newer northds note things", "[hairpin]") {
    Table table;
    State s = hairpin();
    SECTION("natted in ct_label") {
        table.t.natted_in_mark = false;
        CHECK(chk_lb_hairpin(&table.t, s, nullptr) == nullptr);
        s.w[kSlotCtLabel + 3] = 2;
        CHECK(chk_lb_hairpin(&table.t, s, nullptr) != nullptr);
    }
    SECTION("the VIP in reg4") {
        table.t.vip4_slot = kSlotXxreg1;
        CHECK(chk_lb_hairpin(&table.t, s, nullptr) == nullptr);
        std::swap(s.w[kSlotXxreg0 + 1], s.w[kSlotXxreg1]);
        CHECK(chk_lb_hairpin(&table.t, s, nullptr) != nullptr);
        CHECK(hairpin_vip(&table.t, s, nullptr) != nullptr);
    }
    SECTION("nowhere: the connection tells") {
        const Table old(80, 8080, false);
        s.w[kSlotXxreg0 + 1] = s.w[kSlotXxreg0 + 2] = 0;
        CtTuple t = original();
        CHECK(chk_lb_hairpin(&old.t, s, &t) != nullptr);
        CHECK(hairpin_vip(&old.t, s, &t) != nullptr);
        CHECK(chk_lb_hairpin(&old.t, s, nullptr) == nullptr);
        CHECK(hairpin_vip(&old.t, s, nullptr) == nullptr);
        t.dst_port = 81;
        CHECK(chk_lb_hairpin(&old.t, s, &t) == nullptr);
        CHECK(hairpin_vip(&old.t, s, &t) == nullptr);
        t.dst_port = 80;
        s.w[kSlotCtState] = ct::kTrk | ct::kEst;  // not translated
        CHECK(chk_lb_hairpin(&old.t, s, &t) == nullptr);
    }
}

TEST_CASE("an answer is one once its hairpin packet was seen", "[hairpin]") {
    Table table;
    CHECK(chk_lb_hairpin_reply(&table.t, reply(), 7) == HairpinReply::kNotYet);
    open_hairpin_session(*chk_lb_hairpin(&table.t, hairpin(), nullptr), hairpin(), 7);
    CHECK(chk_lb_hairpin_reply(&table.t, reply(), 7) == HairpinReply::kYes);
    CHECK(chk_lb_hairpin_reply(&table.t, reply(), 8) == HairpinReply::kNotYet);  // not there
    CHECK(chk_lb_hairpin_reply(nullptr, reply(), 7) == HairpinReply::kNo);
    const auto with = [&](unsigned slot, uint32_t value) {
        State s = reply();
        s.w[slot] = value;
        return chk_lb_hairpin_reply(&table.t, s, 7);
    };
    CHECK(with(kSlotIp4Dst, kVip) == HairpinReply::kNo);  // it has an address of its own to go to
    CHECK(with(kSlotIp4Src, kBackend + 1) == HairpinReply::kNo);
    CHECK(with(kSlotL4Src, 8081) == HairpinReply::kNo);
    CHECK(with(kSlotIpProto, 17) == HairpinReply::kNo);
    CHECK(with(kSlotCtMark, 0) == HairpinReply::kYes);
    CHECK(with(kSlotL4Dst, 1) == HairpinReply::kYes);
}

TEST_CASE("without ports every protocol is balanced, and seen for itself", "[hairpin]") {
    Table table(0, 0);
    State s = hairpin();
    s.w[kSlotIpProto] = 1;
    s.w[kSlotL4Dst] = 0;
    s.w[kSlotXxreg0 + 2] = 7;
    REQUIRE(chk_lb_hairpin(&table.t, s, nullptr) != nullptr);
    CHECK(hairpin_vip(&table.t, s, nullptr) != nullptr);
    open_hairpin_session(table.shard->entries[0], s, 7);
    State answer = reply();
    CHECK(chk_lb_hairpin_reply(&table.t, answer, 7) == HairpinReply::kNotYet);
    answer.w[kSlotIpProto] = 1;
    CHECK(chk_lb_hairpin_reply(&table.t, answer, 7) == HairpinReply::kYes);
}

TEST_CASE("ct_snat_to_vip finds the address by what was noted alone", "[hairpin]") {
    const Table table;
    State s = hairpin();
    s.w[kSlotIp4Src] = 1;
    s.w[kSlotL4Dst] = 1;
    s.w[kSlotCtMark] = 0;
    const LbVip* found = hairpin_vip(&table.t, s, nullptr);
    REQUIRE(found);
    CHECK(found->snat[3] == kSnat);
    s.w[kSlotXxreg0 + 2] = 81;
    CHECK(hairpin_vip(&table.t, s, nullptr) == nullptr);
    s.w[kSlotXxreg0 + 2] = 80;
    s.w[kSlotIpProto] = 17;
    CHECK(hairpin_vip(&table.t, s, nullptr) == nullptr);
    CHECK(hairpin_vip(nullptr, s, nullptr) == nullptr);
}

TEST_CASE("hairpins of IPv6", "[hairpin]") {
    Table table;
    LbHairpin& h = table.shard->entries[0];
    LbVip& v = table.shard->vips[0];
    const uint32_t vip[4] = {0xfd010000, 0, 0, 1};
    const uint32_t backend[4] = {0xfd000000, 0, 0, 2};
    h.is_v6 = v.is_v6 = true;
    std::copy(vip, vip + 4, h.vip);
    std::copy(vip, vip + 4, v.vip);
    std::copy(backend, backend + 4, h.backend);
    std::copy(vip, vip + 4, h.snat);
    table.shard->by_backend =
        FlatMap<uint64_t, LbHairpins::Range>({{LbHairpins::key(backend), {0, 1}}});
    table.shard->by_vip = FlatMap<uint64_t, LbHairpins::Range>({{LbHairpins::key(vip), {0, 1}}});
    State s = hairpin();
    s.w[kSlotEthType] = 0x86dd;
    s.w[kSlotIp4Src] = s.w[kSlotIp4Dst] = 0;
    for (unsigned i = 0; i < 4; ++i) {
        s.w[kSlotIp6Src + i] = s.w[kSlotIp6Dst + i] = backend[i];
        s.w[kSlotXxreg1 + i] = vip[i];
    }
    CHECK(chk_lb_hairpin(&table.t, s, nullptr) == &h);
    CHECK(hairpin_vip(&table.t, s, nullptr) == &v);
    open_hairpin_session(h, s, 7);
    State answer = s;
    std::copy(vip, vip + 4, answer.w + kSlotIp6Dst);
    answer.w[kSlotL4Src] = 8080;
    CHECK(chk_lb_hairpin_reply(&table.t, answer, 7) == HairpinReply::kYes);
    answer.w[kSlotIp6Dst] += 1;
    CHECK(chk_lb_hairpin_reply(&table.t, answer, 7) == HairpinReply::kNo);
}
