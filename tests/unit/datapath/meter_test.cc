// SPDX-License-Identifier: Apache-2.0
// Meters: buckets against a plain model, under contention, and what a walk and a cached program do
// with a packet that exceeds one.
#include "datapath/meter.h"

#include <catch2/catch.hpp>

#include <random>
#include <thread>

#include "datapath/trace.h"
#include "lib/program/packet_meta.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/// One band as Open vSwitch's userspace datapath writes it down: a bucket of tokens that is
/// refilled by whole milliseconds and never above its depth.
struct PlainBand {
    uint64_t rate;
    uint64_t depth;
    uint64_t tokens = depth;
    uint64_t used_ms = 0;
    bool take(uint64_t cost, uint64_t now_ms) {
        tokens = std::min(depth, tokens + (now_ms - used_ms) * rate);
        used_ms = now_ms;
        if (tokens < cost) {
            return false;
        }
        tokens -= cost;
        return true;
    }
};

MeterSpec spec(uint32_t id, bool packets, std::vector<MeterSpec::Band> bands) {
    MeterSpec s;
    s.id = id;
    s.is_packets = packets;
    s.bands = std::move(bands);
    return s;
}

constexpr uint64_t kMs = 1u << 20;  ///< a clock that has run for a while

/// A switch with VIF 1 at port 0, VIFs 2 and 3 at ports 1 and 2; group 40000 is all of them.
struct Net {
    World world;
    DatapathModel& ls = world.datapath(7);
    Lab lab;
    explicit Net(uint32_t cache = 1024) : lab(cache) {
        world.vif(ls, 1, 0);
        world.vif(ls, 2, 1);
        world.vif(ls, 3, 2);
        ls.groups[40000].key = 40000;
        ls.groups[40000].local = {2, 3};
        world.entry(0, ls, 1);
    }
    /// 125 bytes: 1000 bits.
    void send(unsigned n) {
        for (unsigned i = 0; i < n; ++i) {
            lab.send(0,
                     PacketBuilder().eth(0xa, 0xb).ip4(3, 4).udp(5, 6).payload(125 - 42).bytes());
        }
    }
    size_t out(PortId port) { return lab.take(port).size(); }
};

Instr meter(uint32_t kbps, uint32_t kbit = 0) {
    return op(Op::kSetMeter, 0, 0, 0, kbps, kbit);
}

}  // namespace

TEST_CASE("a bucket counts like the plain model", "[meter]") {
    std::mt19937 random(7);
    const bool packets = GENERATE(false, true);
    for (int round = 0; round < 50; ++round) {
        const uint64_t rates[2] = {1 + random() % 5000, 1 + random() % 5000};
        const uint64_t bursts[2] = {random() % 3 ? random() % 9000 : 0, random() % 9000};
        const MeterSpec s = spec(9, packets, {{rates[0], bursts[0]}, {rates[1], bursts[1]}});
        PlainBand plain[2] = {{rates[0], (bursts[0] ? bursts[0] : rates[0]) * 1000},
                              {rates[1], (bursts[1] ? bursts[1] : rates[1]) * 1000}};
        MeterTable table(64);
        uint64_t now = kMs;
        for (int i = 0; i < 2000; ++i) {
            now += random() % 4 ? 0 : random() % (random() % 50 ? 20 : 100000);
            const uint32_t bytes = 60 + random() % 1400;
            const uint64_t cost = packets ? 1000 : uint64_t{bytes} * 8;
            const bool first = plain[0].take(cost, now);
            const bool second = plain[1].take(cost, now);
            REQUIRE(table.take(s, bytes, now) == (first && second));
        }
    }
}

TEST_CASE("a burst of 0 is a second's worth", "[meter]") {
    MeterTable table;
    unsigned passed = 0;
    for (unsigned i = 0; i < 100; ++i) {
        passed += table.take_flow(1, 64, 0, 125, kMs);
    }
    CHECK(passed == 64);
    CHECK_FALSE(table.take_flow(1, 64, 0, 125, kMs + 15));
    CHECK(table.take_flow(1, 64, 0, 125, kMs + 16));
}

TEST_CASE("each flow and each setting has its own bucket", "[meter]") {
    MeterTable table;
    CHECK(table.take_flow(1, 1, 1, 125, kMs));
    CHECK_FALSE(table.take_flow(1, 1, 1, 125, kMs));
    CHECK(table.take_flow(2, 1, 1, 125, kMs));
    CHECK(table.take_flow(1, 1, 2, 125, kMs));
}

TEST_CASE("a clock that is a little behind gives nothing away", "[meter]") {
    MeterTable table;
    for (unsigned i = 0; i < 10; ++i) {
        CHECK(table.take_flow(1, 1000, 10, 125, kMs));
    }
    CHECK_FALSE(table.take_flow(1, 1000, 10, 125, kMs - 3));
    CHECK_FALSE(table.take_flow(1, 1000, 10, 125, kMs));
}

TEST_CASE("a bucket fills up over any time and at any rate", "[meter]") {
    MeterTable table;
    const uint64_t rate = 0xffffffffu;
    CHECK(table.take(spec(1, false, {{rate, 1}}), 125, kMs));
    CHECK_FALSE(table.take(spec(1, false, {{rate, 1}}), 125, kMs));
    for (uint64_t days = 1; days < 400; days *= 3) {
        CHECK(table.take(spec(1, false, {{rate, 1}}), 125, kMs + days * 86'400'000));
    }
}

TEST_CASE("more meters than there is room for: busy ones are kept", "[meter]") {
    MeterTable table(8);  // two sets of eight
    for (uint32_t flow = 1; flow < 4; ++flow) {
        CHECK(table.take_flow(flow, 1, 100, 12500, kMs));
    }
    for (uint32_t flow = 100; flow < 2000; ++flow) {
        table.take_flow(flow, 1, 100, 1, kMs);
    }
    for (uint32_t flow = 1; flow < 4; ++flow) {
        CHECK_FALSE(table.take_flow(flow, 1, 100, 125, kMs));
    }
}

TEST_CASE("workers together pass what one would, to the packet", "[meter]") {
    constexpr unsigned kWorkers = 4;
    constexpr unsigned kTries = 40'000;
    MeterTable table;
    std::atomic<unsigned> passed{0};
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> workers;
    for (unsigned w = 0; w < kWorkers; ++w) {
        workers.emplace_back([&] {
            ++ready;
            while (ready != kWorkers) {
                std::this_thread::yield();
            }
            unsigned mine = 0;
            for (unsigned i = 0; i < kTries; ++i) {
                mine += table.take_flow(5, 77, 33'333, 125, kMs + i / 1000);
            }
            passed += mine;
        });
    }
    for (std::thread& worker : workers) {
        worker.join();
    }
    // The depth, and what 39 ms add. Clocks of the threads differ, so a refill may come late for
    // some, but every packet of the model passes at the end of the time.
    while (table.take_flow(5, 77, 33'333, 125, kMs + kTries / 1000 - 1)) {
        ++passed;
    }
    CHECK(passed == 33'333 + 77 * (kTries / 1000 - 1) / 1000);
}

TEST_CASE("set_meter drops what exceeds it, walked or from the cache", "[meter]") {
    const uint32_t cache = GENERATE(0u, 1024u);
    Net net(cache);
    net.world.rule(net.ls, kIngress, 0, {}, {meter(3), load(kSlotOutport, 2), output()});
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.lab.publish(net.world);
    net.send(10);
    CHECK(net.out(1) == 3);
    CHECK(net.lab.drops(Drop::k_metered) == 7);
    CHECK((net.lab.count(Counter::k_cache_hit) > 0) == (cache != 0));
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("a meter is charged once for all copies, and per copy behind the group", "[meter]") {
    const uint32_t cache = GENERATE(0u, 1024u);
    Net net(cache);
    net.world.rule(net.ls, kIngress, 0, {}, {meter(4), load(kSlotOutport, 40000), output()});
    net.world.rule(net.ls, kEgress, 0, {eq(kSlotOutport, 2)}, {meter(2), output()});
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.lab.publish(net.world);
    net.send(6);
    CHECK(net.out(1) == 2);
    CHECK(net.out(2) == 4);
    CHECK(net.lab.drops(Drop::k_metered) == 2 + 2);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("a meter in a clone ends the clone alone", "[meter]") {
    Net net;
    net.world.rule(net.ls, kIngress, 0, {},
                   {op(Op::kClone, 0, 0, 0, 3), meter(1), load(kSlotOutport, 3), output(),
                    load(kSlotOutport, 2), output()});
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.lab.publish(net.world);
    net.send(5);
    CHECK(net.out(1) == 5);
    CHECK(net.out(2) == 1);
}

TEST_CASE("nothing behind a meter happens: no message, no second charge", "[meter]") {
    Net net;
    net.world.rule(net.ls, kIngress, 0, {},
                   {meter(2), op(Op::kPutFdb, kSlotInport, kSlotEthSrc), meter(8, 8),
                    load(kSlotOutport, 2), output()});
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.lab.publish(net.world);
    net.send(6);
    CHECK(net.out(1) == 2);
    Message messages[8];
    CHECK(net.lab.mailbox->take_messages(messages, 8) == 2);
    CHECK(net.lab.drops(Drop::k_metered) == 4);
}

TEST_CASE("seventeen meters in a row: the last number is shared and still drops", "[meter]") {
    const unsigned tightest = GENERATE(0u, 15u, 16u, 18u);
    Net net;
    for (unsigned i = 0; i < 20; ++i) {
        net.world.rule(net.ls, kIngress, i, {},
                       {meter(i == tightest ? 3 : 100), next(kIngress, i + 1)});
    }
    net.world.rule(net.ls, kIngress, 20, {}, {load(kSlotOutport, 2), output()});
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.lab.publish(net.world);
    net.send(9);
    CHECK(net.out(1) == 3);
    CHECK(net.lab.drops(Drop::k_metered) == 6);
}

TEST_CASE("the slow path's meters: copies go quietly, packets are drops", "[meter]") {
    Net net;
    net.world.meters = {std::make_shared<MeterSpec>(spec(1, true, {{1, 2}}))};
    const PuntSpec metered{0, 65536};
    const PuntKind kind = GENERATE(kPuntCopies, kPuntEnds);
    net.world.rule(
        net.ls, kIngress, 0, {},
        {op(Op::kPunt, static_cast<unsigned>(PuntReason::kLog), kind, 0, 1, 0, 0, &metered),
         load(kSlotOutport, 2), output()});
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.lab.publish(net.world);
    net.send(5);
    CHECK(net.lab.take_punts().size() == 2);
    CHECK(net.lab.count(Counter::k_punts_metered) == 3);
    CHECK(net.out(1) == (kind == kPuntCopies ? 5 : 0));
    CHECK(net.lab.drops(Drop::k_metered) == (kind == kPuntCopies ? 0 : 3));
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("a transform beyond its meter is not made, and the packet is a drop", "[meter]") {
    const bool holds = GENERATE(false, true);
    Net net;
    net.world.meters = {nullptr, std::make_shared<MeterSpec>(spec(1, true, {{1, 2}}))};
    const PuntSpec metered{1, 65536};
    std::vector<Instr> code;
    if (holds) {
        code.push_back(op(Op::kBuffer, 0, 0, 0, 0, 0, 0, &metered));
    }
    code.push_back(op(Op::kTransform, static_cast<unsigned>(Transform::kArp), 0, 0, 2, 0, 0,
                      holds ? nullptr : &metered));
    for (const Instr& i : {load(kSlotOutport, 3), output(), load(kSlotOutport, 2), output()}) {
        code.push_back(i);
    }
    const uint32_t flow = net.world.rule(net.ls, kIngress, 0, {}, code);
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.lab.publish(net.world);
    net.send(5);
    CHECK(net.out(2) == 2);
    CHECK(net.out(1) == 5);  // what follows the block is no matter of the meter
    CHECK(net.lab.take_punts().size() == (holds ? 2 : 0));
    CHECK(net.lab.drops(Drop::k_metered) == 3);
    CHECK(net.lab.flow_packets(flow) == 5);
    CHECK(net.lab.in_use() == 0);
}

TEST_CASE("what is learnt goes through the meter, packet by packet", "[meter]") {
    const Op learn = GENERATE(Op::kPutArp, Op::kPutNd, Op::kPutFdb);
    Net net;
    net.world.meters = {std::make_shared<MeterSpec>(spec(1, true, {{1, 2}}))};
    const PuntSpec metered{0, 65536};
    const unsigned second = learn == Op::kPutFdb ? kSlotEthSrc : kSlotXxreg0;
    net.world.rule(net.ls, kIngress, 0, {},
                   {op(learn, kSlotInport, second, kSlotEthSrc, 0, 0, 0, &metered),
                    load(kSlotOutport, 2), output()});
    net.world.rule(net.ls, kEgress, 0, {}, {output()});
    net.lab.publish(net.world);
    net.send(5);
    Message messages[8];
    CHECK(net.lab.mailbox->take_messages(messages, 8) == 2);
    CHECK(net.lab.count(Counter::k_punts_metered) == 3);
    CHECK(net.out(1) == 5);
    CHECK(net.lab.drops(Drop::k_metered) == 0);
}
