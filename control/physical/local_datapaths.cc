// SPDX-License-Identifier: Apache-2.0
#include "control/physical/local_datapaths.h"

#include <algorithm>
#include <vector>

namespace sluice::physical {
namespace {

using sb::PortBinding;
using sb::PortType;

bool leads_on(const sb::Mirror& mirror, const chassis::BindingPlan& plan,
              const std::string& chassis_name, const PortBinding& port) {
    if (port.type != PortType::kPatch) {
        return port.type == PortType::kL3Gateway && plan.has(port.uuid);
    }
    const PortBinding* redirect = mirror.port(port.option("chassis-redirect-port"));
    if (!redirect || !sb::get_bool(redirect->options, "always-redirect", false)) {
        return true;
    }
    const auto order = chassis::ha_order(mirror, *redirect);
    return plan.has(redirect->uuid) ||
           std::any_of(order.begin(), order.end(),
                       [&](const sb::Chassis* row) { return row->name == chassis_name; });
}

}  // namespace

const PortBinding* peer_of(const sb::Mirror& mirror, const PortBinding& port) {
    if (port.type != PortType::kPatch && port.type != PortType::kL3Gateway) {
        return nullptr;
    }
    const std::string& name = port.option("peer");
    const PortBinding* peer = name.empty() ? nullptr : mirror.port(name);
    return peer && (peer->type == PortType::kPatch || peer->type == PortType::kL3Gateway) &&
                   peer->option("peer") == port.logical_port
               ? peer
               : nullptr;
}

std::set<Uuid> local_datapaths(const sb::Mirror& mirror, const chassis::BindingPlan& plan,
                               const std::string& chassis_name) {
    std::set<Uuid> found;
    std::vector<Uuid> open;
    const auto add = [&](const Uuid& datapath) {
        if (mirror.datapaths.find(datapath) && found.insert(datapath).second) {
            open.push_back(datapath);
        }
    };
    for (const auto& [uuid, claim] : plan.claims) {
        if (const PortBinding* port = mirror.ports.find(uuid)) {
            add(port->datapath);
        }
    }
    for (const Uuid& datapath : plan.standby) {
        add(datapath);
    }
    while (!open.empty()) {
        const Uuid datapath = open.back();
        open.pop_back();
        for (const Uuid& uuid : mirror.patches_of(datapath)) {
            const PortBinding* port = mirror.ports.find(uuid);
            const PortBinding* peer = peer_of(mirror, *port);
            if (peer && leads_on(mirror, plan, chassis_name, *port)) {
                add(peer->datapath);
            }
        }
    }
    return found;
}

}  // namespace sluice::physical
