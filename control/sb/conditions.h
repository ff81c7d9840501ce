// SPDX-License-Identifier: Apache-2.0
// Monitor conditions: which rows of the Southbound database this chassis needs to see.
//
// As ovn-controller: everything when ovn-monitor-all is set; otherwise flows, ports, groups and
// bindings of the local datapaths, and of Port_Binding also what decides which datapaths are
// local: patch, chassisredirect and external ports, gateways of ours, what is bound to us or
// requested here, and the VIFs (with their containers) that are plugged in.
// Threads: control.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "control/ovsdb/condition.h"
#include "control/sb/mirror.h"
#include "control/sb/tables.h"

namespace sluice::sb {

struct Interest {
    bool everything = false;
    std::string chassis;              ///< our name
    std::set<std::string> iface_ids;  ///< plugged in
    std::set<Uuid> datapaths;         ///< local
    bool operator==(const Interest&) const = default;
};

/// Conditions by table; tables not in it are monitored whole. `mirror` gives keys and groups.
std::map<Table, ovsdb::Condition> conditions(const Interest& interest, const Mirror& mirror);

}  // namespace sluice::sb
