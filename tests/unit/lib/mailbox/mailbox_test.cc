// SPDX-License-Identifier: Apache-2.0
#include "lib/mailbox/mailbox.h"

#include <poll.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/eal.h"

namespace sluice {
namespace {

TEST_CASE("packets and messages cross in order and a full ring says so") {
    rte_mempool* pool = test_pool();
    auto box = Mailbox::create(0);
    REQUIRE(box.ok());
    const unsigned before = rte_mempool_avail_count(pool);
    unsigned sent = 0;
    for (;;) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool);
        REQUIRE(m);
        meta_of(m).punt.flow = sent;
        if (!(*box)->punt(m)) {
            rte_pktmbuf_free(m);
            break;
        }
        ++sent;
    }
    REQUIRE(sent == limits::kPuntRing - 1);
    rte_mbuf* taken[64];
    unsigned expected = 0;
    while (const unsigned n = (*box)->take_punts(taken, 64)) {
        for (unsigned i = 0; i < n; ++i) {
            REQUIRE(meta_of(taken[i]).punt.flow == expected++);
            rte_pktmbuf_free(taken[i]);
        }
    }
    REQUIRE(expected == sent);
    rte_mbuf* left = rte_pktmbuf_alloc(pool);
    REQUIRE((*box)->inject(left));
    std::move(*box).reset();  // frees what is still inside
    REQUIRE(rte_mempool_avail_count(pool) == before);
}

TEST_CASE("a worker and the slow path may use their ends at the same time") {
    auto box = Mailbox::create(1);
    REQUIRE(box.ok());
    constexpr uint32_t kCount = 200000;
    std::thread worker([&] {
        for (uint32_t i = 0; i < kCount;) {
            Message m{};
            m.kind = Message::Kind::kPutArp;
            m.datapath = i;
            m.port = ~i;
            i += (*box)->send(m);
        }
    });
    uint32_t next = 0;
    bool whole = true;
    Message messages[32];
    while (next < kCount) {
        const unsigned n = (*box)->take_messages(messages, 32);
        for (unsigned i = 0; i < n; ++i, ++next) {
            whole &= messages[i].datapath == next && messages[i].port == ~next;
        }
    }
    worker.join();
    REQUIRE(whole);
}

TEST_CASE("a sleeping worker is woken by every packet, and a busy one costs no call") {
    rte_mempool* pool = test_pool();
    auto made = Mailbox::create(2);
    REQUIRE(made.ok());
    Mailbox& box = **made;
    Mailbox::Sleeper& sleeper = box.worker_sleeper();
    const auto is_readable = [&](int timeout_ms) {
        pollfd waiting{sleeper.fd(), POLLIN, 0};
        return poll(&waiting, 1, timeout_ms) == 1;
    };
    rte_mbuf* taken[4];
    const auto inject = [&] { REQUIRE(box.inject(rte_pktmbuf_alloc(pool))); };
    inject();  // nobody sleeps: nothing is written
    CHECK_FALSE(is_readable(0));
    CHECK_FALSE(box.is_worker_done());
    REQUIRE(box.take_injected(taken, 4) == 1);
    rte_pktmbuf_free(taken[0]);
    CHECK(box.is_worker_done());
    sleeper.announce();
    inject();
    CHECK(is_readable(0));
    inject();  // said once is enough
    sleeper.drain();
    CHECK_FALSE(is_readable(0));
    sleeper.end();
    REQUIRE(box.take_injected(taken, 4) == 2);
    rte_pktmbuf_free_bulk(taken, 2);

    // Whoever puts something in while the other goes to sleep wakes it: no sleep is slept out.
    constexpr unsigned kCount = 5000;
    unsigned got = 0;
    bool is_missed = false;
    std::thread worker([&] {
        while (got < kCount && !is_missed) {
            sleeper.announce();
            if (box.is_worker_done()) {
                is_missed = !is_readable(20'000);
            }
            sleeper.end();
            sleeper.drain();
            const unsigned n = box.take_injected(taken, 4);
            rte_pktmbuf_free_bulk(taken, n);
            got += n;
        }
    });
    for (unsigned i = 0; i < kCount;) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool);
        if (m && box.inject(m)) {
            ++i;
        } else {
            rte_pktmbuf_free(m);
        }
    }
    worker.join();
    CHECK_FALSE(is_missed);
    CHECK(got == kCount);
}

}  // namespace
}  // namespace sluice
