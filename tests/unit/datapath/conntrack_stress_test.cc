// SPDX-License-Identifier: Apache-2.0
// Three workers and a control thread on one table, for ThreadSanitizer and for invariants at the
// end.
#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "datapath/conntrack/conntrack.h"
#include "lib/program/state.h"

using namespace sluice;

namespace {

constexpr unsigned kWorkers = 3;
constexpr uint32_t kSize = 512;

struct Shared {
    std::unique_ptr<Conntrack> ct;
    std::atomic<uint64_t> now{1000};
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> wrong{0};
};

// A connection's label repeats its source: a view that mixes two connections shows.
CtTuple draw(std::mt19937& rng, uint32_t* source) {
    CtTuple t{};
    const uint32_t r = static_cast<uint32_t>(rng());
    *source = 1 + r % 1500;
    t.src[3] = *source;
    t.dst[3] = 0x0a000000 + r % 3;
    t.src_port = 1000;
    t.dst_port = 80;
    t.proto = r & 1u << 20 ? 6 : 17;
    t.zone = static_cast<uint16_t>(1 + (r >> 24) % 2);
    return t;
}

void work(Shared& s, unsigned worker, unsigned operations) {
    std::mt19937 rng(worker + 1);
    PacketFacts facts{};
    facts.is_valid = true;
    facts.tcp_wscale = 0xff;
    facts.tcp_flags = 16;
    facts.tcp_window = 1000;
    struct {
        CtConn* conn;
        uint32_t generation;
        uint32_t source;
    } known[64] = {};
    for (unsigned n = 0; n < operations; ++n) {
        uint32_t source;
        const CtTuple t = draw(rng, &source);
        const uint64_t now = s.now.load(std::memory_order_relaxed);
        CtView view;
        s.ct->lookup(t, facts, now, &view);
        if (view.conn && !view.reopens) {
            s.wrong += view.label[3] != source || view.original.src[3] != source;
            s.ct->touch(view, facts, 64, now);
            known[n % 64] = {view.conn, view.generation, source};
        } else if (n % 3 == 0) {
            CtCommitArgs args;
            args.marks.label[3] = source;
            args.marks.label_mask[3] = ~0u;
            if (n % 2) {
                args.nat.kind = CtNat::kSrc;
                args.nat.low[3] = args.nat.high[3] = 0x0b000001;
            }
            view = {};
            s.ct->commit(t, facts, args, now, &view, 64);
        }
        auto& k = known[(n * 7) % 64];
        if (k.conn && s.ct->review(k.conn, k.generation, false, facts, now, &view)) {
            s.wrong += view.label[3] != k.source;
            s.ct->touch(view, facts, 64, now);
        }
        if (n % 16 == 0) {
            s.now.fetch_add(250, std::memory_order_relaxed);
            s.ct->sweep(worker, now, 32);
        }
    }
}

void control(Shared& s) {
    unsigned n = 0;
    uint64_t next_flush = 200000;  // by the test's clock, so that expiry has its turn as well
    while (!s.stop.load(std::memory_order_relaxed)) {
        CtFilter filter;
        filter.zone = static_cast<uint16_t>(1 + n % 2);
        s.ct->dump(filter, [&](const CtEntry& e) { s.wrong += e.label[3] != e.src[3]; });
        ++n;
        if (s.now.load(std::memory_order_relaxed) >= next_flush) {
            next_flush += 200000;
            s.ct->flush(filter);
        }
        s.wrong += s.ct->stats().used > kSize;
    }
}

}  // namespace

TEST_CASE("workers share the table", "[conntrack][threads]") {
    Shared s;
    ConntrackConfig config;
    config.max_connections = kSize;
    config.workers = kWorkers;
    config.max_fragments_kb = 64;
    s.ct = Conntrack::create(config).value();
    std::thread controller(control, std::ref(s));
    std::vector<std::thread> workers;
    for (unsigned w = 0; w < kWorkers; ++w) {
        workers.emplace_back(work, std::ref(s), w, 60000u);
    }
    for (std::thread& w : workers) {
        w.join();
    }
    s.stop = true;
    controller.join();
    CHECK(s.wrong == 0);
    const CtStats stats = s.ct->stats();
    CHECK(stats.created == stats.expired + stats.flushed + stats.evicted + stats.used);
    CHECK(stats.created > kSize);
    CHECK(stats.evicted > 0);
    CHECK(stats.flushed > 0);
    CHECK(stats.expired > 0);
    s.ct->flush({});
    CHECK(s.ct->stats().used == 0);
    // Every slot and every entry of the hash table came back.
    for (uint32_t i = 0; i < kSize; ++i) {
        CtTuple t{};
        t.src[3] = i;
        t.proto = 17;
        PacketFacts facts{};
        facts.is_valid = true;
        CtView view;
        REQUIRE(s.ct->commit(t, facts, {}, s.now, &view) == CtCommit::kDone);
    }
    CHECK(s.ct->stats().used == kSize);
}
