// SPDX-License-Identifier: Apache-2.0
// What makes a cached program valid, what ends it, and who gets its counters.
#include <catch2/catch.hpp>

#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

Bytes frame(uint32_t dst, uint16_t sport = 1, size_t payload = 20, uint64_t eth_dst = 2) {
    return PacketBuilder().eth(1, eth_dst).ip4(1, dst).udp(sport, 9).payload(payload);
}

/// Switch a (ports 0, 1) and behind a patch port switch b (port 2), unrelated switch c (port 3, 4).
struct Net {
    World world;
    DatapathModel& a = world.datapath(1);
    DatapathModel& b = world.datapath(2);
    DatapathModel& c = world.datapath(3);
    Lab lab;
    Net() {
        world.vif(a, 1, 0);
        world.vif(a, 2, 1);
        world.patch(a, 10, b, 11);
        world.vif(b, 3, 2);
        world.vif(c, 4, 3);
        world.vif(c, 5, 4);
        world.entry(0, a, 1);
        world.entry(3, c, 4);
        world.rule(a, kIngress, 0, {eq(kSlotIp4Dst, 1)}, {load(kSlotOutport, 2), output()});
        world.rule(a, kIngress, 0, {}, {load(kSlotOutport, 10), output()});
        world.rule(b, kIngress, 0, {}, {load(kSlotOutport, 3), output()});
        world.rule(c, kIngress, 0, {}, {load(kSlotOutport, 5), output()});
        for (DatapathModel* dp : {&a, &b, &c}) {
            world.rule(*dp, kEgress, 0, {}, {output()});
        }
        lab.publish(world);
    }
    /// Sends one packet down each way: near (a only), far (a and b), other (c).
    void all() {
        lab.send(0, frame(1));
        lab.send(0, frame(2));
        lab.send(3, frame(3));
    }
    uint64_t stale() { return lab.count(Counter::k_cache_stale); }
    uint64_t missed() { return lab.count(Counter::k_cache_miss); }
};

}  // namespace

TEST_CASE("a publish outdates the programs that crossed what changed, and no others", "[cache]") {
    Net net;
    net.all();
    net.all();
    CHECK(net.missed() == 3);
    CHECK(net.stale() == 0);

    net.lab.publish(net.world);  // nothing changed
    net.all();
    CHECK(net.stale() == 0);

    net.world.touch(net.b);
    net.lab.publish(net.world);
    net.all();
    CHECK(net.stale() == 1);
    net.all();
    CHECK(net.stale() == 1);

    net.world.touch(net.a);
    net.lab.publish(net.world);
    net.lab.publish(net.world);  // an entry may sleep through several publishes
    net.all();
    CHECK(net.stale() == 3);

    net.world.physical_generation = net.world.sequence + 1;
    net.lab.publish(net.world);
    net.all();
    CHECK(net.stale() == 6);
    CHECK(net.lab.take(1).size() == 7);
    CHECK(net.lab.take(2).size() == 7);
    CHECK(net.lab.take(4).size() == 7);
}

TEST_CASE("a changed rule takes effect with the next packet", "[cache]") {
    Net net;
    net.all();
    net.lab.take_all();
    net.b.tables[{kIngress, 0}][0].code = {};
    net.world.touch(net.b);
    net.lab.publish(net.world);
    net.all();
    CHECK(net.lab.take(2).empty());
    CHECK(net.lab.take(1).size() == 1);
    CHECK(net.lab.drops(Drop::k_logical_flow) == 1);
}

TEST_CASE("the key is as wide as what is read and no wider", "[cache]") {
    Net net;  // ip4.dst is read, ports are not
    for (uint16_t i = 0; i < 100; ++i) {
        net.lab.send(0, frame(2, i));
    }
    CHECK(net.missed() == 1);
    for (uint32_t i = 100; i < 110; ++i) {
        net.lab.send(0, frame(i));
    }
    CHECK(net.missed() == 11);
    // Now the far switch looks at the port: the mask of the near entry grows.
    net.world.rule(net.b, kEgress, 0, {}, {});
    net.b.tables[{kEgress, 0}].insert(net.b.tables[{kEgress, 0}].begin(),
                                      Row{{eq(kSlotL4Src, 7)}, {}, 0});
    net.world.touch(net.b);
    net.lab.publish(net.world);
    net.lab.take_all();
    for (uint16_t i = 0; i < 10; ++i) {
        net.lab.send(0, frame(2, i));
    }
    CHECK(net.lab.take(2).size() == 9);
    CHECK(net.lab.drops(Drop::k_logical_flow) == 1);
}

TEST_CASE("length classes keep apart what check_pkt_larger() tells apart", "[cache]") {
    Net net;
    auto& rows = net.a.tables[{kIngress, 0}];
    rows.insert(
        rows.begin(),
        Row{{}, {op(Op::kCheckPktLarger, 0, 0, 0, 100, kSlotXxreg0, 3), next(kIngress, 1)}, 0});
    net.world.rule(net.a, kIngress, 1, {eq(kSlotXxreg0, 8)}, {});
    net.world.rule(net.a, kIngress, 1, {}, {load(kSlotOutport, 2), output()});
    net.world.pkt_lens = {100};
    net.world.touch(net.a);
    net.lab.publish(net.world);
    for (int i = 0; i < 2; ++i) {
        net.lab.send(0, frame(1, 1, 58));  // 100 bytes
        net.lab.send(0, frame(1, 1, 59));
    }
    CHECK(net.lab.take(1).size() == 2);
    CHECK(net.lab.drops(Drop::k_logical_flow) == 2);
    // Class 1 means something else now, although a did not change.
    net.world.pkt_lens = {50, 100};
    net.lab.publish(net.world);
    net.lab.send(0, frame(1, 1, 20));
    net.lab.send(0, frame(1, 1, 59));
    CHECK(net.lab.take(1).size() == 1);
    CHECK(net.lab.drops(Drop::k_logical_flow) == 3);
}

TEST_CASE("more flows than entries: all forwarded, all counted, memory bounded", "[cache]") {
    Net net;
    Lab small(64);
    small.publish(net.world);
    CHECK(small.worker->cache_stats().capacity == 64);
    for (unsigned round = 0; round < 3; ++round) {
        for (uint32_t i = 0; i < 1000; ++i) {
            small.send(0, frame(100 + i));
        }
    }
    CHECK(small.take(2).size() == 3000);
    CHECK(small.count(Counter::k_cache_evict) > 2000);
    CHECK(small.worker->cache_stats().used <= 64);
    CHECK(small.flow_packets(1) == 3000);
    uint64_t packets;
    uint64_t bytes;
    small.counters->flows.read(1, &packets, &bytes);
    CHECK(bytes == 3000 * frame(1).size());
}

TEST_CASE("hits reach flow counters by the sweep, without being asked for", "[cache]") {
    Net net;
    for (int i = 0; i < 10; ++i) {
        net.lab.send(0, frame(1));
    }
    uint64_t packets = 0;
    uint64_t bytes;
    for (unsigned turn = 1; turn < 2000; ++turn) {
        net.lab.worker->set_time(uint64_t{turn} << 32);
        net.lab.worker->run_once();
    }
    net.lab.counters->flows.read(0, &packets, &bytes);
    CHECK(packets == 10);
}

TEST_CASE("programs that cross more datapaths than an entry can name are not cached", "[cache]") {
    World world;
    std::vector<DatapathModel*> chain;
    for (unsigned i = 0; i < limits::kMaxCrossed + 1; ++i) {
        chain.push_back(&world.datapath(i + 1));
        world.rule(*chain[i], kIngress, 0, {}, {load(kSlotOutport, 2), output()});
        world.rule(*chain[i], kEgress, 0, {}, {output()});
        if (i > 0) {
            world.patch(*chain[i - 1], 2, *chain[i], 1);
        }
    }
    world.vif(*chain[0], 1, 0);
    world.vif(*chain.back(), 2, 1);
    world.entry(0, *chain[0], 1);
    Lab lab;
    lab.publish(world);
    lab.send(0, {frame(1), frame(1)});
    CHECK(lab.take(1).size() == 2);
    CHECK(lab.count(Counter::k_cache_bypass) == 2);
    CHECK(lab.flow_packets(1) == 2);
}

TEST_CASE("a datapath that goes away takes its programs with it", "[cache]") {
    Net net;
    net.all();
    auto pipeline = net.world.build();
    auto* without = const_cast<Pipeline*>(pipeline.get());
    without->datapaths[1] = nullptr;
    net.lab.take_all();
    net.lab.pipeline.swap(std::move(pipeline));
    net.all();
    CHECK(net.lab.take(2).empty());
    CHECK(net.lab.drops(Drop::k_unbound_port) == 1);
    CHECK(net.stale() == 1);
}
