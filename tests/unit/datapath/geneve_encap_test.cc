// SPDX-License-Identifier: Apache-2.0
// Sending Geneve: outer headers against captured and independently made ones.
#include <catch2/catch.hpp>
#include <functional>

#include "tests/unit/datapath/geneve_lab.h"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("the reference vector is what encapsulation makes", "[geneve]") {
    Sender sender(make_tunnel());
    CHECK(to_hex(sender.one(from_hex(kInner))) == to_hex(from_hex(kOuter) + from_hex(kInner)));
}

TEST_CASE("a captured packet of another implementation", "[geneve]") {
    const Bytes outer = from_hex(kCaptured);
    const Bytes inner(outer.begin() + 58, outer.end());
    SECTION("is decapsulated once its checksum is what the wire had") {
        // tcpdump saw it before the NIC filled the checksum in; it names the right one.
        Bytes fixed = outer;
        fixed[40] = 0x71;
        fixed[41] = 0x77;
        Receiver net(ip(192, 168, 50, 101), 0x525400ac675b);
        DatapathModel& ls = net.world.datapath(1);
        net.world.vif(ls, 2, 1);
        net.world.rule(ls, kEgress, 0, {}, {output()});
        net.start();
        net.lab.send(kUplink, fixed);
        CHECK(net.lab.take(1) == std::vector<Bytes>{inner});
        net.expect_drop(outer, Drop::k_outer_checksum);
    }
    SECTION("is what encapsulation makes, but for id, source port and checksums") {
        World world;
        Lab lab(1024, 8, 1500);
        DatapathModel& ls = world.datapath(1);
        Tunnel t = make_tunnel();
        std::copy(outer.begin(), outer.begin() + 58, t.header);
        t.src_port_base = 0x1d7d;
        world.vif(ls, 1, 1);
        world.entry(1, ls, 1);
        world.port(ls, 2, Reach::kTunnel).tunnel = world.tunnel(t);
        world.rule(ls, kIngress, 0, {}, {load(kSlotOutport, 2), output()});
        lab.publish(world);
        lab.send(1, inner);
        auto sent = lab.take(kUplink);
        REQUIRE(sent.size() == 1);
        Bytes want = outer;
        for (const size_t at : {18, 19, 24, 25, 40, 41}) {
            want[at] = sent[0][at];
        }
        CHECK(to_hex(sent[0]) == to_hex(want));
    }
}

TEST_CASE("RFC 6040: encapsulation copies the inner mark; DSCP and TTL as configured", "[geneve]") {
    for (const bool v6 : {false, true}) {
        for (unsigned mode = 0; mode < 4; ++mode) {
            Tunnel t = make_tunnel(v6);
            t.tos_inherit = mode & 1;
            t.ttl_inherit = mode & 2;
            t.tos = 0x28;
            t.ttl = 77;
            Sender sender(t);
            for (unsigned ecn = 0; ecn < 4; ++ecn) {
                PacketBuilder b;
                const Bytes out = sender.one(
                    b.eth(1, 2).ip4(1, 2).tos(static_cast<uint8_t>(0xb8 | ecn)).ttl(5).udp(1, 2));
                const unsigned tos = v6 ? (out[14] & 15u) << 4 | out[15] >> 4 : out[15];
                CHECK(tos == ((t.tos_inherit ? 0xb8u : 0x28u) | ecn));
                CHECK(out[v6 ? 21 : 22] == (t.ttl_inherit ? 5 : 77));
                CHECK(udp_sum(out, v6) == 0xffff);
            }
            // Not IP: nothing to inherit.
            const Bytes arp = sender.one(PacketBuilder().eth(1, 2).arp(1, 2, 3, 4, 5));
            CHECK((v6 ? (arp[14] & 15u) << 4 | arp[15] >> 4 : arp[15]) == 0x28u);
            CHECK(arp[v6 ? 21 : 22] == 77);
        }
    }
}

TEST_CASE("the outer source port is the flow's", "[geneve]") {
    Tunnel t = make_tunnel();
    t.src_port_base = 32768;
    t.src_port_range = 28233;
    Sender sender(t);
    const auto port = [&](const Bytes& frame) {
        const Bytes out = sender.one(frame);
        return out[34] << 8 | out[35];
    };
    const auto udp = [](unsigned flow) {
        return PacketBuilder().eth(1, 2).ip4(1, flow).udp(static_cast<uint16_t>(flow * 7), 9);
    };
    CHECK(port(udp(1)) == port(udp(1).payload(30)));
    const Bytes first = PacketBuilder().eth(1, 2).ip4(5, 6).frag(0, true).udp(1, 2).payload(8);
    const Bytes later = PacketBuilder().eth(1, 2).ip4(5, 6, 17).frag(2, false).payload(16);
    CHECK(port(first) == port(later));
    // Ten thousand flows over 64 paths: chi-square with 63 degrees of freedom, p = 1e-6 is 131.
    std::vector<double> hits(64);
    for (unsigned i = 0; i < 10000; ++i) {
        const int p = port(udp(i));
        REQUIRE(p >= 32768);
        REQUIRE(p < 32768 + 28233);
        ++hits[static_cast<size_t>(p) % 64];
    }
    double chi = 0;
    for (const double h : hits) {
        chi += (h - 156.25) * (h - 156.25) / 156.25;
    }
    CHECK(chi < 131);
}

TEST_CASE("tunnels that cannot be used have names", "[geneve]") {
    Bytes frame = from_hex(kInner);
    frame[0] |= 1;  // whose sender is not told (too_big_test.cc)
    const auto drop_with = [&](const std::function<void(Tunnel&)>& change, Drop reason) {
        Tunnel t = make_tunnel();
        change(t);
        Sender sender(t);
        const unsigned before = sender.lab.in_use();
        sender.lab.send(1, frame);
        CHECK(sender.lab.take_all().empty());
        CHECK(sender.lab.drops(reason) == 1);
        CHECK(sender.lab.in_use() == before);
        Message message;
        const unsigned n = sender.lab.mailbox->take_messages(&message, 1);
        CHECK(n == (reason == Drop::k_tunnel_unresolved ? 1 : 0));
    };
    drop_with([](Tunnel& t) { t.state = Tunnel::State::kNoRoute; }, Drop::k_tunnel_no_route);
    drop_with([](Tunnel& t) { t.state = Tunnel::State::kUnresolved; }, Drop::k_tunnel_unresolved);
    drop_with([&](Tunnel& t) { t.mtu = static_cast<uint16_t>(frame.size() + 43); },
              Drop::k_too_long);
    Tunnel fits = make_tunnel();
    fits.mtu = static_cast<uint16_t>(frame.size() + 44);
    Sender sender(fits);
    CHECK(sender.one(frame).size() == frame.size() + 58);
}

TEST_CASE("a group on other chassis gets one copy each with the group's key", "[geneve]") {
    World world;
    Lab lab;
    DatapathModel& ls = world.datapath(3);
    world.vif(ls, 5, 1);
    world.entry(1, ls, 5);
    Tunnel a = make_tunnel();
    Tunnel b = make_tunnel();
    b.header[33] = 99;
    ls.groups[32770] = Group{32770, {}, {5}, {world.tunnel(a), world.tunnel(b)}, {}};
    world.rule(ls, kIngress, 0, {}, {load(kSlotOutport, 32770), output()});
    world.rule(ls, kEgress, 0, {}, {output()});
    lab.publish(world);
    lab.send(1, from_hex(kInner));
    const auto sent = lab.take(kUplink);
    REQUIRE(sent.size() == 2);
    CHECK(to_hex(Bytes(sent[0].begin() + 54, sent[0].begin() + 58)) == "00058002");
    CHECK(sent[0][33] == 2);
    CHECK(sent[1][33] == 99);
}
