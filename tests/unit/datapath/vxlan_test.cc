// SPDX-License-Identifier: Apache-2.0
// VXLAN: RFC 7348, the VNI as OVN splits it between chassis, and VTEP gateways.
#include <catch2/catch.hpp>

#include "datapath/tunnel/vxlan.h"
#include "tests/unit/datapath/geneve_lab.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr uint32_t kGateway = 0xc0000201;  // 192.0.2.1, where vxlan() comes from

Tunnel vxlan_tunnel(bool v6 = false, bool csum = false) {
    Tunnel t = make_tunnel(v6);
    t.type = TunnelType::kVxlan;
    t.csum = csum;
    t.header_len = static_cast<uint8_t>(t.l4_ofs + 16);
    std::fill(t.header + t.header_len, t.header + Tunnel::kMaxHeader, uint8_t{0});
    t.header[t.l4_ofs + 2] = 4789 >> 8;
    t.header[t.l4_ofs + 3] = 4789 & 0xff;
    t.header[t.l4_ofs + 8] = 0x08;
    return t;
}

PacketBuilder vxlan(const std::string& header, bool v6 = false,
                    const Bytes& inner = from_hex(kInner), uint32_t source = kGateway) {
    PacketBuilder b;
    b.eth(0x0200000000aa, 0x0200000000bb);
    if (v6) {
        b.ip6(ip6(0xfd00, 1), ip6(0xfd00, 2));
    } else {
        b.ip4(source, ip(192, 0, 2, 2)).df();
    }
    b.udp(50000, 4789).raw(from_hex(header)).raw(inner);
    return b;
}

/// Receives VXLAN: port 9 of datapath 3 is a VIF at port 0.
struct VxlanReceiver : Receiver {
    VxlanReceiver() {
        world.underlays[kUplink].vxlan_port = 4789;
        world.rule(ls, kEgress, 0, {eq(kSlotInport, 0), eq(kSlotOutport, 9)}, {output()});
    }
};

/// A switch with two VIFs (5 at port 1, 6 at port 2), a port on another chassis (9) and one behind
/// a VTEP gateway (7), from which packets come.
struct VtepLab {
    static constexpr uint32_t kKey = 0xabcde3;  // more than twelve bits
    World world;
    Lab lab{1024, 8, 1500};
    DatapathModel& ls = world.datapath(kKey);
    uint32_t chassis;
    uint32_t gateway;

    VtepLab() {
        world.vif(ls, 5, 1);
        world.vif(ls, 6, 2);
        world.entry(1, ls, 5);
        chassis = world.tunnel(make_tunnel());
        gateway = world.tunnel(vxlan_tunnel());
        world.port(ls, 9, Reach::kTunnel).tunnel = chassis;
        LogicalPort& ramp = world.port(ls, 7, Reach::kTunnel);
        ramp.tunnel = gateway;
        ramp.is_ramp = true;
        ls.groups[0x8000] = Group{0x8000, {}, {5, 6}, {chassis}, {gateway}, {}};
        world.rule(ls, kEgress, 0, {}, {output()});
        Underlay underlay{};
        underlay.mac = 0x0200000000bb;
        underlay.ip4.push_back({ip(192, 0, 2, 2), 24});
        underlay.vxlan_port = 4789;
        world.underlays[kUplink] = underlay;
        RampModel model;
        model.vni = kKey;
        model.remote.bytes[10] = model.remote.bytes[11] = 0xff;
        for (unsigned i = 0; i < 4; ++i) {
            model.remote.bytes[12 + i] = static_cast<uint8_t>(kGateway >> 8 * (3 - i));
        }
        model.entry.id = 77;
        model.entry.datapath = 0;
        model.entry.inport = 7;
        model.entry.flags = flag::kFromRamp;
        world.ramps.push_back(model);
    }
    void ingress(std::vector<Test> tests, uint32_t outport, bool answer = false) {
        std::vector<Instr> code{load(kSlotOutport, outport)};
        if (answer) {
            code.push_back(load(kSlotFlags, flag::kLoopback, flag::kLoopback));
        }
        code.push_back(output());
        world.rule(ls, kIngress, 0, std::move(tests), std::move(code));
    }
    static Bytes from_gateway() { return vxlan("08000000 abcde300"); }
};

uint32_t vni_at(const Bytes& frame) {
    return static_cast<uint32_t>(frame[46] << 16 | frame[47] << 8 | frame[48]);
}

}  // namespace

TEST_CASE("the reference vectors of VXLAN between chassis", "[vxlan]") {
    // From the outer UDP header on; inner frame of 50 bytes.
    Sender unicast(vxlan_tunnel());
    const Bytes one = unicast.one(from_hex(kInner));
    CHECK(to_hex(Bytes(one.begin() + 34, one.begin() + 50)) == "c35012b5004200000800000000900300");
    CHECK(Bytes(one.begin() + 50, one.end()) == from_hex(kInner));

    World world;
    Lab lab;
    DatapathModel& ls = world.datapath(3);
    world.vif(ls, 5, 1);
    world.entry(1, ls, 5);
    ls.groups[0x8000] = Group{0x8000, {}, {}, {world.tunnel(vxlan_tunnel())}, {}, {}};
    world.rule(ls, kIngress, 0, {}, {load(kSlotOutport, 0x8000), output()});
    lab.publish(world);
    lab.send(1, from_hex(kInner));
    const auto sent = lab.take(kUplink);
    REQUIRE(sent.size() == 1);
    CHECK(to_hex(Bytes(sent[0].begin() + 34, sent[0].begin() + 50)) ==
          "c35012b5004200000800000080000300");
}

TEST_CASE("keys survive twelve bits, groups by their low eleven", "[vxlan]") {
    for (uint32_t datapath : {1u, 3u, 4095u}) {
        for (uint32_t port = 1; port < 2048; ++port) {
            const auto back = split_vni(make_vni(uint64_t{datapath} << 32 | 5u << 16 | port));
            REQUIRE(back.datapath == datapath);
            REQUIRE(back.outport == port);
        }
        for (uint32_t group = 32768; group < 65536; ++group) {
            const uint32_t vni = make_vni(uint64_t{datapath} << 32 | group);
            REQUIRE(vni >> 23 == 1);
            REQUIRE(split_vni(vni).datapath == datapath);
            REQUIRE(split_vni(vni).outport == 32768 + group % 2048);
        }
    }
    // To a VTEP gateway: the datapath, all 24 bits of it.
    CHECK(make_vni(uint64_t{0xabcdef} << 32 | 5u << 16) == 0xabcdef);
}

TEST_CASE("what RFC 7348 says about headers", "[vxlan]") {
    VxlanReceiver net;
    net.ls.groups[0x8003] = Group{0x8003, {}, {9}, {}, {}, {}};
    net.start();
    const Bytes inner = from_hex(kInner);
    for (int i = 0; i < 2; ++i) {
        net.expect_inner(vxlan("08000000 00900300"), inner);
    }
    CHECK(net.lab.count(Counter::k_cache_hit) == 1);
    net.expect_inner(vxlan("08000000 80300300"), inner);  // group 0x8003
    // Reserved bits say nothing.
    net.expect_inner(vxlan("ffffffff 009003ff"), inner);
    net.expect_drop(vxlan("00000000 00900300"), Drop::k_vxlan_no_vni);
    net.expect_drop(vxlan("f7000000 00900300"), Drop::k_vxlan_no_vni);
    net.expect_drop(vxlan("08000000 009003", false, {}), Drop::k_vxlan_truncated);
    net.expect_drop(vxlan("08000000 00900400"), Drop::k_unknown_datapath);
    net.expect_drop(vxlan("08000000 00900300", false, Bytes(13)), Drop::k_runt_frame);
    net.expect_drop(vxlan("08000000 00900300").frag(0, true), Drop::k_outer_fragment);
    net.expect_drop(vxlan("08000000 00900300").frag(100, false), Drop::k_outer_fragment);
}

TEST_CASE("VXLAN checksums: good, bad, absent, over IPv4 and IPv6", "[vxlan]") {
    VxlanReceiver net;
    net.start();
    const Bytes inner = from_hex(kInner);
    for (const bool v6 : {false, true}) {
        net.expect_inner(vxlan("08000000 00900300", v6), inner);
        net.expect_drop(vxlan("08000000 00900300", v6).bad_l4_checksum(), Drop::k_outer_checksum);
        // Sent as the receiver wants it; over IPv6 always.
        for (const bool wanted : {false, true}) {
            Sender sender(vxlan_tunnel(v6, wanted));
            const Bytes out = sender.one(inner);
            const size_t at = v6 ? 60 : 40;
            if (wanted || v6) {
                CHECK(udp_sum(out, v6) == 0xffff);
            } else {
                CHECK((out[at] | out[at + 1]) == 0);
            }
        }
    }
    net.expect_inner(vxlan("08000000 00900300").no_udp_checksum(), inner);
    net.expect_drop(vxlan("08000000 00900300", true).no_udp_checksum(),
                    Drop::k_outer_zero_checksum6);
}

TEST_CASE("VXLAN is the host's business where it is not spoken", "[vxlan]") {
    Receiver net;
    net.start();
    const Bytes frame = vxlan("08000000 00900300");
    net.lab.send(kUplink, frame);
    CHECK(net.lab.take_punts() == std::vector<Bytes>{frame});
}

TEST_CASE("VXLAN keeps RFC 6040 both ways, and the TTL", "[vxlan]") {
    const int want[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
    VxlanReceiver net;
    net.start();
    Sender sender(vxlan_tunnel());
    for (unsigned inner = 0; inner < 4; ++inner) {
        const auto frame = [](unsigned ecn) {
            return PacketBuilder()
                .eth(1, 2)
                .ip4(1, 2)
                .tos(static_cast<uint8_t>(0xb8 | ecn))
                .ttl(5)
                .udp(1, 2)
                .bytes();
        };
        const Bytes out = sender.one(frame(inner));
        CHECK(out[15] == inner);
        CHECK(out[22] == 64);
        for (unsigned outer = 0; outer < 4; ++outer) {
            CAPTURE(inner, outer);
            PacketBuilder b = vxlan("08000000 00900300", false, frame(inner));
            b.tos(static_cast<uint8_t>(outer));
            if (want[inner][outer] < 0) {
                net.expect_drop(b, Drop::k_ecn_not_ect);
            } else {
                net.expect_inner(b, frame(static_cast<unsigned>(want[inner][outer])));
            }
        }
    }
}

TEST_CASE("a VTEP gateway's packets enter the ingress pipeline by its port", "[vxlan][vtep]") {
    VtepLab net;
    net.ingress({eq(kSlotInport, 7)}, 5);
    net.lab.publish(net.world);
    for (int i = 0; i < 2; ++i) {
        net.lab.send(kUplink, VtepLab::from_gateway());
        CHECK(net.lab.take_all() == std::map<PortId, std::vector<Bytes>>{{1, {from_hex(kInner)}}});
    }
    CHECK(net.lab.count(Counter::k_cache_hit) == 1);
    // The same VNI from somebody else is split: datapath 0xde3, which is not here.
    net.lab.send(kUplink, vxlan("08000000 abcde300", false, from_hex(kInner), kGateway + 8));
    CHECK(net.lab.take_all().empty());
    CHECK(net.lab.drops(Drop::k_unknown_datapath) == 1);
}

TEST_CASE("a VTEP gateway's packets are not tunnelled again, but for answers", "[vxlan][vtep]") {
    const auto deliver = [](uint32_t outport, bool answer, VtepLab* net) {
        net->ingress({}, outport, answer);
        net->lab.publish(net->world);
        net->lab.send(kUplink, VtepLab::from_gateway());
        return net->lab.take_all();
    };
    SECTION("to another chassis") {
        VtepLab net;
        CHECK(deliver(9, false, &net).empty());
        CHECK(net.lab.drops(Drop::k_ramp_to_tunnel) == 1);
    }
    SECTION("an answer to another chassis") {
        VtepLab net;
        CHECK(deliver(9, true, &net)[kUplink].size() == 1);
    }
    SECTION("an answer to the gateway itself") {
        VtepLab net;
        const auto sent = deliver(7, true, &net);
        REQUIRE(sent.at(kUplink).size() == 1);
        CHECK(vni_at(sent.at(kUplink)[0]) == VtepLab::kKey);
    }
    SECTION("to a group: here only") {
        VtepLab net;
        const auto sent = deliver(0x8000, false, &net);
        CHECK(sent.size() == 2);
        CHECK(sent.count(kUplink) == 0);
    }
    SECTION("an answer to a group: everywhere but where it came from") {
        VtepLab net;
        const auto sent = deliver(0x8000, true, &net);
        CHECK(sent.size() == 3);
        REQUIRE(sent.at(kUplink).size() == 1);
        CHECK((sent.at(kUplink)[0][36] << 8 | sent.at(kUplink)[0][37]) == 6081);
    }
}

TEST_CASE("what goes to a VTEP gateway names the datapath alone", "[vxlan][vtep]") {
    VtepLab net;
    SECTION("one port") {
        net.ingress({}, 7);
        net.lab.publish(net.world);
        net.lab.send(1, from_hex(kInner));
        const auto sent = net.lab.take(kUplink);
        REQUIRE(sent.size() == 1);
        CHECK(vni_at(sent[0]) == VtepLab::kKey);
    }
    SECTION("a group: one copy beside that of the chassis") {
        net.ingress({}, 0x8000);
        net.lab.publish(net.world);
        net.lab.send(1, from_hex(kInner));
        const auto sent = net.lab.take(kUplink);
        REQUIRE(sent.size() == 2);
        CHECK((sent[0][36] << 8 | sent[0][37]) == 6081);
        CHECK((sent[1][36] << 8 | sent[1][37]) == 4789);
        CHECK(vni_at(sent[1]) == VtepLab::kKey);
    }
}

TEST_CASE("a port may start its tunnels at an address of its own", "[vxlan][source]") {
    World world;
    Lab lab;
    DatapathModel& ls = world.datapath(3);
    world.vif(ls, 5, 1);
    world.vif(ls, 6, 2);
    world.entry(1, ls, 5);
    world.entry(2, ls, 6).entry.source = 2;
    const uint32_t base = world.tunnel(make_tunnel());
    Tunnel second = make_tunnel();
    second.header[29] = 77;
    const uint32_t other = world.tunnel(second);
    world.tunnels_from = {{uint64_t{base} << 32 | 2, other}};
    world.port(ls, 9, Reach::kTunnel).tunnel = base;
    world.rule(ls, kIngress, 0, {}, {load(kSlotOutport, 9), output()});
    lab.publish(world);
    for (int i = 0; i < 2; ++i) {
        lab.send(1, from_hex(kInner));
        lab.send(2, from_hex(kInner));
        const auto sent = lab.take(kUplink);
        REQUIRE(sent.size() == 2);
        CHECK(sent[0][29] == 1);
        CHECK(sent[1][29] == 77);
    }
}
