// SPDX-License-Identifier: Apache-2.0
// What a device that the kernel goes on using is to hand to us (lib/program/steering.h), worked out
// of what workers make of such frames.
//
// Tunnel packets count for those of our encap addresses that are on the device: the kernel may run
// tunnels of its own on others. Localnet ports count by the entries of the published pipeline, so a
// frame is asked for only when somebody takes it. Threads: pure.
#pragma once

#include <vector>

#include "control/physical/underlay.h"
#include "lib/program/pipeline.h"
#include "lib/program/steering.h"

namespace sluice {

/// `entry`: of the port, or null when nothing enters there.
Steering steering_of(const PortEntry* entry, const std::vector<physical::IpAddress>& encap_ips);

}  // namespace sluice
