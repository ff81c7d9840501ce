// SPDX-License-Identifier: Apache-2.0
// Ports come and go while a worker polls: as the composer does it, with Published and a grace
// period before each Retire. Traffic on the ports that stay must not notice.
#include <rte_mbuf.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "lib/rcu/published.h"
#include "pmd/dummy.h"
#include "tests/unit/pmd/lab.h"

using namespace sluice;
using namespace sluice::lab;

TEST_CASE("ports are added and removed under a polling worker", "[ports][swap]") {
    constexpr unsigned kReader = 0;
    constexpr uint32_t kRounds = 300;
    auto ports = make_ports();
    RcuDomain domain;
    Published<PortTable> published(domain);
    const PortId in = add(*ports, "in=dummy");
    const PortId out = add(*ports, "out=dummy");
    published.swap(ports->snapshot());

    std::atomic<bool> stop{false};
    std::atomic<bool> started{false};
    domain.register_reader(kReader);
    std::thread worker([&] {  // reflects on every port but `in`, which goes to `out`
        domain.online(kReader);
        started = true;
        while (!stop) {
            const PortTable& table = *published.get();
            for (const RxQueue& queue : table.rx_queues(0)) {
                rte_mbuf* pkts[32];
                const uint16_t n = queue.rx(pkts, 32);
                const Port& to = table[queue.port == in ? out : queue.port];
                const uint16_t sent = n ? to.tx[0].tx(pkts, n) : uint16_t{0};
                rte_pktmbuf_free_bulk(pkts + sent, static_cast<unsigned>(n - sent));
            }
            domain.quiescent(kReader);
        }
        domain.offline(kReader);
    });

    while (!started) {
        std::this_thread::yield();
    }

    std::vector<Bytes> expected;
    std::vector<Bytes> got;
    const auto collect = [&] {
        for (Bytes& frame : ports->dummy(out)->drain()) {
            got.push_back(std::move(frame));
        }
    };
    for (uint32_t round = 0; round < kRounds; ++round) {
        const PortId id = add(*ports, "guest=dummy");
        CHECK(id != kNoPort);
        published.swap(ports->snapshot());
        for (uint32_t i = 0; i < 4; ++i) {
            expected.push_back(plain(round * 4 + i));
            CHECK(ports->dummy(in)->inject(expected.back()).ok());
            CHECK(ports->dummy(id)->inject(plain(i)).ok());
        }
        const Result<Retire> retire = ports->remove(id);
        CHECK(retire.ok());
        published.swap(ports->snapshot());
        domain.synchronize();
        (*retire)();
        collect();
    }
    for (int i = 0; i < 2000 && got.size() < expected.size(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        collect();
    }
    stop = true;
    worker.join();
    domain.unregister_reader(kReader);
    CHECK(got == expected);
    CHECK(mbufs_in_use(*ports) == 0);
}
