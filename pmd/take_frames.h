// SPDX-License-Identifier: Apache-2.0
// The receive loop of drivers whose frames come through the kernel's virtio header.
#pragma once

#include <rte_mbuf.h>

#include "pmd/counters.h"
#include "pmd/vnet.h"

namespace sluice::pmd {

/// Up to n mbufs out of `frame`, taking new frames by start() (false: none waits); after_step()
/// runs after each. Returns how many, counted in `counters`.
template <typename Start, typename AfterStep>
uint16_t take_frames(RxFrame& frame, rte_mempool* pool, QueueCounters& counters, rte_mbuf** pkts,
                     uint16_t n, Start start, AfterStep after_step) {
    uint16_t got = 0;
    uint64_t bytes = 0;
    while (got < n) {
        if (!frame.active()) {
            if (!start()) {
                break;
            }
            continue;
        }
        switch (frame.next(pool, &pkts[got])) {
        case RxStep::kPacket: bytes += pkts[got++]->pkt_len; break;
        case RxStep::kNoBuffer: QueueCounters::bump(counters.dropped, 1); break;
        case RxStep::kMalformed: QueueCounters::bump(counters.errors, 1); break;
        case RxStep::kNone: break;
        }
        after_step();
    }
    if (got) {
        counters.count(got, bytes);
    }
    return got;
}

}  // namespace sluice::pmd
