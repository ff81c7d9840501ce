// SPDX-License-Identifier: Apache-2.0
// Which datapaths this chassis has to know: those with a port bound here, those with a gateway
// here (standby too), and all that patch ports lead to from them.
//
// A distributed gateway port with `always-redirect` does not lead on, unless its chassisredirect
// port is of this chassis: its traffic goes to the gateway chassis by tunnel anyway.
// Threads: control.
#pragma once

#include <set>

#include "control/chassis/binding.h"
#include "control/sb/mirror.h"

namespace sluice::physical {

std::set<Uuid> local_datapaths(const sb::Mirror& mirror, const chassis::BindingPlan& plan,
                               const std::string& chassis_name);

/// The patch or l3gateway port at the other end; null when there is none.
const sb::PortBinding* peer_of(const sb::Mirror& mirror, const sb::PortBinding& port);

}  // namespace sluice::physical
