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

bool is_readable(const Mailbox::Sleeper& sleeper, int timeout_ms = 0) {
    pollfd waiting{sleeper.fd(), POLLIN, 0};
    return poll(&waiting, 1, timeout_ms) == 1;
}

TEST_CASE("who sleeps is called once, who is awake makes another turn") {
    rte_mempool* pool = test_pool();
    auto made = Mailbox::create(2);
    REQUIRE(made.ok());
    Mailbox& box = **made;
    Mailbox::Sleeper& sleeper = box.worker_sleeper();
    unsigned n_inside = 0;
    const auto inject = [&] {
        REQUIRE(box.inject(rte_pktmbuf_alloc(pool)));
        ++n_inside;
    };
    inject();  // awake: nothing is written, but it may not sleep before it looked
    CHECK_FALSE(is_readable(sleeper));
    CHECK_FALSE(sleeper.announce());
    CHECK_FALSE(is_readable(sleeper));
    inject();  // that it wanted to does not count as a sleep
    CHECK_FALSE(is_readable(sleeper));
    CHECK_FALSE(sleeper.announce());
    CHECK(sleeper.announce());
    CHECK_FALSE(is_readable(sleeper));

    inject();
    CHECK(is_readable(sleeper));
    sleeper.drain();
    inject();  // said once is enough
    CHECK_FALSE(is_readable(sleeper));
    sleeper.end();
    CHECK(sleeper.announce());  // all of that was before it woke
    sleeper.end();
    inject();  // awake again
    CHECK_FALSE(is_readable(sleeper));
    CHECK_FALSE(sleeper.announce());
    rte_mbuf* taken[8];
    CHECK(box.take_injected(taken, 8) == n_inside);
    rte_pktmbuf_free_bulk(taken, n_inside);
}

TEST_CASE("whatever a worker puts in is to be told to the slow path") {
    rte_mempool* pool = test_pool();
    auto made = Mailbox::create(3);
    REQUIRE(made.ok());
    Mailbox& box = **made;
    CHECK_FALSE(box.has_sent());
    REQUIRE(box.send(Message{}));
    CHECK(box.has_sent());
    CHECK_FALSE(box.has_sent());
    for (const PuntReason reason : {PuntReason::kTunnelBfd, PuntReason::kUnderlay}) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool);
        REQUIRE(m);
        meta_of(m).punt.reason = reason;
        REQUIRE(box.punt(m));
        CHECK(box.has_sent());
    }
    rte_mbuf* taken[4];
    CHECK(box.take_punts(taken, 4) == 2);
    rte_pktmbuf_free_bulk(taken, 2);
}

TEST_CASE("a call while somebody goes to sleep is never slept out") {
    auto made = Mailbox::create(4);
    REQUIRE(made.ok());
    rte_mempool* pool = test_pool();
    Mailbox& box = **made;
    Mailbox::Sleeper& sleeper = box.worker_sleeper();
    constexpr unsigned kCount = 5000;
    unsigned got = 0;
    unsigned slept = 0;
    bool is_missed = false;
    std::thread worker([&] {
        while (got < kCount && !is_missed) {
            if (sleeper.announce()) {
                ++slept;
                is_missed = !is_readable(sleeper, 20'000);
                sleeper.end();
                sleeper.drain();
            }
            rte_mbuf* taken[4];
            while (const unsigned n = box.take_injected(taken, 4)) {
                rte_pktmbuf_free_bulk(taken, n);
                got += n;
            }
        }
    });
    for (unsigned i = 0; i < kCount;) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool);
        if (m && box.inject(m)) {
            ++i;
        } else {
            rte_pktmbuf_free(m);
            std::this_thread::yield();
        }
    }
    worker.join();
    CHECK_FALSE(is_missed);
    CHECK(got == kCount);
    CHECK(slept > 0);
}

/// What is told is no atomic here, so TSan sees to it that a call hands over what was written
/// before.
TEST_CASE("who is called sees what was written before the call") {
    auto made = Mailbox::create(5);
    REQUIRE(made.ok());
    Mailbox::Sleeper& sleeper = (*made)->worker_sleeper();
    constexpr unsigned kCount = 2000;
    unsigned told = 0;
    std::atomic<unsigned> seen{0};
    std::atomic<bool> is_missed{false};
    std::thread caller([&] {
        for (unsigned i = 1; i <= kCount && !is_missed; ++i) {
            told = i;
            sleeper.wake();
            while (seen.load(std::memory_order_acquire) != i && !is_missed) {
                std::this_thread::yield();
            }
        }
    });
    for (unsigned i = 1; i <= kCount && !is_missed; ++i) {
        bool slept = false;
        if (sleeper.announce()) {
            slept = true;
            is_missed = !is_readable(sleeper, 20'000);
            sleeper.end();
        }
        if (told != i) {
            is_missed = true;
        }
        if (slept) {
            sleeper.drain();
        }
        seen.store(i, std::memory_order_release);
    }
    caller.join();
    CHECK_FALSE(is_missed);
}

}  // namespace
}  // namespace sluice
