// SPDX-License-Identifier: Apache-2.0
// SharedMemories: what all workers of a process remember together, beside connections.
//
// Bounded and allocated once. The composer makes one and gives it to every worker; it outlives
// them. Threads. Each part says for itself.
#pragma once

#include <cstdint>

#include "datapath/ecmp_memory.h"
#include "datapath/lb_affinity.h"
#include "datapath/meter.h"

namespace sluice {

struct SharedMemories {
    static constexpr uint32_t kClients = 1u << 16;      ///< of load balancers with affinity
    static constexpr uint32_t kConnections = 1u << 14;  ///< that noted their previous hop

    explicit SharedMemories(uint64_t seed) : affinity(kClients, seed), ecmp(kConnections, seed) {}

    LbAffinity affinity;
    EcmpMemory ecmp;
    MeterTable meters;
};

}  // namespace sluice
