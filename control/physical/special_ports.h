// SPDX-License-Identifier: Apache-2.0
// What few ports need beside what all have (lib/program/special_ports.h), from the Southbound.
//
// Chassis MACs come from Chassis.other_config:ovn-chassis-mac-mappings, ours and the others'. The
// chassis that has the gateway of a router port shows the router's own MAC; a localnet port of
// another network has its own mapping. A frame with a chassis' MAC gets back the MAC of the
// switch's router port, the one with the lowest key if there are several (as the reference).
// Activation: an additional chassis keeps a port silent until one of the frames that
// options:activation-strategy names comes from it; who has seen one adds its chassis to
// options:additional-chassis-activated (chassis/activation.h).
// Threads: control; pure functions.
#pragma once

#include <optional>

#include "control/physical/view.h"
#include "lib/program/special_ports.h"

namespace sluice::physical {

/// nullopt for nearly all. `made`: the port as it is otherwise; a gateway with
/// redirect-type=bridged gets another reach: Reach::kRedirect with peer_datapath and peer_key, the
/// switch and its localnet port, and the router's MAC as SpecialPort::chassis_mac.
std::optional<SpecialPort> special_port(const View& view, const sb::PortBinding& port,
                                        LogicalPort* made);
std::optional<SpecialEntry> special_entry(const View& view, const sb::PortBinding& port);

/// Whether a localnet port of the datapath replaces source MACs, which caches must tell apart then.
bool replaces_sources(const PortsPart& ports);

}  // namespace sluice::physical
