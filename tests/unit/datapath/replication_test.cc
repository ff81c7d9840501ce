// SPDX-License-Identifier: Apache-2.0
// One frame, hundreds of copies: a broadcast in a switch with hundreds of routers, and hundreds of
// switches behind one physical port. All are delivered, nothing is lost on the way.
//
// `datapath_test "[cycles]"` says what a copy costs; a copy must not cost more because there are
// many.
#include <rte_cycles.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>

#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr uint64_t kSender = 0x0a0000000001;
constexpr uint64_t kBroadcast = 0xffffffffffff;
constexpr uint32_t kFlood = 0x8000;
constexpr PortId kWire = 0;
constexpr PortId kSink = 1;

Bytes broadcast(uint16_t sport = 1000) {
    return PacketBuilder()
        .eth(kSender, kBroadcast)
        .ip4(ip(10, 0, 0, 1), ip(255, 255, 255, 255))
        .udp(sport, 53)
        .payload(20);
}

void flood(World& world, DatapathModel& ls, std::vector<uint32_t> here,
           std::vector<uint32_t> local) {
    Group& group = ls.groups[kFlood];
    group.key = kFlood;
    group.here = std::move(here);
    group.local = std::move(local);
    world.rule(ls, kIngress, 0, {eq(kSlotEthDst, 0xffff), eq(kSlotEthDst + 1, 0xffffffff)},
               {load(kSlotOutport, kFlood), output()});
    world.rule(ls, kEgress, 0, {}, {output()});
}

/// A switch with a VIF and many routers; each router sends what it gets out of a port of its own,
/// with the number of the router as source MAC.
struct Routers {
    World world;
    explicit Routers(unsigned n) {
        DatapathModel& ls = world.datapath(1);
        world.vif(ls, 1, kWire);
        world.entry(kWire, ls, 1);
        std::vector<uint32_t> patches;
        for (unsigned i = 0; i < n; ++i) {
            DatapathModel& lr = world.datapath(100 + i);
            lr.is_switch = false;
            world.patch(ls, 10 + i, lr, 1);
            world.vif(lr, 2, kSink);
            auto code = load_mac(kSlotEthSrc, 0x020000000000 + i);
            code.push_back(op(Op::kDecTtl));
            code.push_back(load(kSlotOutport, 2));
            code.push_back(output());
            world.rule(lr, kIngress, 0, {}, code);
            world.rule(lr, kEgress, 0, {}, {output()});
            patches.push_back(10 + i);
        }
        flood(world, ls, patches, {1});
    }
};

/// Switches with a localnet port each, all on the same physical port, and a VIF.
struct Networks {
    World world;
    explicit Networks(unsigned n) {
        for (unsigned i = 0; i < n; ++i) {
            DatapathModel& ls = world.datapath(1 + i);
            world.vif(ls, 1, kWire).is_localnet = true;
            world.vif(ls, 2, kSink, static_cast<uint16_t>(i + 1));  // told apart by tag
            EntryModel& entry = world.entry(kWire, ls, 1);
            entry.entry.strip_vlan = true;
            flood(world, ls, {}, {1, 2});
        }
        world.no_tags.insert(kWire);
    }
};

uint64_t all_drops(const Lab& lab) {
    uint64_t sum = 0;
    for (size_t i = 1; i < static_cast<size_t>(Drop::kCount); ++i) {
        sum += lab.drops(static_cast<Drop>(i));
    }
    return sum;
}

template <typename Net>
void measure(const char* what) {
    constexpr unsigned kRounds = 200;
    for (const unsigned n : {10u, 100u, 500u}) {
        Net net(n);
        Lab lab(0);  // no cache: each frame is walked, few copies as many
        lab.publish(net.world);
        uint64_t cycles = UINT64_MAX;
        size_t copies = 0;
        for (unsigned round = 0; round < kRounds; ++round) {
            const uint64_t start = rte_rdtsc();
            lab.send(kWire, broadcast());
            cycles = std::min<uint64_t>(cycles, rte_rdtsc() - start);
            copies += lab.take(kSink).size();
        }
        std::printf("%s: %u copies of a frame, %.0f cycles each at best\n", what, n,
                    static_cast<double>(cycles) / n);
        CHECK(copies == size_t{n} * kRounds);
    }
}

}  // namespace

TEST_CASE("a broadcast reaches every one of hundreds of routers", "[datapath]") {
    for (const unsigned n : {1u, 300u, 1000u}) {
        Routers net(n);
        Lab lab;
        lab.publish(net.world);
        const unsigned before = lab.in_use();
        for (unsigned round = 0; round < 3; ++round) {
            lab.send(kWire, broadcast(static_cast<uint16_t>(round)));
            const std::vector<Bytes> got = lab.take(kSink);
            REQUIRE(got.size() == n);
            std::set<Bytes> sources;
            for (const Bytes& frame : got) {
                sources.insert(Bytes(frame.begin() + 6, frame.begin() + 12));
                CHECK(frame.size() == broadcast().size());
            }
            CHECK(sources.size() == n);  // one of each router
        }
        CHECK(all_drops(lab) == 0);
        CHECK(lab.in_use() == before);
    }
}

TEST_CASE("a broadcast reaches every one of hundreds of networks on one port", "[datapath]") {
    for (const unsigned n : {1u, 500u, 1000u}) {
        Networks net(n);
        Lab lab;
        lab.publish(net.world);
        const unsigned before = lab.in_use();
        for (unsigned round = 0; round < 3; ++round) {
            lab.send(kWire, broadcast(static_cast<uint16_t>(round)));
            const std::vector<Bytes> got = lab.take(kSink);
            REQUIRE(got.size() == n);
            std::set<Bytes> tags;
            for (const Bytes& frame : got) {
                tags.insert(Bytes(frame.begin() + 12, frame.begin() + 16));
            }
            CHECK(tags.size() == n);
            CHECK(lab.take(kWire).empty());  // not back to where it came from
        }
        CHECK(all_drops(lab) == 0);
        CHECK(lab.in_use() == before);
    }
}

TEST_CASE("what a copy costs", "[.][cycles]") {
    measure<Routers>("routers in a switch");
    measure<Networks>("networks on a port");
}
