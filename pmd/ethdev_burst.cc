// SPDX-License-Identifier: Apache-2.0
// The part of ethdev ports that workers run.
#include <rte_ethdev.h>

#include "pmd/ethdev.h"

namespace sluice::pmd {

uint16_t ethdev_rx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    const EthdevQueue& q = *static_cast<const EthdevQueue*>(queue);
    return rte_eth_rx_burst(q.port, q.queue, pkts, n);
}

uint16_t ethdev_tx_burst(void* queue, rte_mbuf** pkts, uint16_t n) {
    EthdevQueue& q = *static_cast<EthdevQueue*>(queue);
    const uint16_t sent = rte_eth_tx_burst(q.port, q.queue, pkts, n);
    if (sent < n) {
        QueueCounters::bump(q.counters.dropped, static_cast<uint64_t>(n - sent));
    }
    return sent;
}

uint16_t ethdev_tx_burst_shared(void* queue, rte_mbuf** pkts, uint16_t n) {
    EthdevQueue& q = *static_cast<EthdevQueue*>(queue);
    rte_spinlock_lock(q.lock);
    const uint16_t sent = ethdev_tx_burst(queue, pkts, n);
    rte_spinlock_unlock(q.lock);
    return sent;
}

}  // namespace sluice::pmd
