// SPDX-License-Identifier: Apache-2.0
// Receiving Geneve: every line of RFC 8926 and 6040 that a receiver has to keep.
#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/datapath/geneve_lab.h"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("the reference vector decapsulates to its inner frame", "[geneve]") {
    Receiver net;
    net.start();
    for (int i = 0; i < 2; ++i) {
        net.expect_inner(from_hex(kOuter) + from_hex(kInner), from_hex(kInner));
    }
    CHECK(net.lab.count(Counter::k_tunnel_rx) == 2);
    CHECK(net.lab.count(Counter::k_cache_hit) == 1);
}

TEST_CASE("what RFC 8926 says about headers", "[geneve]") {
    Receiver net;
    net.start();
    const Bytes inner = from_hex(kInner);
    net.expect_inner(packet(kGood), inner);
    for (const char* version : {"42", "82", "c2"}) {
        net.expect_drop(packet(std::string(version) + "40655800000300 0102800100050009"),
                        Drop::k_geneve_version);
    }
    net.expect_drop(packet("0240080000000300 0102800100050009"), Drop::k_geneve_protocol);
    net.expect_drop(packet("3f40655800000300 0102800100050009"), Drop::k_geneve_truncated);
    net.expect_drop(packet("0340655800000300 0102800100050009 0103000200000000", false, {}),
                    Drop::k_geneve_option_length);
    net.expect_drop(packet("0440655800000300 0102800100050009 0103000200000000"),
                    Drop::k_geneve_option_length);
    net.expect_drop(packet("0440655800000300 0102800100050009 0103810100000000"),
                    Drop::k_geneve_critical_option);
    net.expect_inner(packet("0440655800000300 0102800100050009 0103010100000000"), inner);
    net.expect_inner(packet("0440655800000300 0103010100000000 0102800100050009"), inner);
    net.expect_drop(packet("0340655800000300 0102800200050009 00000000"),
                    Drop::k_geneve_ovn_option);
    net.expect_drop(packet("0140655800000300 01028000"), Drop::k_geneve_ovn_option);
    net.expect_drop(packet("0000655800000300"), Drop::k_geneve_ovn_option);
    net.expect_drop(packet("0040655800000300"), Drop::k_geneve_ovn_option);
    net.expect_drop(packet("02c0655800000300 0102800100050009"), Drop::k_geneve_oam);
    // Reserved bits say nothing: of the flags, after the VNI, of the option, of the OVN data.
    net.expect_inner(packet("027f6558000003ff 010280e180050009"), inner);
    // C says that there may be something critical; without it options are still honoured.
    net.expect_inner(packet("0200655800000300 0102800100050009"), inner);
    net.expect_drop(packet("0240655800000900 0102800100050009"), Drop::k_unknown_datapath);
    net.expect_drop(packet("0240655800000300 0102800100050000"), Drop::k_no_outport);
    net.expect_drop(packet(kGood, false, Bytes(13)), Drop::k_runt_frame);
    net.expect_drop(packet("02406558000003", false, {}), Drop::k_geneve_truncated);
}

TEST_CASE("the older option form is taken if wanted, and sent if wanted", "[geneve]") {
    const char* const legacy = "0200655800000300 ffff000100050009";
    Receiver net;
    SECTION("accepted") {
        net.start();
        net.expect_inner(packet(legacy), from_hex(kInner));
    }
    SECTION("refused") {
        net.world.legacy_geneve_rx = false;
        net.start();
        net.expect_drop(packet(legacy), Drop::k_geneve_ovn_option);
    }
    SECTION("sent") {
        Tunnel t = make_tunnel();
        t.option = GeneveOption::kLegacy;
        Sender sender(t);
        const Bytes sent = sender.one(from_hex(kInner));
        CHECK(to_hex(Bytes(sent.begin() + 42, sent.begin() + 58)) == to_hex(from_hex(legacy)));
    }
}

TEST_CASE("outer checksums: good, bad, absent, over IPv4 and IPv6", "[geneve]") {
    Receiver net;
    net.start();
    const Bytes inner = from_hex(kInner);
    for (const bool v6 : {false, true}) {
        net.expect_inner(packet(kGood, v6), inner);
        net.expect_drop(packet(kGood, v6).bad_l4_checksum(), Drop::k_outer_checksum);
    }
    net.expect_inner(packet(kGood).no_udp_checksum(), inner);
    net.expect_drop(packet(kGood, true).no_udp_checksum(), Drop::k_outer_zero_checksum6);
    Bytes bad_ip = packet(kGood);
    bad_ip[24] ^= 1;
    net.expect_drop(bad_ip, Drop::k_outer_checksum);

    net.world.underlays[kUplink].accept_zero_csum6 = true;
    net.lab.publish(net.world);
    net.expect_inner(packet(kGood, true).no_udp_checksum(), inner);
}

TEST_CASE("outer packets: fragments, options, padding, lengths, addressees", "[geneve]") {
    Receiver net;
    net.start();
    const Bytes inner = from_hex(kInner);
    net.expect_drop(packet(kGood).frag(0, true), Drop::k_outer_fragment);
    net.expect_drop(packet(kGood).frag(100, false), Drop::k_outer_fragment);
    Bytes padded = packet(kGood);
    padded.resize(padded.size() + 20);
    net.expect_inner(padded, inner);
    net.expect_inner(PacketBuilder()
                         .eth(0x0200000000aa, 0x0200000000bb)
                         .ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 2))
                         .ip4_options(from_hex("01010101"))
                         .udp(1, 6081)
                         .raw(from_hex(kGood))
                         .raw(inner),
                     inner);
    Bytes short_udp = packet(kGood).no_udp_checksum();
    short_udp[38] = 0;
    short_udp[39] = 15;
    net.expect_drop(short_udp, Drop::k_geneve_truncated);
    Bytes long_udp = packet(kGood).no_udp_checksum();
    long_udp[38] = 1;
    net.expect_drop(long_udp, Drop::k_geneve_truncated);

    Bytes other_mac = packet(kGood);
    other_mac[5] = 0x77;
    net.expect_drop(other_mac, Drop::k_underlay_not_ours);
    const auto to_host = [&](const Bytes& frame) {
        net.lab.send(kUplink, frame);
        CHECK(net.lab.take_punts() == std::vector<Bytes>{frame});
    };
    to_host(PacketBuilder()
                .eth(0x0200000000aa, 0x0200000000bb)
                .ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 9))
                .udp(50000, 6081)
                .payload(40));
    to_host(PacketBuilder()
                .eth(0x0200000000aa, 0x0200000000bb)
                .ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 2))
                .tcp(50000, 22));
    to_host(PacketBuilder().eth(0x0200000000aa, 0xffffffffffff).arp(1, 1, 2, 3, 4));
    const auto udp_to = [](uint16_t port) {
        return PacketBuilder()
            .eth(0x0200000000aa, 0x0200000000bb)
            .ip4(ip(192, 0, 2, 1), ip(192, 0, 2, 2))
            .udp(50000, port)
            .payload(50)
            .bytes();
    };
    to_host(udp_to(4789));  // VXLAN and STT, where they are not spoken, are the host's business
    to_host(udp_to(53));
}

TEST_CASE("headers of a tunnel packet may be spread over segments", "[geneve]") {
    Receiver net;
    net.start();
    const Bytes frame = packet(kGood);
    for (const std::vector<uint16_t>& cut :
         {std::vector<uint16_t>{14}, std::vector<uint16_t>{20, 30, 5, 7},
          std::vector<uint16_t>{60, 3, 3, 3}}) {
        rte_mbuf* m = to_mbuf(frame, cut);
        net.lab.worker->process_burst(&m, 1, kUplink);
        CHECK(net.lab.take(0) == std::vector<Bytes>{from_hex(kInner)});
    }
}

TEST_CASE("an underlay port that is a localnet port, too", "[geneve]") {
    Receiver net;
    DatapathModel& physical = net.world.datapath(8);
    net.world.vif(physical, 1, kUplink).is_localnet = true;
    net.world.entry(kUplink, physical, 1);
    net.world.vif(physical, 2, 2);
    net.world.rule(physical, kIngress, 0, {}, {load(kSlotOutport, 2), output()});
    net.world.rule(physical, kEgress, 0, {}, {output()});
    net.start();
    const Bytes all = PacketBuilder().eth(0xaa, 0xffffffffffff).arp(1, 1, 2, 3, 4);
    net.lab.send(kUplink, all);
    CHECK(net.lab.take(2) == std::vector<Bytes>{all});
    CHECK(net.lab.take_punts() == std::vector<Bytes>{all});
    const Bytes other = PacketBuilder().eth(0xaa, 0x0200000000cc).arp(1, 1, 2, 3, 4);
    net.lab.send(kUplink, other);
    CHECK(net.lab.take(2) == std::vector<Bytes>{other});
    CHECK(net.lab.take_punts().empty());
    const Bytes ours = PacketBuilder().eth(0xaa, 0x0200000000bb).arp(1, 1, 2, 3, 4);
    net.lab.send(kUplink, ours);
    CHECK(net.lab.take(2).empty());
    CHECK(net.lab.take_punts() == std::vector<Bytes>{ours});
    net.expect_inner(packet(kGood), from_hex(kInner));
}

TEST_CASE("RFC 6040: every combination on decapsulation", "[geneve]") {
    // Rows: inner Not-ECT, ECT(1), ECT(0), CE; columns: outer in the same order. -1: drop.
    const int want[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
    Receiver net;
    net.start();
    for (const bool v6 : {false, true}) {
        for (unsigned inner = 0; inner < 4; ++inner) {
            for (unsigned outer = 0; outer < 4; ++outer) {
                CAPTURE(v6, inner, outer);
                const auto frame = [&](unsigned ecn) {
                    PacketBuilder b;
                    b.eth(1, 2);
                    if (v6) {
                        b.ip6(ip6(0xfd00, 7), ip6(0xfd00, 8));
                    } else {
                        b.ip4(7, 8);
                    }
                    return b.tos(static_cast<uint8_t>(0x48 | ecn)).udp(1, 2).payload(9).bytes();
                };
                const Bytes tunnelled =
                    packet(kGood, v6, frame(inner)).tos(static_cast<uint8_t>(outer));
                if (want[inner][outer] < 0) {
                    net.expect_drop(tunnelled, Drop::k_ecn_not_ect);
                } else {
                    net.expect_inner(tunnelled, frame(static_cast<unsigned>(want[inner][outer])));
                }
            }
        }
    }
}

TEST_CASE("what came by tunnel does not go out by one, patch ports of groups included",
          "[geneve]") {
    Receiver net;
    net.world.port(net.ls, 20, Reach::kTunnel).tunnel = net.world.tunnel(make_tunnel());
    net.world.vif(net.ls, 10, 1);
    net.world.vif(net.ls, 11, 2);
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.ls.groups[32768] = Group{32768, {11}, {9, 10}, {0}, {20}};
    net.start();
    net.lab.send(kUplink, packet("0240655800000300 0102800100050014"));
    CHECK(net.lab.drops(Drop::k_unbound_port) == 1);
    CHECK(net.lab.take_all().empty());
    net.lab.send(kUplink, packet("0240655800000300 0102800100058000"));
    const auto all = net.lab.take_all();
    CHECK(all.size() == 2);
    CHECK(all.count(0) == 1);
    CHECK(all.count(1) == 1);
}

namespace {

/// A tunnel packet with a few bytes of its headers changed, its sums mended or not.
Bytes damaged(const Bytes& frame, std::mt19937& rng) {
    Bytes f = frame;
    const auto below = [&](unsigned n) { return static_cast<unsigned>(rng() % n); };
    for (unsigned n = below(3); n; --n) {
        f[below(static_cast<unsigned>(f.size()))] ^= static_cast<uint8_t>(1u << below(8));
    }
    if (below(8) == 0) {
        f.resize(below(2) ? f.size() + below(20)
                          : 40 + below(static_cast<unsigned>(f.size()) - 40));
    }
    const auto put = [&](size_t at, uint16_t v) {
        f[at] = static_cast<uint8_t>(v >> 8);
        f[at + 1] = static_cast<uint8_t>(v);
    };
    if (below(4)) {
        put(24, 0);
        uint32_t sum = word_sum(&f[14], 20);
        while (sum >> 16) {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        put(24, static_cast<uint16_t>(~sum));
    }
    if (below(3)) {
        put(40, 0);
    }
    return f;
}

}  // namespace

TEST_CASE("plain tunnel packets are read as all others are", "[geneve]") {
    // Without a cache each packet is read step by step.
    Receiver quick;
    Receiver slow;
    Lab slowly{0, 8, 9000};
    quick.start();
    slowly.publish(slow.world);
    std::mt19937 rng(23);
    const std::vector<Bytes> good = {
        packet(kGood),
        packet(kGood, false, PacketBuilder().eth(1, 2).ip4(1, 2).tcp(3, 4).payload(9)),
        packet(kGood, false,
               PacketBuilder().eth(1, 2).ip6(ip6(0xfd00, 7), ip6(0xfd00, 8)).udp(3, 4).payload(9))};
    unsigned delivered = 0;
    for (unsigned i = 0; i < 60000; ++i) {
        const Bytes frame = damaged(good[i % good.size()], rng);
        CAPTURE(i, frame);
        quick.lab.send(kUplink, frame);
        slowly.send(kUplink, frame);
        const auto out = quick.lab.take_all();
        delivered += !out.empty();
        REQUIRE(out == slowly.take_all());
        REQUIRE(quick.lab.take_punts() == slowly.take_punts());
    }
    CHECK(delivered > 20000);
    for (unsigned i = 0; i < static_cast<unsigned>(Drop::kCount); ++i) {
        CAPTURE(drop_name(static_cast<Drop>(i)));
        CHECK(quick.lab.drops(static_cast<Drop>(i)) == slowly.drops(static_cast<Drop>(i)));
    }
    CHECK(quick.lab.count(Counter::k_tunnel_rx) == slowly.count(Counter::k_tunnel_rx));
}
