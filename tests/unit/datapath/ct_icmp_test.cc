// SPDX-License-Identifier: Apache-2.0
// NAT inside ICMP errors, and fragments that meet conntrack.
#include <catch2/catch.hpp>

#include <algorithm>

#include "tests/unit/datapath/ct_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

const uint32_t kPublic = ip(192, 0, 2, 9);
const uint32_t kVip = ip(30, 0, 0, 1);

/// A frame without its Ethernet header, cut after `n` bytes.
Bytes quoted(const Bytes& frame, size_t n) {
    return Bytes(frame.begin() + 14, frame.begin() + std::min(frame.size(), 14 + n));
}

PacketBuilder udp(uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport) {
    return PacketBuilder().eth(1, 2).ip4(src, dst).udp(sport, dport).payload(30);
}
PacketBuilder tcp(uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport) {
    return PacketBuilder().eth(1, 2).ip4(src, dst).tcp(sport, dport, 2).payload(8);
}
Bytes error4(uint32_t src, uint32_t dst, const Bytes& quote) {
    return PacketBuilder().eth(1, 2).ip4(src, dst).icmp(3, 3, 0).raw(quote);
}

/// A's packets: destination VIP to B, source to the public address; B's: both back.
struct Gateway : CtNet {
    CtCommitArgs dnat = nat_to(CtNat::kDst, kB, 8080);
    CtCommitArgs snat = nat_to(CtNat::kSrc, kPublic);
    explicit Gateway(uint32_t cache = 1024) : CtNet(false, cache) {
        rule(0, {eq(kSlotInport, 1), state_is(0, ct::kTrk)},
             {ct_commit(CtZone::kDnat, true, dnat), next(kIngress, 1)});
        rule(1, {eq(kSlotInport, 1)}, {ct_commit(CtZone::kSnat, true, snat), next(kIngress, 2)});
        rule(0, {eq(kSlotInport, 2)}, {ct_next(CtZone::kSnat, true), next(kIngress, 1)});
        rule(1, {eq(kSlotInport, 2)}, {ct_next(CtZone::kDnat, true), next(kIngress, 2)});
        cross(2);
        publish();
    }
};

}  // namespace

TEST_CASE("an ICMP error is translated with what it quotes", "[ct][icmp]") {
    Gateway net;
    const Bytes sent = udp(kA, kVip, 5, 80);
    const Bytes seen = udp(kPublic, kB, 5, 8080);
    CHECK(net.pass(0, sent) == std::vector<Bytes>{seen});
    // B answers with an error; A must read its own packet in it, both translations undone.
    for (const size_t n : {28u, 36u, 200u}) {
        const auto got = net.pass(1, error4(kB, kPublic, quoted(seen, n)));
        REQUIRE(got.size() == 1);
        CHECK(got[0] == error4(kVip, kA, quoted(sent, n)));
    }
    // A router on the way says it: seems to come from the VIP too, as with Open vSwitch and Linux.
    CHECK(net.pass(1, error4(ip(9, 9, 9, 9), kPublic, quoted(seen, 28))) ==
          std::vector<Bytes>{error4(kVip, kA, quoted(sent, 28))});
}

TEST_CASE("TCP in an ICMP error, whole or cut before its checksum", "[ct][icmp]") {
    Gateway net;
    const Bytes sent = tcp(kA, kVip, 5, 80);
    const Bytes seen = tcp(kPublic, kB, 5, 8080);
    CHECK(net.pass(0, sent) == std::vector<Bytes>{seen});
    for (const size_t n : {28u, 40u, 48u}) {
        CHECK(net.pass(1, error4(kB, kPublic, quoted(seen, n))) ==
              std::vector<Bytes>{error4(kVip, kA, quoted(sent, n))});
    }
}

TEST_CASE("conntrack sees the type that a flow has written", "[ct][icmp]") {
    // A router answers an echo in the pipeline; an answer opens no connection, so nothing is
    // translated.
    CtNet net(false);
    const CtCommitArgs nat = nat_to(CtNat::kSrc, kPublic);
    net.rule(0, {},
             {op(Op::kExchange, kSlotIp4Src, kSlotIp4Dst, 0, 0, 32), load(kSlotL4Src, 0, 0xff),
              ct_commit(CtZone::kSnat, true, nat), next(kIngress, 1)});
    net.cross(1);
    net.publish();
    const auto echo = [](uint32_t src, uint32_t dst, uint8_t type) {
        return PacketBuilder().eth(1, 2).ip4(src, dst).icmp(type, 0).payload(8).bytes();
    };
    CHECK(net.pass(0, echo(kA, kB, 8)) == std::vector<Bytes>{echo(kB, kA, 0)});
    CHECK(net.lab.conntrack->stats().used == 0);
}

TEST_CASE("an error that flows send to somebody else is none of his", "[ct][icmp]") {
    const bool elsewhere = GENERATE(false, true);
    CtNet net(false);
    const CtCommitArgs plain;
    net.rule(0, {eq(kSlotInport, 1)}, {ct_commit(CtZone::kDnat, true, plain), next(kIngress, 1)});
    net.rule(0, {eq(kSlotInport, 2)},
             {load(kSlotIp4Dst, elsewhere ? ip(10, 0, 0, 7) : kA), ct_next(CtZone::kDnat),
              next(kIngress, 1)});
    net.rule(1, {state_is(ct::kTrk, ct::kTrk | ct::kInv)}, {next(kIngress, 2)});
    net.cross(2);
    net.publish();
    const Bytes sent = udp(kA, kB, 5, 6);
    CHECK(net.pass(0, sent).size() == 1);
    CHECK(net.pass(1, error4(kB, kA, quoted(sent, 28))).size() == (elsewhere ? 0 : 1));
}

TEST_CASE("an ICMPv6 error is translated with what it quotes", "[ct][icmp]") {
    CtNet net(false);
    CtCommitArgs nat = nat_to(CtNat::kSrc, 9);
    nat.nat.is_v6 = true;
    nat.nat.low[0] = nat.nat.high[0] = 0xfd000000;
    net.rule(0, {eq(kSlotInport, 1)}, {ct_commit(CtZone::kSnat, true, nat), next(kIngress, 1)});
    net.rule(0, {eq(kSlotInport, 2)}, {ct_next(CtZone::kSnat, true), next(kIngress, 1)});
    net.cross(1);
    net.publish();
    const auto packet = [](uint64_t src) {
        return PacketBuilder()
            .eth(1, 2)
            .ip6(ip6(0xfd00, src), ip6(0xfd00, 2))
            .udp(5, 6)
            .payload(20)
            .bytes();
    };
    const auto error = [](uint64_t dst, const Bytes& quote) {
        return PacketBuilder()
            .eth(1, 2)
            .ip6(ip6(0xfd00, 2), ip6(0xfd00, dst))
            .icmp(1, 4, 0)
            .raw(quote)
            .bytes();
    };
    CHECK(net.pass(0, packet(1)) == std::vector<Bytes>{packet(9)});
    CHECK(net.pass(1, error(9, quoted(packet(9), 200))) ==
          std::vector<Bytes>{error(1, quoted(packet(1), 200))});
}

namespace {

/// The IPv4 datagram in fragments of `piece` payload bytes, in order.
std::vector<Bytes> cut(const Bytes& frame, size_t piece) {
    std::vector<Bytes> out;
    const Bytes payload(frame.begin() + 34, frame.end());
    uint32_t src = 0;
    uint32_t dst = 0;
    for (int i = 0; i < 4; ++i) {
        src = src << 8 | frame[26 + i];
        dst = dst << 8 | frame[30 + i];
    }
    for (size_t at = 0; at < payload.size(); at += piece) {
        const size_t n = std::min(piece, payload.size() - at);
        PacketBuilder b;
        b.eth(1, 2).ip4(src, dst, frame[23]);
        b.frag(static_cast<uint16_t>(at / 8), at + n < payload.size());
        out.push_back(b.raw(Bytes(payload.begin() + static_cast<long>(at),
                                  payload.begin() + static_cast<long>(at + n))));
    }
    return out;
}

}  // namespace

TEST_CASE("fragments wait for each other and are translated alike", "[ct][fragments]") {
    Gateway net;
    const auto in = cut(udp(kA, kVip, 5, 80), 16);
    const auto out = cut(udp(kPublic, kB, 5, 8080), 16);
    REQUIRE(in.size() == 3);
    SECTION("in order") {
        CHECK(net.pass(0, in[0]).empty());
        CHECK(net.pass(0, in[1]).empty());
        CHECK(net.pass(0, in[2]) == out);
    }
    SECTION("in any order") {
        CHECK(net.pass(0, in[2]).empty());
        CHECK(net.pass(0, in[0]).empty());
        CHECK(net.pass(0, in[1]) == out);
    }
    SECTION("a whole packet before and after") {
        CHECK(net.pass(0, udp(kA, kVip, 5, 80)).size() == 1);
        for (int i = 0; i < 2; ++i) {
            net.lab.send(0, std::vector<Bytes>{in[0], in[1], in[2]});
            CHECK(net.lab.take(1) == out);
        }
        CHECK(net.pass(0, udp(kA, kVip, 5, 80)).size() == 1);
    }
    CHECK(net.lab.conntrack->stats().used == 2);
    // The answer, in fragments too.
    const auto back = cut(udp(kB, kPublic, 8080, 5), 24);
    net.lab.send(1, back);
    CHECK(net.lab.take(0) == cut(udp(kVip, kA, 80, 5), 24));
    CHECK(net.lab.conntrack->stats().fragments == 0);
}

TEST_CASE("all fragments of a packet are told the same", "[ct][fragments]") {
    CtNet net;
    const CtCommitArgs plain;
    net.rule(0, {}, {ct_next(CtZone::kDnat), next(kIngress, 1)});
    net.rule(
        1, {state_is(ct::kNew, ct::kNew)},
        {ct_commit(CtZone::kDnat, false, plain), load(kSlotIpTtl, 33, 0xff), next(kIngress, 2)});
    net.rule(1, {}, {load(kSlotIpTtl, 44, 0xff), next(kIngress, 2)});
    net.cross(2);
    net.publish();
    const auto send = [&](uint8_t ttl) {
        net.lab.send(0, cut(udp(kA, kB, 5, 6), 16));
        const auto out = net.lab.take(1);
        REQUIRE(out.size() == 3);
        for (const Bytes& piece : out) {
            CHECK(piece[22] == ttl);
        }
    };
    send(33);
    send(33);
    CHECK(net.pass(1, udp(kB, kA, 6, 5)).size() == 1);
    send(44);
    uint64_t packets = 0;
    net.lab.conntrack->dump({}, [&](const CtEntry& e) { packets += e.packets[0]; });
    CHECK(packets == 3);  // datagrams, not fragments
}

TEST_CASE("fragments that never become whole go after a while", "[ct][fragments]") {
    Gateway net;
    const unsigned before = net.lab.in_use();
    CHECK(net.pass(0, cut(udp(kA, kVip, 5, 80), 16)[0]).empty());
    CHECK(net.lab.in_use() == before + 1);
    net.lab.wait_ms(60'000);
    CHECK(net.lab.in_use() == before);
    CHECK(net.lab.conntrack->stats().fragments_timed_out == 1);
    CHECK(net.lab.conntrack->stats().used == 0);
}

TEST_CASE("overlapping fragments are dropped by name", "[ct][fragments]") {
    Gateway net;
    const auto wide = cut(udp(kA, kVip, 5, 80), 24);
    const auto narrow = cut(udp(kA, kVip, 5, 80), 16);
    CHECK(net.pass(0, wide[0]).empty());
    CHECK(net.pass(0, narrow[1]).empty());
    CHECK(net.lab.drops(Drop::k_fragment_overlap) == 1);
}

TEST_CASE("fragments that meet no conntrack do not wait", "[ct][fragments]") {
    CtNet net;
    net.cross(0);
    net.publish();
    for (const Bytes& piece : cut(udp(kA, kB, 5, 6), 16)) {
        CHECK(net.pass(0, piece) == std::vector<Bytes>{piece});
    }
}
