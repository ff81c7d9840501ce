// SPDX-License-Identifier: Apache-2.0
#include "lib/rcu/published.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace sluice {
namespace {

std::atomic<int> g_alive{0};

/// Readers check the pattern: a freed or half-built object would break it.
struct Probe {
    explicit Probe(uint64_t v) : first(v), second(~v) { ++g_alive; }
    ~Probe() {
        first = second = 0;
        --g_alive;
    }
    uint64_t first;
    uint64_t second;
};

TEST_CASE("an object lives until every online reader was quiescent") {
    RcuDomain domain;
    Published<Probe> published(domain);
    domain.register_reader(0);
    domain.register_reader(1);
    published.swap(std::make_unique<const Probe>(1));
    domain.online(0);
    const Probe* held = published.get();
    REQUIRE(held->first == 1);
    published.swap(std::make_unique<const Probe>(2));
    REQUIRE(domain.reclaim() == 1);
    REQUIRE(g_alive == 2);
    REQUIRE(held->second == ~uint64_t{1});
    REQUIRE(published.get()->first == 2);
    domain.quiescent(0);  // reader 1 is offline and delays nobody
    REQUIRE(domain.reclaim() == 0);
    REQUIRE(g_alive == 1);
    domain.offline(0);
}

TEST_CASE("an offline reader does not hold up reclaim") {
    RcuDomain domain;
    domain.register_reader(3);
    bool freed = false;
    domain.retire([&] { freed = true; });
    REQUIRE(domain.reclaim() == 0);
    REQUIRE(freed);
    domain.unregister_reader(3);
}

TEST_CASE("readers never see a freed object while a writer swaps") {
    {
        RcuDomain domain;
        Published<Probe> published(domain);
        published.swap(std::make_unique<const Probe>(0));
        std::atomic<bool> stop{false};
        std::atomic<uint64_t> bad{0};
        std::atomic<uint64_t> reads{0};
        std::vector<std::thread> readers;
        for (unsigned id = 0; id < 3; ++id) {
            domain.register_reader(id);
            readers.emplace_back([&, id] {
                domain.online(id);
                uint64_t last = 0;
                while (!stop.load(std::memory_order_relaxed)) {
                    const Probe* probe = published.get();
                    for (int i = 0; i < 16; ++i) {
                        bad += probe->first != ~probe->second || probe->first < last;
                    }
                    last = probe->first;
                    ++reads;
                    domain.quiescent(id);
                }
                domain.offline(id);
            });
        }
        uint64_t n = 0;
        while (n < 20000 || reads < 1000) {
            published.swap(std::make_unique<const Probe>(++n));
            domain.reclaim();
            if (n % 1024 == 0) {
                std::this_thread::yield();
            }
        }
        stop = true;
        for (std::thread& reader : readers) {
            reader.join();
        }
        domain.synchronize();
        REQUIRE(bad == 0);
        REQUIRE(domain.reclaim() == 0);
        REQUIRE(g_alive == 1);
    }
    REQUIRE(g_alive == 0);
}

}  // namespace
}  // namespace sluice
