// SPDX-License-Identifier: Apache-2.0
// A Port row of several interfaces as one wanted port: what `ovs-vsctl add-bond` writes, in the
// arguments of the bond driver (pmd/bond.h).
//
// Columns bond_mode, lacp, bond_updelay, bond_downdelay; other_config bond-rebalance-interval,
// bond-hash-basis, bond-primary, all-members-active, bond-detect-mode (miimon: links are looked at
// every bond-miimon-interval, else every 20 ms), lacp-time, lacp-fallback-ab, lacp-system-id,
// lacp-system-priority; of an Interface lacp-port-id, lacp-port-priority, lacp-aggregation-key.
// Numbers outside of what Open vSwitch takes mean its default, as there. Threads: pure.
#pragma once

#include <vector>

#include "control/vswitch/wanted_ports.h"

namespace sluice::vswitch {

/// `interfaces`: the rows, `members`: what each would be alone, in the same order.
WantedPort joined_port(const BridgePort& port, const Bridge& bridge,
                       const std::vector<const Interface*>& interfaces,
                       const std::vector<WantedPort>& members);

}  // namespace sluice::vswitch
