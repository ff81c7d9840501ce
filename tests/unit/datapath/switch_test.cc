// SPDX-License-Identifier: Apache-2.0
// The whole way on the smallest logical networks: VIF to VIF, tags, groups, patch ports, drops.
#include <catch2/catch.hpp>

#include "lib/program/packet_meta.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr uint64_t kMac1 = 0x0a0000000001;
constexpr uint64_t kMac2 = 0x0a0000000002;
constexpr uint64_t kMac3 = 0x0a0000000003;
constexpr uint64_t kBroadcast = 0xffffffffffff;

Bytes udp(uint64_t src, uint64_t dst, uint16_t sport = 1000, size_t payload = 20) {
    return PacketBuilder()
        .eth(src, dst)
        .ip4(ip(10, 0, 0, 1), ip(10, 0, 0, 2))
        .udp(sport, 53)
        .payload(payload);
}

struct TwoVifs {
    World world;
    DatapathModel& ls = world.datapath(1);
    TwoVifs() {
        world.vif(ls, 1, 0);
        world.vif(ls, 2, 1);
        world.entry(0, ls, 1);
        world.entry(1, ls, 2);
    }
};

}  // namespace

TEST_CASE("a frame goes from VIF to VIF unchanged, missed once and hit after", "[datapath]") {
    TwoVifs net;
    net.world.l2_switch(net.ls, {{1, kMac1}, {2, kMac2}});
    Lab lab;
    lab.publish(net.world);
    const unsigned before = lab.in_use();
    for (int i = 0; i < 5; ++i) {
        lab.send(0, udp(kMac1, kMac2, static_cast<uint16_t>(i)));
        CHECK(lab.take(1) == std::vector<Bytes>{udp(kMac1, kMac2, static_cast<uint16_t>(i))});
    }
    CHECK(lab.count(Counter::k_cache_miss) == 1);
    CHECK(lab.count(Counter::k_cache_hit) == 4);
    CHECK(lab.flow_packets(1) == 5);
    CHECK(lab.flow_packets(2) == 5);
    CHECK(lab.in_use() == before);
}

TEST_CASE("packets of a new flow in one burst are walked once and keep their order", "[datapath]") {
    TwoVifs net;
    net.world.l2_switch(net.ls, {{1, kMac1}, {2, kMac2}});
    Lab lab;
    lab.publish(net.world);
    std::vector<Bytes> burst;
    for (unsigned i = 0; i < 100; ++i) {
        burst.push_back(udp(kMac1, kMac2, static_cast<uint16_t>(i)));
    }
    lab.send(0, burst);
    CHECK(lab.take(1) == burst);
    CHECK(lab.count(Counter::k_cache_miss) == 1);
}

TEST_CASE("drops have their names", "[datapath]") {
    TwoVifs net;
    net.world.l2_switch(net.ls, {{1, kMac1}, {2, kMac2}, {9, kMac3}});
    net.world.rule(net.ls, kIngress, 0, {eq(kSlotEthType, 0x88cc)}, {});
    net.world.rule(net.ls, kIngress, 0, {eq(kSlotEthType, 0x88cd)},
                   {op(Op::kDrop, static_cast<unsigned>(Drop::k_malformed_flow))});
    net.world.rule(net.ls, kIngress, 0, {eq(kSlotEthType, 0x88ce)}, {output()});
    net.world.rule(net.ls, kIngress, 0, {eq(kSlotEthType, 0x88cf)}, {load(5, 1)});
    const uint32_t ttl =
        net.world.rule(net.ls, kIngress, 0, {eq(kSlotEthType, 0x0800), eq(kSlotIpTtl, 1)},
                       {op(Op::kDecTtl), load(kSlotOutport, 2), output()});
    Lab lab;
    lab.publish(net.world);
    const auto other = [](uint16_t type) {
        return PacketBuilder().eth(kMac1, 0x0a00000000ff, type).payload(50).bytes();
    };
    const unsigned before = lab.in_use();
    for (int i = 0; i < 2; ++i) {  // walked, then cached
        lab.send(0, udp(kMac1, 0x0a0000000077));
        lab.send(0, udp(kMac2, kMac1));
        lab.send(0, udp(kMac1, kMac3));
        lab.send(0, other(0x88cc));
        lab.send(0, other(0x88cd));
        lab.send(0, other(0x88ce));
        lab.send(0, other(0x88cf));
        lab.send(0,
                 PacketBuilder().eth(kMac1, 0x0a0000000077).ip4(1, 2).ttl(1).udp(1, 2).payload(10));
        lab.send(0, Bytes(13, 0));
        lab.send(7, udp(kMac1, kMac2));
    }
    CHECK(lab.take_all().empty());
    CHECK(lab.drops(Drop::k_no_match) == 2);
    CHECK(lab.drops(Drop::k_loopback) == 2);
    CHECK(lab.drops(Drop::k_unknown_outport) == 2);
    CHECK(lab.drops(Drop::k_logical_flow) == 2);
    CHECK(lab.drops(Drop::k_malformed_flow) == 2);
    CHECK(lab.drops(Drop::k_no_outport) == 2);
    CHECK(lab.drops(Drop::k_no_output) == 2);
    CHECK(lab.drops(Drop::k_ttl_expired) == 2);
    CHECK(lab.drops(Drop::k_runt_frame) == 2);
    CHECK(lab.drops(Drop::k_port_no_entry) == 2);
    CHECK(lab.in_use() == before);

    const auto samples = lab.worker->samples();
    REQUIRE(samples.size() == 20);
    const auto& sample = samples[7];
    CHECK(sample.reason == Drop::k_ttl_expired);
    CHECK(sample.flow == ttl);
    CHECK(sample.datapath == 1);
    CHECK(sample.inport == 1);
}

TEST_CASE("an action on a copy does not reach the original", "[datapath]") {
    TwoVifs net;
    std::vector<Instr> code = load_mac(kSlotEthDst, kMac3);
    code.push_back(load(kSlotOutport, 2));
    code.push_back(output());
    code.insert(code.begin(), op(Op::kClone, 0, 0, 0, 4));
    code.push_back(load(kSlotOutport, 2));
    code.push_back(output());
    net.world.rule(net.ls, kIngress, 0, {}, code);
    net.world.rule(net.ls, kEgress, 0, {}, {load(kSlotIp4Src, ip(9, 9, 9, 9)), output()});
    Lab lab;
    lab.publish(net.world);
    lab.send(0, udp(kMac1, kMac2));
    const Bytes first = PacketBuilder()
                            .eth(kMac1, kMac3)
                            .ip4(ip(9, 9, 9, 9), ip(10, 0, 0, 2))
                            .udp(1000, 53)
                            .payload(20);
    const Bytes second = PacketBuilder()
                             .eth(kMac1, kMac2)
                             .ip4(ip(9, 9, 9, 9), ip(10, 0, 0, 2))
                             .udp(1000, 53)
                             .payload(20);
    CHECK(lab.take(1) == std::vector<Bytes>{first, second});
}

TEST_CASE("a field that is written is set in every packet that hits the program", "[datapath]") {
    TwoVifs net;
    std::vector<Instr> code = load_mac(kSlotEthDst, kMac3);
    code.push_back(load(kSlotIpDscp, 10 << 2, 0xfc));
    code.push_back(load(kSlotOutport, 2));
    code.push_back(output());
    net.world.rule(net.ls, kIngress, 0, {eq(kSlotEthType, 0x0800)}, code);
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    Lab lab;
    lab.publish(net.world);
    // The first packet already has the value: the second must get it all the same.
    for (const uint64_t dst : {kMac3, kMac2, kMac1}) {
        for (const uint8_t tos : {40, 41, 3}) {
            PacketBuilder in;
            lab.send(0, in.eth(kMac1, dst).ip4(1, 2).tos(tos).udp(1, 2).payload(4));
            PacketBuilder out;
            CHECK(lab.take(1) == std::vector<Bytes>{out.eth(kMac1, kMac3)
                                                        .ip4(1, 2)
                                                        .tos(static_cast<uint8_t>(40 | (tos & 3)))
                                                        .udp(1, 2)
                                                        .payload(4)});
        }
    }
    CHECK(lab.count(Counter::k_cache_miss) == 1);
}

TEST_CASE("a group reaches its members but not the sender", "[datapath]") {
    World world;
    DatapathModel& ls = world.datapath(5);
    for (PortId i = 0; i < 4; ++i) {
        world.vif(ls, i + 1u, i);
        world.entry(i, ls, i + 1u);
    }
    ls.groups[32768] = Group{32768, {}, {1, 2, 3, 4}, {}, {}};
    world.rule(ls, kIngress, 0, {eq(kSlotEthDst, 0x0100, 0x0100)},
               {load(kSlotOutport, 32768), output()});
    world.rule(ls, kEgress, 0, {}, {output()});
    Lab lab;
    lab.publish(world);
    const unsigned before = lab.in_use();
    for (int i = 0; i < 3; ++i) {
        lab.send(2, udp(kMac1, kBroadcast));
        const auto all = lab.take_all();
        CHECK(all.size() == 3);
        CHECK(all.count(2) == 0);
        for (const auto& [port, frames] : all) {
            CHECK(frames == std::vector<Bytes>{udp(kMac1, kBroadcast)});
        }
    }
    CHECK(lab.drops(Drop::k_loopback) == 0);
    CHECK(lab.in_use() == before);
}

TEST_CASE("a group of a thousand members does not lose one", "[datapath]") {
    World world;
    DatapathModel& ls = world.datapath(5);
    std::vector<uint32_t> members;
    for (uint32_t i = 1; i <= 3000; ++i) {
        world.vif(ls, i, static_cast<PortId>(i % 7 + 1));
        members.push_back(i);
    }
    world.vif(ls, 4000, 0);
    world.entry(0, ls, 4000);
    ls.groups[32768] = Group{32768, {}, members, {}, {}};
    world.rule(ls, kIngress, 0, {}, {load(kSlotOutport, 32768), output()});
    const uint32_t flow = world.rule(ls, kEgress, 0, {}, {load(kSlotIpTtl, 9, 0xff), output()});
    Lab lab;
    lab.publish(world);
    const unsigned before = lab.in_use();
    for (int i = 0; i < 2; ++i) {
        lab.send(0, udp(kMac1, kBroadcast));
        size_t n = 0;
        for (const auto& [port, frames] : lab.take_all()) {
            n += frames.size();
        }
        CHECK(n == 3000);
    }
    CHECK(lab.flow_packets(flow) == 6000);
    CHECK(lab.in_use() == before);
}

TEST_CASE("container and localnet tags are stripped, pushed and replaced", "[datapath]") {
    World world;
    DatapathModel& ls = world.datapath(1);
    world.vif(ls, 1, 0, 5);  // container in the VM at port 0
    world.vif(ls, 2, 1);     // the VM at port 1
    world.vif(ls, 3, 0, 6);  // another container at port 0
    world.entry(0, ls, 1, 5);
    world.entry(0, ls, 3, 6);
    world.entry(1, ls, 2);
    world.l2_switch(ls, {{1, kMac1}, {2, kMac2}, {3, kMac3}});
    Lab lab;
    lab.publish(world);
    const auto frame = [](uint64_t src, uint64_t dst, int vid, uint8_t pcp = 0) {
        PacketBuilder b;
        b.eth(src, dst);
        if (vid >= 0) {
            b.vlan(static_cast<uint16_t>(vid), pcp);
        }
        return b.ip4(1, 2).tcp(1, 2).payload(30).bytes();
    };
    lab.send(0, frame(kMac1, kMac2, 5));
    CHECK(lab.take(1) == std::vector<Bytes>{frame(kMac1, kMac2, -1)});
    lab.send(1, frame(kMac2, kMac1, -1));
    CHECK(lab.take(0) == std::vector<Bytes>{frame(kMac2, kMac1, 5)});
    lab.send(0, frame(kMac1, kMac3, 5));
    CHECK(lab.take(0) == std::vector<Bytes>{frame(kMac1, kMac3, 6)});
    // A tag of the guest's own: the VID gives way to the container's, the priority stays.
    lab.send(1, frame(kMac2, kMac1, 77, 3));
    CHECK(lab.take(0) == std::vector<Bytes>{frame(kMac2, kMac1, 5, 3)});
    lab.send(0, frame(kMac1, kMac2, 9));
    CHECK(lab.drops(Drop::k_vlan_no_entry) == 1);
    lab.send(0, frame(kMac1, kMac2, -1));
    CHECK(lab.drops(Drop::k_port_no_entry) == 1);
}

TEST_CASE("one localnet port and tag feed several switches", "[datapath]") {
    World world;
    DatapathModel& a = world.datapath(1);
    DatapathModel& b = world.datapath(2);
    for (DatapathModel* dp : {&a, &b}) {
        world.vif(*dp, 1, 0, 10).is_localnet = true;
        world.entry(0, *dp, 1, 10).entry.flags = flag::kFromLocalnet;
        world.rule(*dp, kIngress, 0, {eq(kSlotFlags, flag::kFromLocalnet)},
                   {load(kSlotOutport, 2), output()});
        world.rule(*dp, kEgress, 0, {}, {output()});
    }
    world.vif(a, 2, 1);
    world.vif(b, 2, 2);
    Lab lab;
    lab.publish(world);
    lab.send(0, PacketBuilder().eth(kMac1, kMac2).vlan(10).ip4(1, 2).udp(3, 4).payload(5));
    const Bytes plain = PacketBuilder().eth(kMac1, kMac2).ip4(1, 2).udp(3, 4).payload(5);
    CHECK(lab.take(1) == std::vector<Bytes>{plain});
    CHECK(lab.take(2) == std::vector<Bytes>{plain});
}

TEST_CASE("patch ports clear registers, flags and outport, and keep headers", "[datapath]") {
    World world;
    DatapathModel& a = world.datapath(1);
    DatapathModel& b = world.datapath(2);
    world.vif(a, 1, 0);
    world.entry(0, a, 1);
    world.patch(a, 10, b, 20);
    world.vif(b, 2, 1);
    world.rule(a, kIngress, 0, {},
               {load(kSlotXxreg0, 7), load(kSlotFlags, 4), load(kSlotCtMark, 8),
                load(kSlotPktMark, 3), load(kSlotOutport, 10), next(kIngress, 1)});
    world.rule(a, kIngress, 1, {eq(kSlotXxreg0, 7)}, {op(Op::kDecTtl), output()});
    world.rule(a, kEgress, 0, {eq(kSlotXxreg0, 0), eq(kSlotFlags, 4), eq(kSlotOutport, 10)},
               {output()});
    world.rule(b, kIngress, 0,
               {eq(kSlotXxreg0, 0), eq(kSlotFlags, 0), eq(kSlotCtMark, 0), eq(kSlotOutport, 0),
                eq(kSlotPktMark, 3), eq(kSlotInport, 20), eq(kSlotDatapath, 2)},
               {op(Op::kDecTtl), load(kSlotOutport, 2), output()});
    world.rule(b, kEgress, 0, {}, {output()});
    Lab lab;
    lab.publish(world);
    lab.send(0, PacketBuilder().eth(kMac1, kMac2).ip4(1, 2).ttl(9).udp(3, 4).payload(5));
    CHECK(lab.take(1) ==
          std::vector<Bytes>{
              PacketBuilder().eth(kMac1, kMac2).ip4(1, 2).ttl(7).udp(3, 4).payload(5)});
}

TEST_CASE("patch ports in a ring end in a named drop", "[datapath]") {
    World world;
    DatapathModel& a = world.datapath(1);
    DatapathModel& b = world.datapath(2);
    world.vif(a, 1, 0);
    world.entry(0, a, 1);
    world.patch(a, 10, b, 20);
    world.patch(b, 21, a, 11);
    for (DatapathModel* dp : {&a, &b}) {
        world.rule(*dp, kIngress, 0, {}, {load(kSlotOutport, dp == &a ? 10 : 21), output()});
        world.rule(*dp, kEgress, 0, {}, {output()});
    }
    Lab lab;
    lab.publish(world);
    lab.send(0, udp(kMac1, kMac2));
    CHECK(lab.drops(Drop::k_too_many_reentries) == 1);
    CHECK(lab.take_all().empty());
}

TEST_CASE("nested next is limited, next at the end of a rule is not", "[datapath]") {
    World world;
    DatapathModel& ls = world.datapath(1);
    world.vif(ls, 1, 0);
    world.vif(ls, 2, 1);
    world.entry(0, ls, 1);
    for (unsigned i = 0; i < 60; ++i) {
        world.rule(ls, kIngress, i, {}, {next(kIngress, i + 1)});
    }
    world.rule(ls, kIngress, 60, {eq(kSlotIpTtl, 1)},
               {next(kIngress, 60), load(kSlotOutport, 2), output()});
    world.rule(ls, kIngress, 60, {}, {load(kSlotOutport, 2), output()});
    world.rule(ls, kEgress, 0, {}, {output()});
    Lab lab;
    lab.publish(world);
    lab.send(0, udp(kMac1, kMac2));
    CHECK(lab.take(1).size() == 1);
    lab.send(0, PacketBuilder().eth(kMac1, kMac2).ip4(1, 2).ttl(1).udp(1, 2).payload(9));
    CHECK(lab.drops(Drop::k_walk_too_deep) == 1);
    CHECK(lab.take(1).size() == limits::kMaxWalkDepth + 1);
}

TEST_CASE("what a port does not take is counted and freed", "[datapath]") {
    TwoVifs net;
    net.world.l2_switch(net.ls, {{1, kMac1}, {2, kMac2}, {3, kMac3}});
    net.world.vif(net.ls, 3, 99);
    Lab lab;
    lab.publish(net.world);
    const unsigned before = lab.in_use();
    lab.tx_stuck = true;
    lab.send(0, std::vector<Bytes>(40, udp(kMac1, kMac2)));
    CHECK(lab.drops(Drop::k_tx_full) == 40);
    lab.send(0, udp(kMac1, kMac3));
    CHECK(lab.drops(Drop::k_tx_port_gone) == 1);
    lab.tx_stuck = false;
    lab.send(0, udp(kMac1, kMac2, 1, 1472));
    lab.send(0, udp(kMac1, kMac2, 1, 1473));
    CHECK(lab.take(1).size() == 1);
    CHECK(lab.drops(Drop::k_too_long) == 1);
    CHECK(lab.in_use() == before);
}

TEST_CASE("chained packets leave in one piece where a port wants that", "[datapath]") {
    TwoVifs net;
    net.world.l2_switch(net.ls, {{1, kMac1}, {2, kMac2}});
    Lab lab(1024, 8, 9000);
    lab.publish(net.world);
    const unsigned before = lab.in_use();
    const Bytes small = udp(kMac1, kMac2, 1, 1000);
    const Bytes large = udp(kMac1, kMac2, 1, 5000);
    for (const Bytes& frame : {small, large}) {
        rte_mbuf* m = to_mbuf(frame, {300, 200});
        lab.worker->process_burst(&m, 1, 0);
    }
    CHECK(lab.take(1) == std::vector<Bytes>{small});
    CHECK(lab.drops(Drop::k_not_applicable) == 1);  // longer than a buffer
    CHECK(lab.in_use() == before);
}
