// SPDX-License-Identifier: Apache-2.0
// The mbuf pools that ports receive into.
//
// Ports of one data room share pools. A pool has a fixed size, so each port books the mbufs it can
// hold at once (its rings and bursts in flight); when the newest pool is booked out and growing is
// on, the next port gets a fresh pool. With growing off ports share what there is, and a port that
// finds the pool empty counts rx_dropped. A pool is never freed before the end: packets in other
// ports' queues may still belong to it, and the next port reuses it.
// Threads: control thread only. The pools themselves are used by all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/result.h"

struct rte_mempool;

namespace sluice::pmd {

struct PoolSettings {
    unsigned n_mbufs = 8191;    ///< per pool; 2^k - 1 is best; fits --no-huge -m 256 several times
    unsigned data_room = 2176;  ///< bytes per mbuf, headroom (128) included
    bool grow = true;           ///< make another pool when the ports outgrow this one
    std::string name_prefix = "sluice";  ///< pools are PREFIX-pool-N in the EAL's names
};

class Pools {
public:
    struct Booking {
        rte_mempool* pool = nullptr;
        unsigned n_mbufs = 0;
    };
    explicit Pools(PoolSettings settings);
    ~Pools();
    Pools(const Pools&) = delete;
    Pools& operator=(const Pools&) = delete;

    Result<Booking> book(unsigned n_mbufs);
    void give_back(const Booking& booking);
    /// Bytes of one mbuf behind its headroom.
    unsigned data_room() const;
    /// All pools; for counting what is in use.
    std::vector<rte_mempool*> pools() const;

private:
    struct Pool {
        rte_mempool* pool;
        unsigned booked;
    };
    Result<Pool*> make();

    PoolSettings settings_;
    std::vector<Pool> pools_;
};

}  // namespace sluice::pmd
