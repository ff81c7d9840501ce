// SPDX-License-Identifier: Apache-2.0
#include "control/physical/tunnel_sets.h"

#include <algorithm>

#include "control/chassis/binding.h"

namespace sluice::physical {
namespace {

using sb::PortBinding;
using sb::PortType;

Uuid key_of(const PortBinding& port) {
    return port.ha_chassis_group.is_zero() ? port.uuid : port.ha_chassis_group;
}

bool has_changes(const sb::Mirror& mirror) {
    if (!mirror.ha_groups.changes().empty() || !mirror.ha_chassis.changes().empty() ||
        !mirror.gateway_chassis.changes().empty() || !mirror.chassis.changes().empty()) {
        return true;
    }
    const auto is_redirect = [](const auto& row) {
        return row && (row->type == PortType::kChassisRedirect || row->type == PortType::kExternal);
    };
    const auto& changes = mirror.ports.changes();
    return std::any_of(changes.begin(), changes.end(), [&](const auto& entry) {
        return is_redirect(entry.second.before) || is_redirect(entry.second.after);
    });
}

}  // namespace

std::map<Uuid, TunnelSet> TunnelSets::wanted(const sb::Mirror& mirror, const Tunnels& tunnels,
                                             const std::string& self) const {
    std::map<Uuid, TunnelSet> out;
    for (const PortType type : {PortType::kChassisRedirect, PortType::kExternal}) {
        for (const Uuid& uuid : mirror.ports_of_type(type)) {
            const PortBinding& port = *mirror.ports.find(uuid);
            if (chassis::ha_size(mirror, port) < 2 || out.contains(key_of(port))) {
                continue;
            }
            TunnelSet& set = out[key_of(port)];
            for (const sb::Chassis* member : chassis::ha_order(mirror, port)) {
                const auto tunnel =
                    member->name == self ? std::nullopt : tunnels.find(member->uuid, Uuid{});
                if (tunnel) {
                    set.tunnels.push_back(*tunnel);
                }
            }
        }
    }
    return out;
}

bool TunnelSets::update(const sb::Mirror& mirror, const Tunnels& tunnels, const std::string& self,
                        bool is_all) {
    if (!is_all && !has_changes(mirror)) {
        return false;
    }
    bool changed = false;
    const auto next = wanted(mirror, tunnels, self);
    for (auto it = numbers_.begin(); it != numbers_.end();) {
        if (next.contains(it->first)) {
            ++it;
            continue;
        }
        sets_[it->second].reset();
        it = numbers_.erase(it);
        changed = true;
    }
    for (const auto& [key, set] : next) {
        if (!numbers_.contains(key)) {
            const auto hole = std::find(sets_.begin(), sets_.end(), nullptr);
            numbers_[key] = static_cast<uint32_t>(hole - sets_.begin());
            if (hole == sets_.end()) {
                sets_.push_back(nullptr);
            }
        }
        auto& known = sets_[numbers_[key]];
        if (!known || !(*known == set)) {
            known = std::make_shared<const TunnelSet>(set);
            changed = true;
        }
    }
    return changed;
}

std::optional<uint32_t> TunnelSets::find(const PortBinding& port) const {
    const auto it = numbers_.find(key_of(port));
    return it == numbers_.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace sluice::physical
