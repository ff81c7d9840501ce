// SPDX-License-Identifier: Apache-2.0
// Shaping by queue: what leaves when, on a clock that the test moves.
#include "pmd/shaper.h"

#include <rte_mbuf.h>
#include <catch2/catch.hpp>
#include <map>

#include "lib/program/packet_meta.h"
#include "tests/support/eal.h"

using namespace sluice;
using namespace sluice::pmd;

namespace {

uint64_t g_now_ns;

uint64_t now_ns() {
    return g_now_ns;
}

struct Sink {
    std::vector<uint16_t> lengths;
    unsigned room = 1u << 20;
    static uint16_t burst(void* ctx, rte_mbuf** packets, uint16_t n) {
        auto* sink = static_cast<Sink*>(ctx);
        uint16_t taken = 0;
        for (; taken < n && sink->room; ++taken, --sink->room) {
            sink->lengths.push_back(packets[taken]->data_len);
            rte_pktmbuf_free(packets[taken]);
        }
        return taken;
    }
};

/// Queue 1: 1 Mbit/s with a burst of 2000 bits; queue 2: no limit.
struct Lab {
    Sink sinks[2];
    Shaper shaper{{{Sink::burst, &sinks[0]}, {Sink::burst, &sinks[1]}},
                  {{1, 0, 1'000'000, 2000}, {2, 0, 0, 0}},
                  now_ns};
    unsigned before = rte_mempool_in_use_count(test_pool());
    Lab() { g_now_ns = 1'000'000'000; }
    void send(unsigned worker, uint32_t queue, std::vector<uint16_t> lengths) {
        std::vector<rte_mbuf*> packets;
        for (const uint16_t length : lengths) {
            packets.push_back(rte_pktmbuf_alloc(test_pool()));
            rte_pktmbuf_append(packets.back(), length);
            meta_of(packets.back()).queue = queue;
        }
        CHECK(shaper.queue(worker).tx(packets.data(), static_cast<uint16_t>(packets.size())) ==
              lengths.size());
    }
    std::vector<uint16_t> at_us(uint64_t us, unsigned worker = 0) {
        g_now_ns = 1'000'000'000 + us * 1000;
        shaper.queue(worker).tx(nullptr, 0);
        return std::exchange(sinks[worker].lengths, {});
    }
};

using Lengths = std::vector<uint16_t>;

}  // namespace

TEST_CASE("what has no queue, an unknown one or one without limit goes at once", "[shaper]") {
    Lab lab;
    lab.send(0, 0, {100, 101});
    lab.send(0, 9, {102});
    lab.send(0, 2, {103, 104});
    CHECK(lab.at_us(0) == Lengths{100, 101, 102, 103, 104});
}

TEST_CASE("a queue lets its burst go and then keeps its rate, in order", "[shaper]") {
    Lab lab;
    // 1000 bits each: 1 ms apart at 1 Mbit/s, the first three at once (2000 bits of credit).
    lab.send(0, 1, {125, 125, 125, 125, 125});
    lab.send(0, 0, {60});
    CHECK(lab.at_us(0) == Lengths{125, 125, 125, 60});
    CHECK(lab.at_us(999).empty());
    CHECK(lab.at_us(1000) == Lengths{125});
    CHECK(lab.at_us(1999).empty());
    CHECK(lab.at_us(2000) == Lengths{125});
    // An idle queue gets its burst back and no more.
    g_now_ns += 1'000'000'000;
    lab.send(0, 1, {125, 125, 125, 125});
    CHECK(std::exchange(lab.sinks[0].lengths, {}).size() == 3);
}

TEST_CASE("workers share a queue's rate", "[shaper]") {
    Lab lab;
    lab.send(0, 1, {125, 125});
    lab.send(1, 1, {125, 125});
    CHECK(lab.at_us(0).size() == 2);
    CHECK(lab.at_us(0, 1).size() == 1);
    CHECK(lab.at_us(1000, 1).size() == 1);
}

TEST_CASE("a queue that is full drops the newest, and the rest keep their turn", "[shaper]") {
    Lab lab;
    constexpr unsigned kBatches = 54;
    for (unsigned i = 0; i < kBatches; ++i) {
        lab.send(0, 1, Lengths(10, 125));
    }
    const size_t at_once = lab.at_us(0).size();
    CHECK(at_once == 3);
    CHECK(lab.shaper.dropped() == kBatches * 10 - at_once - Shaper::kWaiting);
    CHECK(lab.at_us(511'999).size() == Shaper::kWaiting - 1);
    CHECK(lab.at_us(512'000).size() == 1);
    lab.send(0, 1, {125});
    CHECK(lab.at_us(512'000 + 1000) == Lengths{125});
}

TEST_CASE("what the device refuses stays in its queue, and is freed with it", "[shaper]") {
    const unsigned before = rte_mempool_in_use_count(test_pool());
    {
        Lab lab;
        lab.sinks[0].room = 0;
        lab.send(0, 1, Lengths(40, 125));
        CHECK(lab.at_us(3000).empty());
        CHECK(lab.shaper.dropped() == 0);
        lab.send(0, 0, {60});
        CHECK(lab.shaper.dropped() == 1);  // this one has none
        lab.sinks[0].room = 4;
        CHECK(lab.at_us(3000) == Lengths(4, 125));
    }
    CHECK(rte_mempool_in_use_count(test_pool()) == before);
}

TEST_CASE("a guaranteed rate comes first when the device cannot take all", "[shaper]") {
    // Queue 1 is sure of 1 Mbit/s, queue 2 of 3 Mbit/s, queue 3 of nothing; the device takes 8
    // packets of 1000 bits each millisecond, 8 Mbit/s.
    Sink sink;
    sink.room = 0;
    Shaper shaper({{Sink::burst, &sink}},
                  {{1, 1'000'000, 0, 0}, {2, 3'000'000, 0, 0}, {3, 0, 0, 0}}, now_ns);
    const unsigned before = rte_mempool_in_use_count(test_pool());
    constexpr unsigned kMs = 1000;
    std::vector<rte_mbuf*> packets;
    const auto add = [&](uint32_t queue, uint16_t length, unsigned n) {
        for (unsigned i = 0; i < n; ++i) {
            packets.push_back(rte_pktmbuf_alloc(test_pool()));
            REQUIRE(rte_pktmbuf_append(packets.back(), length));
            meta_of(packets.back()).queue = queue;
        }
    };
    // Lengths tell the queues apart: 125 bytes are 1000 bits, a byte less makes no difference.
    for (unsigned ms = 0; ms < kMs; ++ms) {
        g_now_ns = 1'000'000'000 + uint64_t{ms} * 1'000'000;
        sink.room = 8;
        packets.clear();
        add(1, 125, 8);
        add(2, 124, 8);
        add(3, 123, 8);
        add(0, 122, 3);
        shaper.queue(0).tx(packets.data(), static_cast<uint16_t>(packets.size()));
    }
    std::map<uint16_t, unsigned> count;
    for (const uint16_t length : sink.lengths) {
        ++count[length];
    }
    CHECK(sink.lengths.size() == 8 * kMs);
    // A guarantee is kept, and what is beyond it does not push out those who have none.
    CHECK(count[125] >= kMs);
    CHECK(count[124] >= 3 * kMs);
    CHECK(count[122] >= 2 * kMs);
    CHECK(count[123] > 0);
    CHECK(shaper.dropped() > 0);
    g_now_ns += 1'000'000;
    sink.room = 1u << 20;
    shaper.queue(0).tx(nullptr, 0);
    CHECK(rte_mempool_in_use_count(test_pool()) == before);
}
