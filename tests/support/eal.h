// SPDX-License-Identifier: Apache-2.0
// DPDK for tests: one EAL without hugepages per test process, and a packet pool.
#pragma once

#include <rte_mempool.h>

namespace sluice {

/// Starts EAL on first use; the pool has 8191 mbufs with the private area of packet_meta.h.
rte_mempool* test_pool();

}  // namespace sluice
