// SPDX-License-Identifier: Apache-2.0
// A worker forwards flat out while another thread publishes a thousand pipelines a second.
//
// Every frame is checked on its way out: the right port, the order within its flow, and for flows
// whose rules change with every publish that port and mark come from one and the same version, and
// that a version once left never comes back. Runs 5 seconds, or SLUICE_SWAP_SECONDS.
#include <malloc.h>
#include <rte_mbuf.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "lib/net/wire.h"
#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr unsigned kReader = 3;
constexpr unsigned kFlows = 24;       ///< fixed ways, by destination MAC
constexpr unsigned kMovingNear = 24;  ///< rule in the first switch changes
constexpr unsigned kMovingFar = 25;   ///< rule behind the patch port changes
constexpr unsigned kAllFlows = 26;
constexpr uint64_t kMacBase = 0x020000000100;

PortId port_of(unsigned flow) {
    return static_cast<PortId>(1 + flow % 4);
}

/// Makes frames of all flows in turn; the worker's thread.
struct Source {
    uint64_t made = 0;
    uint32_t next_sequence[kAllFlows] = {};
    std::atomic<bool> stop{false};  ///< main writes, worker reads

    static uint16_t rx(void* ctx, rte_mbuf** pkts, uint16_t n) {
        auto& self = *static_cast<Source*>(ctx);
        if (self.stop.load(std::memory_order_relaxed)) {
            return 0;
        }
        for (uint16_t i = 0; i < n; ++i) {
            const unsigned flow = static_cast<unsigned>(self.made++ % kAllFlows);
            pkts[i] = rte_pktmbuf_alloc(test_pool());
            SLUICE_CHECK(pkts[i]);
            self.fill(pkts[i], flow);
        }
        return n;
    }
    void fill(rte_mbuf* m, unsigned flow) {
        auto* p = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(m, 60));
        SLUICE_CHECK(p);
        std::memset(p, 0, 60);
        wire::put48(p, kMacBase + flow);
        wire::put48(p + 6, 0x020000000001);
        wire::put16(p + 12, wire::kTypeIp4);
        p[14] = 0x45;
        wire::put16(p + 16, 46);
        p[22] = 64;
        p[23] = 17;
        wire::put32(p + 26, ip(10, 0, 0, 1));
        wire::put32(p + 30, ip(10, 0, 0, 2));
        wire::put16(p + 34, flow);
        wire::put16(p + 36, 9);
        wire::put16(p + 38, 26);
        wire::put32(p + 42, flow);
        wire::put32(p + 46, next_sequence[flow]++);
    }
};

/// Checks what comes out of all ports; the worker's thread, read by main after it has ended.
struct Sink {
    uint64_t seen = 0;
    uint64_t wrong_port = 0;
    uint64_t wrong_order = 0;
    uint64_t torn = 0;   ///< port and mark of different versions
    uint64_t stale = 0;  ///< an older version than one seen before
    uint64_t moves = 0;
    uint32_t expected[kAllFlows] = {};
    uint32_t version[2] = {};

    void take(PortId port, const rte_mbuf* m) {
        const auto* p = rte_pktmbuf_mtod(m, const uint8_t*);
        const uint32_t flow = wire::get32(p + 42);
        ++seen;
        wrong_order += wire::get32(p + 46) != expected[flow]++;
        if (flow < kFlows) {
            wrong_port += port != port_of(flow) || wire::get32(p + 26) != ip(10, 0, 0, 1);
            return;
        }
        const uint32_t mark = wire::get32(p + 26);
        const bool far = flow == kMovingFar;
        torn += port != (far ? 3 : 1) + mark % 2;
        uint32_t& last = version[far];
        stale += mark < last;
        moves += mark != last;
        last = mark;
    }
};

struct Out {
    Sink* sink;
    PortId port;
    static uint16_t tx(void* ctx, rte_mbuf** pkts, uint16_t n) {
        auto& self = *static_cast<Out*>(ctx);
        for (uint16_t i = 0; i < n; ++i) {
            self.sink->take(self.port, pkts[i]);
            rte_pktmbuf_free(pkts[i]);
        }
        return n;
    }
};

std::vector<Test> to_mac(unsigned flow) {
    const uint64_t mac = kMacBase + flow;
    return {eq(kSlotEthDst, static_cast<uint32_t>(mac >> 32)),
            eq(kSlotEthDst + 1, static_cast<uint32_t>(mac))};
}

/// Switch near has ports 1 and 2, switch far behind a patch port has 3 and 4.
struct Network {
    World world;
    DatapathModel& near = world.datapath(1);
    DatapathModel& far = world.datapath(2);
    DatapathModel& other = world.datapath(3);
    uint32_t version[2] = {};
    Row* moving[2];

    Network() {
        world.vif(near, 10, 0);
        world.entry(0, near, 10);
        world.patch(near, 20, far, 21);
        for (PortId i = 1; i <= 4; ++i) {
            world.vif(i <= 2 ? near : far, i, i);
        }
        for (unsigned flow = 0; flow < kAllFlows; ++flow) {
            const uint32_t out = flow < kFlows ? port_of(flow) : flow == kMovingNear ? 1 : 3;
            const uint32_t first = out <= 2 ? out : 20;
            world.rule(near, kIngress, 0, to_mac(flow), {load(kSlotOutport, first), output()});
            world.rule(far, kIngress, 0, to_mac(flow), {load(kSlotOutport, out), output()});
        }
        moving[0] = &near.tables[{kIngress, 0}][kMovingNear];
        moving[1] = &far.tables[{kIngress, 0}][kMovingFar];
        set(0);
        set(1);
        for (DatapathModel* dp : {&near, &far, &other}) {
            world.rule(*dp, kEgress, 0, {}, {output()});
        }
    }
    void set(unsigned which) {
        const uint32_t v = version[which];
        moving[which]->code = {load(kSlotIp4Src, v), load(kSlotOutport, (which ? 3 : 1) + v % 2),
                               output()};
    }
    /// One change, of one of the three datapaths.
    void change(unsigned n) {
        if (n % 3 == 2) {
            world.touch(other);
            return;
        }
        ++version[n % 3];
        set(n % 3);
        world.touch(n % 3 ? far : near);
    }
};

/// Bytes of the heap in use, old pipelines that wait for their grace period included.
long heap_kb() {
    const struct mallinfo2 info = mallinfo2();
    return static_cast<long>((info.uordblks + info.hblkhd) / 1024);
}

constexpr bool sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

}  // namespace

TEST_CASE("a thousand publishes a second under full load", "[swap][property]") {
    const char* text = std::getenv("SLUICE_SWAP_SECONDS");
    const int seconds = text ? std::atoi(text) : 5;
    rte_mempool* pool = test_pool();
    RcuDomain rcu;
    Published<Pipeline> pipeline(rcu);
    Published<PortTable> ports(rcu);
    auto counters = std::make_unique<WorkerCounters>();
    Source source;
    Sink sink;
    Out outs[5];
    std::vector<PortTable::Entry> entries;
    for (PortId i = 0; i < 5; ++i) {
        outs[i] = {&sink, i};
        PortTable::Entry e;
        e.port.id = i;
        e.tx.push_back({Out::tx, &outs[i]});
        if (i == 0) {
            e.rx.push_back({Source::rx, &source});
            e.rx_worker.push_back(0);
        }
        entries.push_back(std::move(e));
    }
    ports.swap(std::make_unique<const PortTable>(std::move(entries), 1));
    Network net;
    counters->flows.reserve(net.world.flows + 1);
    pipeline.swap(net.world.build());
    rcu.register_reader(kReader);
    WorkerConfig config;
    config.reader_id = kReader;
    config.rcu = &rcu;
    config.pipeline = &pipeline;
    config.ports = &ports;
    config.counters = counters.get();
    config.copy_pool = pool;
    config.cache_entries = 256;
    auto worker = std::move(Worker::create(config)).value();

    std::thread thread([&] { worker->run(); });
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    auto at = begin;
    unsigned publishes = 0;
    size_t most_waiting = 0;
    long warm_kb = 0;
    while (at - begin < std::chrono::seconds(seconds)) {
        at += std::chrono::milliseconds(1);
        std::this_thread::sleep_until(at);
        net.change(publishes++);
        pipeline.swap(net.world.build());
        most_waiting = std::max(most_waiting, rcu.reclaim());
        if (publishes == static_cast<unsigned>(seconds) * 200) {
            warm_kb = heap_kb();
        }
    }
    source.stop = true;
    worker->request_flush();
    while (!worker->flush_done()) {
        std::this_thread::yield();
    }
    worker->stop();
    thread.join();
    rcu.synchronize();
    const long end_kb = heap_kb();

    WARN(publishes << " publishes, " << source.made << " packets, " << sink.moves
                   << " moves seen, at most " << most_waiting << " old pipelines waiting, "
                   << end_kb - warm_kb << " kB more memory");
    CHECK(publishes == static_cast<unsigned>(seconds) * 1000);
    CHECK(sink.seen == source.made);
    CHECK(sink.wrong_port == 0);
    CHECK(sink.wrong_order == 0);
    CHECK(sink.torn == 0);
    CHECK(sink.stale == 0);
    CHECK(sink.moves > 10);
    CHECK(rcu.reclaim() == 0);
    CHECK(rte_mempool_in_use_count(pool) == 0);
    CHECK(counters->get(Counter::k_cache_hit) > 0);
    for (unsigned i = 0; i < static_cast<unsigned>(Drop::kCount); ++i) {
        CAPTURE(drop_name(static_cast<Drop>(i)));
        CHECK(counters->get(static_cast<Drop>(i)) == 0);
    }
    if (!sanitized()) {
        CHECK(end_kb - warm_kb < 256);
    }
    uint64_t credited = 0;
    for (uint32_t flow = 0; flow < net.world.flows; ++flow) {
        uint64_t packets;
        uint64_t bytes;
        counters->flows.read(flow, &packets, &bytes);
        credited += packets;
    }
    CHECK(credited > 2 * source.made);
}
