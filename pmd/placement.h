// SPDX-License-Identifier: Apache-2.0
// Placement: which worker polls which receive queue. The arithmetic of it; pmd/ports.cc has the
// queues.
//
// Rules are Open vSwitch's: pinned queues go where they are pinned, and their workers get no others
// (unless pmd-rxq-isolate=false); the rest is spread over the workers on the device's NUMA node, or
// over all where there is none, by one of three ways (PlacementMode). Unlike there a queue stays
// where it is unless moving makes the busiest worker at least a fifth less busy: a move costs the
// flows their caches. Threads: pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/program/ports.h"

namespace sluice::pmd {

inline constexpr uint16_t kNoWorker = 0xffff;

/// A queue to be placed; queues come in the order of ports and of queues of a port.
struct QueueToPlace {
    uint64_t load = 0;             ///< in any unit, the same for all
    int node = -1;                 ///< of the device, -1: no matter
    uint16_t pinned = kNoWorker;   ///< where it has to go
    uint16_t current = kNoWorker;  ///< where it is
};

struct WorkerSpot {
    int core = -1;  ///< -1: anywhere
    int node = -1;
};

/// The worker of each queue, whatever it costs to get there.
std::vector<uint16_t> place_queues(std::span<const QueueToPlace> queues,
                                   std::span<const WorkerSpot> workers,
                                   const PlacementPolicy& policy);
/// The same, but all stay where they are if going there is not worth it.
std::vector<uint16_t> place_queues_calmly(std::span<const QueueToPlace> queues,
                                          std::span<const WorkerSpot> workers,
                                          const PlacementPolicy& policy);

/// The NUMA node of a core as the kernel tells it; -1 if it does not.
int node_of_core(unsigned core);

}  // namespace sluice::pmd
