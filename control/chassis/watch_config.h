// SPDX-License-Identifier: Apache-2.0
// What the slow path is to watch here, from the Southbound rows: a pure function.
//
// Snooping for local switches with an IP_Multicast row, health checks for Service_Monitor rows
// whose port is here, BFD for rows whose router port is here (a gateway router's, or a distributed
// one whose chassisredirect port is active here). Collectors come from the local database.
// Threads: control.
#pragma once

#include <set>

#include "control/chassis/binding.h"
#include "control/slowpath/watch/watch.h"

namespace sluice::chassis {

/// Addresses of a Port_Binding's mac column: "MAC IP1 IP2 ...".
struct PortAddresses {
    Mac mac;
    std::vector<Ip4> ip4;
    std::vector<Ip6> ip6;
};
/// Nothing for "unknown", "dynamic" and what is no MAC.
std::optional<PortAddresses> parse_port_addresses(std::string_view text);

watch::Config watch_config(const sb::Mirror& mirror, const BindingPlan& plan,
                           const std::set<Uuid>& local, const Identity& identity);

}  // namespace sluice::chassis
