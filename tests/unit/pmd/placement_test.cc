// SPDX-License-Identifier: Apache-2.0
// Who polls what: the rules of pmd-rxq-assign, pmd-rxq-affinity and pmd-rxq-isolate as
// ovs-vswitchd.conf.db(5) has them, and moves of live queues.
#include "pmd/placement.h"

#include <catch2/catch.hpp>

#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;
using namespace sluice::pmd;

namespace {

using Places = std::vector<uint16_t>;

std::vector<WorkerSpot> workers(unsigned n) {
    std::vector<WorkerSpot> list;
    for (unsigned i = 0; i < n; ++i) {
        list.push_back({static_cast<int>(i), 0});
    }
    return list;
}

std::vector<QueueToPlace> loads(const std::vector<uint64_t>& list) {
    std::vector<QueueToPlace> queues;
    for (const uint64_t load : list) {
        queues.push_back({.load = load});
    }
    return queues;
}

PlacementPolicy mode(PlacementMode m) {
    return {.mode = m};
}

}  // namespace

TEST_CASE("queues are dealt as asked", "[placement]") {
    const auto queues = loads({80, 60, 70, 70, 30});
    CHECK(place_queues(queues, workers(3), mode(PlacementMode::kRoundRobin)) ==
          Places{0, 1, 2, 0, 1});
    // cycles: 80 | 70 | 70 60 | 30 ...: there and back.
    CHECK(place_queues(queues, workers(3), mode(PlacementMode::kCycles)) == Places{0, 2, 1, 2, 1});
    // group: the lightest worker gets the next.
    CHECK(place_queues(queues, workers(3), mode(PlacementMode::kGroup)) == Places{0, 1, 1, 2, 2});
}

TEST_CASE("idle queues are spread as well", "[placement]") {
    CHECK(place_queues(loads({0, 0, 0, 0}), workers(2), {}) == Places{0, 1, 0, 1});
}

TEST_CASE("pinned queues go where they belong and have the worker to themselves", "[placement]") {
    auto queues = loads({10, 10, 10, 10});
    queues[1].pinned = 1;
    CHECK(place_queues(queues, workers(3), {}) == Places{0, 1, 2, 0});
    PlacementPolicy shared;
    shared.isolates = false;
    queues[1].load = 0;
    CHECK(place_queues(queues, workers(3), {}) == Places{0, 1, 2, 0});
    CHECK(place_queues(queues, workers(3), shared) == Places{0, 1, 2, 1});
    queues[1].load = 10;
    const Places all = place_queues(queues, workers(2), shared);
    CHECK(all[1] == 1);
    CHECK(std::count(all.begin(), all.end(), 1) == 2);
    // With every worker taken the others still have to be polled by somebody.
    queues[0].pinned = 0;
    CHECK(place_queues(queues, workers(2), {})[2] < 2);
}

TEST_CASE("queues stay on the device's NUMA node where there is a worker", "[placement]") {
    std::vector<WorkerSpot> spots = {{0, 0}, {1, 0}, {8, 1}, {9, 1}};
    auto queues = loads({1, 1, 1, 1, 1, 1});
    for (QueueToPlace& queue : queues) {
        queue.node = 1;
    }
    for (const PlacementMode m :
         {PlacementMode::kRoundRobin, PlacementMode::kCycles, PlacementMode::kGroup}) {
        for (const uint16_t worker : place_queues(queues, spots, mode(m))) {
            CHECK(worker >= 2);
        }
    }
    spots.resize(2);
    for (const uint16_t worker : place_queues(queues, spots, {})) {
        CHECK(worker < 2);
    }
}

TEST_CASE("nobody moves for little", "[placement]") {
    auto queues = loads({50, 50, 45, 55});
    queues[0].current = queues[1].current = 0;
    queues[2].current = queues[3].current = 1;
    CHECK(place_queues_calmly(queues, workers(2), {}) == Places{0, 0, 1, 1});
    queues[2].current = 0;  // 145 to 55
    const Places plan = place_queues_calmly(queues, workers(2), {});
    CHECK(std::count(plan.begin(), plan.end(), 0) == 2);
    // What is in the wrong place moves in any case.
    queues[2].current = 1;
    queues[3].pinned = 0;
    CHECK(place_queues_calmly(queues, workers(2), {})[3] == 0);
}

TEST_CASE("a queue that moves has no worker, then the new one", "[placement]") {
    make_ports();
    PortsSettings settings;
    settings.n_workers = 2;
    settings.cores = {4, 6};
    settings.pool.n_mbufs = 2047;
    settings.pool.name_prefix = "move";
    Ports ports(settings);
    const PortId a = add(ports, "a=dummy");
    const PortId b = add(ports, "b=dummy");
    const PortId c = add(ports, "c=dummy");
    const auto worker_of = [&](PortId id) {
        const auto table = ports.snapshot();
        for (unsigned w = 0; w < 2; ++w) {
            for (const RxQueue& queue : table->rx_queues(w)) {
                if (queue.port == id) {
                    return static_cast<int>(w);
                }
            }
        }
        return -1;
    };
    CHECK(worker_of(a) == 0);
    CHECK(worker_of(b) == 1);
    CHECK(worker_of(c) == 0);
    CHECK_FALSE(ports.move_queues());
    using Catch::Contains;
    CHECK_THAT(ports.pin_queues(c, {{0, 5}}).error().message, Contains("no worker runs on core 5"));
    CHECK_THAT(ports.pin_queues(c, {{1, 6}}).error().message, Contains("no receive queue 1"));
    REQUIRE(ports.pin_queues(c, {{0, 6}}).ok());
    Retire moves = ports.move_queues();
    REQUIRE(moves);
    // c was polled by worker 0 and goes to 1, which it has for itself: b leaves it.
    CHECK(worker_of(c) == -1);
    CHECK(worker_of(b) == -1);
    CHECK(worker_of(a) == 0);
    moves();
    CHECK(worker_of(c) == 1);
    CHECK(worker_of(b) == 0);
    CHECK(ports.info(c)->rx.at(0).is_pinned);
    CHECK_FALSE(ports.move_queues());
    remove(ports, a);
    remove(ports, b);
    CHECK_FALSE(ports.move_queues());
    // Unpinned, two queues are spread again; what waits in the device meanwhile is not lost.
    const PortId d = add(ports, "d=dummy");
    CHECK(worker_of(d) == 0);
    remove(ports, c);
    remove(ports, d);
}
