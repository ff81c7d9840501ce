// SPDX-License-Identifier: Apache-2.0
// Queues that logical ports of this chassis ask for: Port_Binding options qdisc_queue_id, qos_*.
//
// northd numbers the queues and writes set_queue() into flows; the queues themselves are on the
// way out of the node, on the interfaces that say external_ids:ovn-egress-iface=true, as
// ovn-controller sets up HTB there. Ports without a rate or a queue number ask for nothing.
// Threads: control; pure.
#pragma once

#include <set>
#include <vector>

#include "control/chassis/binding.h"
#include "control/sb/mirror.h"
#include "lib/program/ports.h"

namespace sluice::physical {

/// By id, each once. Bound ports, and localnet ports of `local` datapaths.
std::vector<PortQueue> qos_queues(const sb::Mirror& mirror, const chassis::BindingPlan& plan,
                                  const std::set<Uuid>& local);

}  // namespace sluice::physical
