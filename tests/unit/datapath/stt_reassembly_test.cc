// SPDX-License-Identifier: Apache-2.0
// The table of incomplete STT frames by itself: limits, who pays for them, time.
#include "datapath/tunnel/stt_reassembly.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/unit/datapath/world.h"

using namespace sluice;
using namespace sluice::test;

namespace {

using Verdict = SttReassembly::Verdict;

struct Held {
    std::map<Drop, unsigned> lost;
    SttReassembly table;
    SttReassembly::Frame frame{};
    uint64_t now_ms = 1000;

    explicit Held(const SttLimits& limits)
        : table(
              limits, 42,
              [](void* owner, rte_mbuf* m, Drop reason) {
                  ++static_cast<Held*>(owner)->lost[reason];
                  rte_pktmbuf_free(m);
              },
              this) {}
    /// A segment of `length` bytes in that many mbufs.
    Verdict add(uint32_t source, uint32_t id, uint32_t offset, uint32_t length, uint32_t total,
                uint16_t buffers = 1) {
        SttSegment s{};
        std::memcpy(s.src, &source, 4);
        s.id = id;
        s.src_port = 7;
        s.offset = offset;
        s.length = length;
        s.total = total;
        const auto each = static_cast<uint16_t>(length / buffers);
        rte_mbuf* m = to_mbuf(Bytes(length, static_cast<uint8_t>(offset / 16)),
                              std::vector<uint16_t>(buffers - 1u, each));
        const Verdict v = table.add(m, s, now_ms, &frame);
        if (v == Verdict::kRefused) {
            rte_pktmbuf_free(m);
        } else if (v == Verdict::kComplete) {
            rte_pktmbuf_free(frame.m);
        }
        return v;
    }
};

}  // namespace

TEST_CASE("when slots run out the oldest frame goes", "[stt]") {
    Held t({.frames = 4,
            .buffers = 100,
            .frames_per_source = 4,
            .buffers_per_source = 100,
            .segments_per_frame = 10});
    for (uint32_t i = 0; i < 4; ++i) {
        CHECK(t.add(i, 1, 0, 16, 32) == Verdict::kHeld);
    }
    CHECK(t.add(9, 1, 0, 16, 32) == Verdict::kHeld);
    CHECK(t.lost == std::map<Drop, unsigned>{{Drop::k_stt_evicted, 1}});
    CHECK(t.table.frames() == 4);
    CHECK(t.add(1, 1, 16, 16, 32) == Verdict::kComplete);  // the second one is still there
    CHECK(t.add(0, 1, 16, 16, 32) == Verdict::kHeld);      // the first one is not
}

TEST_CASE("a source pays with its own oldest frames", "[stt]") {
    Held t({.frames = 16,
            .buffers = 40,
            .frames_per_source = 3,
            .buffers_per_source = 10,
            .segments_per_frame = 20});
    CHECK(t.add(1, 1, 0, 16, 64) == Verdict::kHeld);
    for (uint32_t i = 0; i < 50; ++i) {
        CHECK(t.add(2, i, 0, 16, 64) == Verdict::kHeld);
    }
    CHECK(t.lost[Drop::k_stt_evicted] == 47);
    CHECK(t.table.frames() == 4);
    // Buffers: frames of its own go, then the segment itself.
    for (uint32_t i = 1; i <= 9; ++i) {
        CHECK(t.add(2, 49, i * 16, 16, 1000) == Verdict::kRefused);  // another length
        CHECK(t.frame.reason == Drop::k_stt_length);
    }
    for (uint32_t i = 0; i < 10; ++i) {
        CHECK(t.add(3, 1, i * 16, 16, 1000) == Verdict::kHeld);
    }
    CHECK(t.add(3, 1, 160, 16, 1000) == Verdict::kRefused);
    CHECK(t.frame.reason == Drop::k_stt_evicted);
    CHECK(t.add(4, 1, 0, 1100, 5000, 11) == Verdict::kRefused);  // more than a source may have
    CHECK(t.table.frames() == 5);
    CHECK(t.table.buffers() == 14);
    CHECK(t.add(1, 1, 16, 48, 64) == Verdict::kComplete);
}

TEST_CASE("buffers of all sources together are bounded", "[stt]") {
    Held t({.frames = 64,
            .buffers = 20,
            .frames_per_source = 64,
            .buffers_per_source = 20,
            .segments_per_frame = 30});
    for (uint32_t i = 0; i < 200; ++i) {
        CHECK(t.add(i, 1, 0, 100, 1000, 3) == Verdict::kHeld);
        CHECK(t.table.buffers() <= 20);
    }
    CHECK(t.table.frames() == 6);
    CHECK(t.lost[Drop::k_stt_evicted] == 194);
    CHECK(t.add(199, 1, 100, 900, 1000, 9) == Verdict::kComplete);
}

TEST_CASE("time runs from the first segment on", "[stt]") {
    Held t({});
    CHECK(t.add(1, 1, 0, 16, 64) == Verdict::kHeld);
    t.now_ms += 300;
    CHECK(t.add(1, 1, 16, 16, 64) == Verdict::kHeld);
    CHECK(t.add(1, 2, 0, 16, 64) == Verdict::kHeld);
    t.now_ms += 199;
    t.table.expire(t.now_ms, 16);
    CHECK(t.table.frames() == 2);
    t.now_ms += 1;
    t.table.expire(t.now_ms, 16);
    CHECK(t.table.frames() == 1);
    CHECK(t.lost == std::map<Drop, unsigned>{{Drop::k_stt_timeout, 2}});
    for (uint32_t i = 10; i < 40; ++i) {
        t.add(i, 1, 0, 16, 64);
    }
    t.now_ms += 1000;
    t.table.expire(t.now_ms, 16);  // a little at a time
    CHECK(t.table.frames() == 15);
}

TEST_CASE("the table frees what it holds at the end", "[stt]") {
    const unsigned before = rte_mempool_in_use_count(test_pool());
    {
        Held t({});
        for (uint32_t i = 0; i < 100; ++i) {
            t.add(i % 7, i, 0, 100, 1000, 2);
        }
        CHECK(rte_mempool_in_use_count(test_pool()) == before + 200);
    }
    CHECK(rte_mempool_in_use_count(test_pool()) == before);
}
