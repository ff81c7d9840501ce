// SPDX-License-Identifier: Apache-2.0
// Ports that are not like the others: chassis MACs, ports of several chassis, several next hops of
// a tunnel, the kernel's leg on an underlay port.
#include <catch2/catch.hpp>

#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr uint64_t kRouter = 0x00000000ff01;
constexpr uint64_t kOurs = 0xaabbcc000001;
constexpr uint64_t kTheirs = 0xaabbcc000002;
constexpr uint64_t kVm = 0x0a0000000002;
constexpr uint64_t kMachine = 0x0a0000000003;
constexpr PortId kWire = 0;
constexpr PortId kVif = 1;
constexpr PortId kKernel = 2;
constexpr PortId kWire2 = 3;

Bytes udp(uint64_t src, uint64_t dst, uint16_t sport = 1000) {
    return PacketBuilder()
        .eth(src, dst)
        .ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2))
        .udp(sport, 53)
        .payload(20);
}

Bytes tagged(Bytes frame, uint16_t tci) {
    const uint8_t tag[4] = {0x81, 0, static_cast<uint8_t>(tci >> 8), static_cast<uint8_t>(tci)};
    frame.insert(frame.begin() + 12, tag, tag + 4);
    return frame;
}

Bytes arp(uint16_t type, uint16_t what, uint32_t spa, uint32_t tpa) {
    Bytes frame(42, 0);
    const Bytes head = PacketBuilder().eth(kVm, 0xffffffffffff);
    std::copy(head.begin(), head.begin() + 12, frame.begin());
    const uint8_t body[] = {
        static_cast<uint8_t>(type >> 8), static_cast<uint8_t>(type), 0, 1, 8, 0, 6, 4, 0,
        static_cast<uint8_t>(what)};
    std::copy(std::begin(body), std::end(body), frame.begin() + 12);
    for (unsigned i = 0; i < 4; ++i) {
        frame[28 + i] = static_cast<uint8_t>(spa >> (24 - 8 * i));
        frame[38 + i] = static_cast<uint8_t>(tpa >> (24 - 8 * i));
    }
    return frame;
}

/// A switch with a VIF and a localnet port.
struct Bridged {
    World world;
    DatapathModel& ls = world.datapath(1);
    SpecialPort port;
    SpecialEntry entry;
    EntryModel* wire;
    EntryModel* vif;
    Bridged(uint16_t tag) {
        world.vif(ls, 1, kWire, tag).is_localnet = true;
        world.vif(ls, 2, kVif);
        wire = &world.entry(kWire, ls, 1, tag ? tag : -1);
        wire->entry.strip_vlan = true;
        vif = &world.entry(kVif, ls, 2);
        world.no_tags.insert(kWire);
        world.l2_switch(ls, {{1, kMachine}, {2, kVm}});
    }
};

}  // namespace

TEST_CASE("a router's MAC is replaced on the wire, and back on receipt", "[datapath]") {
    for (const uint16_t tag : {uint16_t{0}, uint16_t{101}}) {
        Bridged net(tag);
        net.port.chassis_mac = kOurs;
        net.port.router_macs = {0x00000000ff09, kRouter};
        net.entry.router_mac = kRouter;
        net.entry.chassis_macs = {kTheirs};
        net.ls.ports.at(1).special = &net.port;
        net.wire->entry.special = &net.entry;
        Lab lab;
        lab.publish(net.world);
        const auto on_wire = [&](const Bytes& frame) { return tag ? tagged(frame, tag) : frame; };
        for (int round = 0; round < 2; ++round) {
            lab.send(kVif, udp(kRouter, kMachine));
            CHECK(lab.take(kWire) == std::vector<Bytes>{on_wire(udp(kOurs, kMachine))});
            lab.send(kVif, udp(kVm, kMachine));  // no router's
            CHECK(lab.take(kWire) == std::vector<Bytes>{on_wire(udp(kVm, kMachine))});
            lab.send(kWire, on_wire(udp(kTheirs, kVm)));
            CHECK(lab.take(kVif) == std::vector<Bytes>{udp(kRouter, kVm)});
            lab.send(kWire, on_wire(udp(kOurs, kVm)));  // nobody else's
            CHECK(lab.take(kVif) == std::vector<Bytes>{udp(kOurs, kVm)});
        }
        if (!tag) {  // a priority tag makes it no other network's
            lab.send(kWire, tagged(udp(kTheirs, kVm), 0x6000));
            CHECK(lab.take(kVif) == std::vector<Bytes>{udp(kRouter, kVm)});
        }
    }
}

TEST_CASE("a silent port lets only announcements through, and tells", "[datapath]") {
    struct Try {
        uint8_t by;
        Bytes frame;
        bool passes;
    };
    const Bytes rarp = arp(0x8035, 3, 0, 0);
    const Bytes garp = arp(0x0806, 1, 0x0a000001, 0x0a000001);
    const Bytes request = arp(0x0806, 1, 0x0a000001, 0x0a000002);
    Bytes na = PacketBuilder().eth(kVm, 0x333300000001).ip6(Bytes(16, 0xfe), Bytes(16, 0xff), 58);
    const uint8_t icmp[24] = {136, 0, 0, 0, 0x20};
    na.insert(na.end(), icmp, icmp + sizeof icmp);
    Bytes solicited = na;
    solicited[solicited.size() - 20] = 0x60;
    const Try tries[] = {{kActivateByRarp, rarp, true},
                         {kActivateByRarp, garp, false},
                         {kActivateByRarp, udp(kVm, kMachine), false},
                         {kActivateByGarp, garp, true},
                         {kActivateByGarp, request, false},
                         {kActivateByGarp, rarp, false},
                         {kActivateByNa, garp, false},
                         {kActivateByNa, solicited, false},
                         {kActivateByGarp | kActivateByRarp, rarp, true}};
    for (const Try& t : tries) {
        Bridged net(0);
        net.port.is_silent = true;
        net.entry.activation = t.by;
        net.ls.ports.at(2).special = &net.port;
        net.vif->entry.special = &net.entry;
        net.world.rule(net.ls, kIngress, 0, {eq(kSlotEthDst, 0xffff)},
                       {load(kSlotOutport, 1), output()});
        Lab lab;
        lab.publish(net.world);
        lab.send(kVif, t.frame);
        CHECK(lab.take(kWire).size() == (t.passes ? 1 : 0));
        CHECK(lab.take_punts().size() == (t.passes ? 1 : 0));
        CHECK(lab.drops(Drop::k_port_silent) == (t.passes ? 0 : 1));
        lab.send(kWire, udp(kMachine, kVm));  // nor does it hear anything
        CHECK(lab.take(kVif).empty());
        CHECK(lab.drops(Drop::k_port_silent) == (t.passes ? 1 : 2));
    }
}

TEST_CASE("what is no tunnel packet goes to the kernel, and back as it is", "[datapath]") {
    World world;
    DatapathModel& ls = world.datapath(1);
    world.vif(ls, 1, kVif);
    world.entry(kVif, ls, 1);
    Underlay& underlay = world.underlays[kWire];
    underlay = {};
    underlay.mac = kOurs;
    underlay.ip4.push_back({0x0a000002, 24});
    underlay.exception = kKernel;
    world.forwards[kKernel] = kWire;
    Lab lab;
    lab.publish(world);
    const Bytes to_us = PacketBuilder()
                            .eth(kMachine, kOurs)
                            .ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2))
                            .udp(1000, 179)
                            .payload(20);
    lab.send(kWire, to_us);
    CHECK(lab.take(kKernel) == std::vector<Bytes>{to_us});
    CHECK(lab.take_punts().empty());
    CHECK(lab.count(Counter::k_to_kernel) == 1);
    // The kernel answers ARP; the slow path learns from a copy.
    const Bytes request = arp(0x0806, 1, 0x0a000001, 0x0a000002);
    lab.send(kWire, request);
    CHECK(lab.take(kKernel) == std::vector<Bytes>{request});
    CHECK(lab.take_punts() == std::vector<Bytes>{request});
    lab.send(kKernel, to_us);
    CHECK(lab.take(kWire) == std::vector<Bytes>{to_us});
    lab.send(kWire, udp(kMachine, kTheirs));  // somebody else's
    CHECK(lab.take_all().empty());
    CHECK(lab.drops(Drop::k_underlay_not_ours) == 1);
}

TEST_CASE("a tunnel with several next hops spreads flows and keeps each on its way", "[datapath]") {
    World world;
    DatapathModel& ls = world.datapath(1);
    world.vif(ls, 1, kVif);
    world.entry(kVif, ls, 1);
    Tunnel t{};
    t.state = Tunnel::State::kReady;
    t.port = kWire;
    t.mtu = 1500;
    t.room = 1400;
    t.l3_ofs = 14;
    t.l4_ofs = 34;
    t.header_len = 34 + 8 + 16;
    t.header[12] = 8;
    t.header[14] = 0x45;
    t.src_port_base = 32768;
    t.src_port_range = 28232;
    t.hops = {{{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xa}, kWire},
              {{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0xb}, kWire2}};
    LogicalPort& far = world.port(ls, 2, Reach::kTunnel);
    far.tunnel = world.tunnel(t);
    world.l2_switch(ls, {{1, kVm}, {2, kMachine}});
    Lab lab;
    lab.publish(world);
    unsigned by_first = 0;
    for (uint16_t flow = 0; flow < 400; ++flow) {
        lab.send(kVif, udp(kVm, kMachine, flow));
        lab.send(kVif, udp(kVm, kMachine, flow));
        const std::vector<Bytes> first = lab.take(kWire);
        const std::vector<Bytes> second = lab.take(kWire2);
        REQUIRE(first.size() + second.size() == 2);
        REQUIRE(first.size() != 1);
        by_first += first.empty() ? 0 : 1;
        const Bytes& frame = first.empty() ? second[0] : first[0];
        CHECK(frame[5] == (first.empty() ? 2 : 1));
        CHECK(frame[11] == (first.empty() ? 0xb : 0xa));
    }
    CHECK(by_first > 120);  // of 400: either way is taken by far more than a few
    CHECK(by_first < 280);
}
