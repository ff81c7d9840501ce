// SPDX-License-Identifier: Apache-2.0
// Packets that become others: bytes and State against frames that scapy built.
#include <rte_mbuf.h>

#include <catch2/catch.hpp>

#include "datapath/edit.h"
#include "datapath/stages.h"
#include "datapath/walk.h"
#include "lib/program/packet_meta.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Answer {
    const char* name;
    Transform transform;
    const char* packet;
    const char* answer;  ///< "": none
};
const Answer kAnswers[] = {
#define ANSWER(name, transform, packet, answer) {name, Transform::transform, packet, answer},
#define FIELD(name, target, value, before, after)
#include "tests/unit/datapath/transform_vectors.inc"
#undef ANSWER
#undef FIELD
};

struct FieldCase {
    const char* name;
    Target target;
    uint64_t value;
    const char* before;
    const char* after;
};
const FieldCase kFieldCases[] = {
#define ANSWER(name, transform, packet, answer)
#define FIELD(name, target, value, before, after) {name, Target::target, value, before, after},
#include "tests/unit/datapath/transform_vectors.inc"
#undef ANSWER
#undef FIELD
};

/// A parsed packet, freed at the end.
struct Packet {
    rte_mbuf* m;
    explicit Packet(const Bytes& frame, const std::vector<uint16_t>& lengths = {})
        : m(to_mbuf(frame, lengths)) {
        REQUIRE(parse_packet(m, &key()));
    }
    ~Packet() { rte_pktmbuf_free(m); }
    PacketKey& key() const { return meta_of(m).key; }
    State state() const {
        State s{};
        expand_key(key(), &s);
        return s;
    }
};

/// Rejects UDP, TCP ... and sends the answer back; egress sees what the answer is.
struct Rejecting {
    explicit Rejecting(std::vector<Instr> body, Transform what = Transform::kReject) {
        DatapathModel& ls = world.datapath(7);
        world.vif(ls, 1, 0);
        world.entry(0, ls, 1);
        body.push_back(load(kSlotOutport, 1));
        body.push_back(load(kSlotFlags, flag::kLoopback));
        body.push_back(output());
        std::vector<Instr> code = {load(kSlotCtState, ct::kTrk | ct::kNew), load(kSlotPktMark, 5),
                                   op(Op::kTransform, static_cast<unsigned>(what), 0, 0,
                                      static_cast<uint32_t>(body.size()))};
        code.insert(code.end(), body.begin(), body.end());
        world.rule(ls, kIngress, 0, {}, code);
        answered =
            world.rule(ls, kEgress, 0, {eq(kSlotCtState, 0), eq(kSlotPktMark, 0)}, {output()});
        lab.publish(world);
    }
    World world;
    Lab lab;
    uint32_t answered;
};

}  // namespace

TEST_CASE("answers are those of the RFCs, byte for byte", "[transform]") {
    for (const Answer& a : kAnswers) {
        CAPTURE(a.name);
        const Bytes packet = from_hex(a.packet);
        for (const bool pieces : {false, true}) {
            const auto lengths =
                pieces ? std::vector<uint16_t>{40, 7, 100, 1} : std::vector<uint16_t>{};
            Packet p(packet, lengths);
            const bool made = edit::transform(p.m, &p.key(), a.transform);
            REQUIRE(made == (*a.answer != '\0'));
            if (made) {
                CHECK(to_hex(to_bytes(p.m)) == a.answer);
                CHECK(p.m->pkt_len == std::strlen(a.answer) / 2);
                CHECK(p.m->nb_segs == 1);
            }
        }
    }
    CHECK(rte_mempool_in_use_count(test_pool()) == 0);
}

TEST_CASE("the State of an answer is what a parser sees in its bytes", "[transform]") {
    for (const Answer& a : kAnswers) {
        CAPTURE(a.name);
        if (*a.answer == '\0') {
            continue;
        }
        const Packet packet(from_hex(a.packet));
        const Packet answer(from_hex(a.answer));
        Frame f{};
        f.s = packet.state();
        f.s.w[kSlotCtState] = f.s.w[kSlotCtMark] = f.s.w[kSlotCtLabel + 3] = 1;
        f.s.w[kSlotPktMark] = f.s.w[kSlotXxreg0] = 1;
        REQUIRE(transform_state(a.transform, &f));
        State want = answer.state();
        want.w[kSlotXxreg0] = 1;
        want.w[kSlotFlowHash] = f.s.w[kSlotFlowHash];
        if (std::string_view(a.name) == "reject padded") {
            want.w[kSlotPktLen] = f.s.w[kSlotPktLen];  // padding is not told from payload
        }
        for (unsigned slot = 0; slot < kSlots; ++slot) {
            CAPTURE(slot);
            CHECK(f.s.w[slot] == want.w[slot]);
        }
    }
}

TEST_CASE("what must not be answered is known before bytes are touched", "[transform]") {
    for (const Answer& a : kAnswers) {
        const std::string_view name = a.name;
        const bool chunks = name.find("sctp without") != name.npos || name == "reject abort" ||
                            name == "reject init cut short";
        if (*a.answer != '\0' || chunks) {
            continue;
        }
        CAPTURE(a.name);
        Frame f{};
        f.s = Packet(from_hex(a.packet)).state();
        CHECK_FALSE(transform_state(a.transform, &f));
    }
}

TEST_CASE("write-only fields of ICMP", "[transform]") {
    for (const FieldCase& field : kFieldCases) {
        CAPTURE(field.name);
        Packet p(from_hex(field.before));
        CHECK(edit::set_field(p.m, &p.key(), field.target, field.value, ~uint64_t{0}));
        CHECK(to_hex(to_bytes(p.m)) == field.after);
    }
}

TEST_CASE("a rule rejects: a new packet, untracked, goes back", "[transform]") {
    Rejecting net({});
    uint64_t refused = 0;
    unsigned answers = 0;
    for (const Answer& a : kAnswers) {
        if (a.transform != Transform::kReject || from_hex(a.packet).size() > 1514) {
            continue;
        }
        CAPTURE(a.name);
        net.lab.send(0, from_hex(a.packet));
        const auto out = net.lab.take(0);
        if (*a.answer == '\0') {
            CHECK(out.empty());
            ++refused;
            continue;
        }
        REQUIRE(out.size() == 1);
        CHECK(to_hex(out[0]) == a.answer);
        ++answers;
    }
    CHECK(net.lab.drops(Drop::k_not_answered) + net.lab.drops(Drop::k_not_applicable) == refused);
    CHECK(net.lab.drops(Drop::k_not_applicable) == 3);  // only their chunks tell
    CHECK(net.lab.flow_packets(net.answered) == answers + 3);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("nested actions write the error that is made", "[transform]") {
    // icmp4_error { ip4.dst <-> ip4.src; icmp4.type = 3; icmp4.code = 4; icmp4.frag_mtu = 1400; }
    Rejecting net({op(Op::kExchange, kSlotIp4Src, kSlotIp4Dst, 0, 0, 32), load(kSlotL4Src, 3, 0xff),
                   load(kSlotL4Dst, 4, 0xff), load(kSlotArpSpa, 1400, 0xffff),
                   load(kSlotArpTpa, ip(9, 9, 9, 9)), load(kSlotIpTtl, 200)},
                  Transform::kIcmp4Error);
    const Bytes packet =
        PacketBuilder().eth(0xa, 0xb).ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2)).udp(5, 6).payload(64);
    net.lab.send(0, packet);
    const auto out = net.lab.take(0);
    REQUIRE(out.size() == 1);
    Bytes quote(packet.begin() + 14, packet.end());
    Packet changed(packet);
    // The UDP checksum of the quoted packet stays that of the packet as it came.
    const Bytes before = quote;
    CHECK(edit::set_field(changed.m, &changed.key(), Target::kIp4Src, ip(9, 9, 9, 9), ~0u));
    quote = to_bytes(changed.m);
    quote.erase(quote.begin(), quote.begin() + 14);
    std::copy(before.begin() + 26, before.begin() + 28, quote.begin() + 26);
    Packet want(PacketBuilder()
                    .eth(0xa, 0xb)
                    .ip4(ip(10, 0, 0, 2), ip(10, 0, 0, 1))
                    .ttl(200)
                    .icmp(3, 4, 1400)
                    .raw(quote));
    Bytes expected = to_bytes(want.m);
    const Bytes got(out[0].begin(), out[0].end());
    // Identification and DF differ from the builder's: compare behind them.
    CHECK(got.size() == expected.size());
    CHECK(to_hex(Bytes(got.begin() + 26, got.end())) ==
          to_hex(Bytes(expected.begin() + 26, expected.end())));
    CHECK(got[22] == 200);
}
