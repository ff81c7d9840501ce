// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/resolver.h"

#include <catch2/catch.hpp>

#include "control/slowpath/budget.h"

namespace sluice {
namespace {

ResolveRequest request(uint32_t target, PortId port = 1) {
    ResolveRequest r{};
    r.port = port;
    r.src_mac = 0x020000000064;
    r.src4 = Ip4{0xc0a83264};
    r.target4 = Ip4{target};
    return r;
}

// The milliseconds at which something was due, looked at every 10 ms.
std::vector<int64_t> times(Resolver& resolver, int64_t from, int64_t to) {
    std::vector<int64_t> out;
    for (int64_t now = from; now < to; now += 10) {
        for (size_t n = resolver.due(now).size(); n > 0; --n) {
            out.push_back(now);
        }
    }
    return out;
}

TEST_CASE("a next hop is solicited at once, then ever less often") {
    Resolver resolver;
    resolver.set({request(1)}, 1000);
    CHECK(times(resolver, 1000, 100000) ==
          std::vector<int64_t>{1000, 2000, 3000, 4000, 6000, 10000, 18000, 34000, 64000, 94000});
}

TEST_CASE("a repeated list keeps the backoff, a removed request ends") {
    Resolver resolver;
    resolver.set({request(1)}, 0);
    CHECK(times(resolver, 0, 500).size() == 1);
    resolver.set({request(1), request(2)}, 500);
    CHECK(times(resolver, 500, 1000) == std::vector<int64_t>{500});
    resolver.set({request(2)}, 1000);
    CHECK(times(resolver, 1000, 1500).empty());
    resolver.set({}, 1500);
    CHECK(times(resolver, 1500, 100000).empty());
}

TEST_CASE("an answer pauses the question") {
    Resolver resolver;
    resolver.set({request(1)}, 0);
    CHECK(resolver.due(0).size() == 1);
    CHECK(resolver.wants(1, Ip4{1}));
    CHECK_FALSE(resolver.wants(2, Ip4{1}));
    CHECK_FALSE(resolver.wants(1, Ip4{2}));
    resolver.answered(1, Ip4{1}, 100);
    CHECK(times(resolver, 100, 5100).empty());
    CHECK(times(resolver, 5100, 5200).size() == 1);
}

TEST_CASE("the list is bounded") {
    std::vector<ResolveRequest> many;
    for (uint32_t i = 0; i < Resolver::kMax + 100; ++i) {
        many.push_back(request(i));
    }
    Resolver resolver;
    resolver.set(many, 0);
    CHECK(resolver.due(0).size() == Resolver::kMax);
}

TEST_CASE("addresses are announced twice when they appear or change their MAC") {
    Underlay underlay;
    underlay.mac = 0x020000000064;
    underlay.ip4 = {{0xc0a83264, 24}};
    PortEntry entry;
    entry.underlay = &underlay;
    Pipeline pipeline;
    pipeline.sequence = 1;
    pipeline.entries = {nullptr, &entry};
    Announcer announcer;
    announcer.look(pipeline, 0);
    const auto first = announcer.due(0);
    REQUIRE(first.size() == 1);
    CHECK(first[0].port == 1);
    pipeline.sequence = 2;
    announcer.look(pipeline, 100);
    CHECK(announcer.due(100).empty());
    CHECK(announcer.due(Announcer::kPauseMs).size() == 1);
    CHECK(announcer.due(100 * Announcer::kPauseMs).empty());
    underlay.mac = 0x020000000065;
    pipeline.sequence = 3;
    announcer.look(pipeline, 300000);
    CHECK(announcer.due(300000).size() == 1);
    pipeline.entries.clear();
    pipeline.sequence = 4;
    announcer.look(pipeline, 300001);
    CHECK(announcer.due(400000).empty());
}

TEST_CASE("a budget gives its burst at once and its rate in the long run") {
    Budget budget(100, 50);
    unsigned taken = 0;
    for (unsigned i = 0; i < 200; ++i) {
        taken += budget.take(1, 0);
    }
    CHECK(taken == 50);
    CHECK(budget.take(2, 0));  // another one is not held responsible
    taken = 0;
    for (int64_t now = 1; now <= 10000; ++now) {
        taken += budget.take(1, now);
    }
    CHECK(taken == 1000);
    taken = 0;
    for (unsigned i = 0; i < 200; ++i) {
        taken += budget.take(1, INT64_MAX / 2);
    }
    CHECK(taken == 50);
    Budget none(0, 1);
    CHECK(none.take(1, 0));
    CHECK_FALSE(none.take(1, 1000000));
}

TEST_CASE("what is repeated passes once per window") {
    Recent recent(1000);
    const Recent::Key a{1, 2, 3, 4, 5};
    const Recent::Key b{1, 2, 3, 4, 6};
    unsigned passed = 0;
    for (int64_t now = 0; now < 10000; now += 10) {
        passed += !recent.said(a, now);
    }
    CHECK(passed >= 5);
    CHECK(passed <= 10);
    CHECK_FALSE(recent.said(b, 10000));
    CHECK(recent.said(b, 10001));
    CHECK_FALSE(recent.said(b, 20000));
}

}  // namespace
}  // namespace sluice
