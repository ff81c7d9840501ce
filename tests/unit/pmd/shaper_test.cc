// SPDX-License-Identifier: Apache-2.0
// Shaping by queue: what leaves when, on a clock that the test moves.
#include "pmd/shaper.h"

#include <rte_mbuf.h>
#include <catch2/catch.hpp>

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

TEST_CASE("packets that wait are freed with the queue", "[shaper]") {
    const unsigned before = rte_mempool_in_use_count(test_pool());
    {
        Lab lab;
        lab.send(0, 1, Lengths(40, 125));
        lab.sinks[0].room = 0;
        lab.at_us(3000);  // the device takes nothing: dropped and counted
        CHECK(lab.shaper.dropped() > 0);
    }
    CHECK(rte_mempool_in_use_count(test_pool()) == before);
}
