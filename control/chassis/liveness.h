// SPDX-License-Identifier: Apache-2.0
// Liveness: which chassis are watched by BFD over their tunnels, how, and which of them answer.
//
// As with the reference, BFD runs between the members of every HA group of two or more and the
// chassis that may send to it (HA_Chassis_Group.ref_chassis, written by northd), on the tunnels of
// whoever is one of both. Times come from SB_Global options bfd-min-rx, bfd-min-tx and bfd-mult.
// Threads: control.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "control/physical/tunnels.h"
#include "control/sb/mirror.h"
#include "control/slowpath/watch/tunnel_bfd.h"

namespace sluice::chassis {

/// Other chassis that this one runs BFD with.
std::set<Uuid> bfd_chassis(const sb::Mirror& mirror, const Uuid& self);

std::vector<watch::TunnelBfdConfig> tunnel_bfd_config(const sb::Mirror& mirror,
                                                      const physical::Tunnels& tunnels,
                                                      const std::string& self);

/// Names of the chassis with a tunnel that is up.
std::set<std::string> live_chassis(const std::vector<watch::TunnelBfdStatus>& tunnels);

}  // namespace sluice::chassis
