// SPDX-License-Identifier: Apache-2.0
#include "control/chassis/binding.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::chassis {
namespace {

using sb::PortBinding;
using sb::PortType;

enum class CanBind { kNo, kMain, kAdditional };

bool contains(const std::vector<Uuid>& list, const Uuid& uuid) {
    return std::find(list.begin(), list.end(), uuid) != list.end();
}

/// For databases that lack the requested_chassis column: the option's text, "main,additional...".
CanBind can_bind_by_option(const std::string& option, const Identity& identity) {
    size_t start = 0;
    for (bool is_first = true; start <= option.size(); is_first = false) {
        const size_t comma = std::min(option.find(',', start), option.size());
        const std::string name = option.substr(start, comma - start);
        if (name == identity.name || (!identity.hostname.empty() && name == identity.hostname)) {
            return is_first ? CanBind::kMain : CanBind::kAdditional;
        }
        start = comma + 1;
    }
    return CanBind::kNo;
}

class Planner {
public:
    Planner(const sb::Mirror& mirror, const Attachments& attachments, const Identity& identity,
            const std::set<std::string>& live)
        : mirror_(mirror), attachments_(attachments), identity_(identity), live_(live) {
        const sb::Chassis* self = mirror.chassis_by_name(identity.name);
        self_ = self ? self->uuid : Uuid{};
    }

    BindingPlan make() {
        // VIFs by what is plugged in, the others by type: most ports are VIFs of other chassis.
        for (const auto& [name, vif] : attachments_.vifs) {
            if (const PortBinding* port = mirror_.port(name); port && !port->is_container()) {
                consider_vif(*port);
            }
            for (const Uuid& child : mirror_.children_of(name)) {
                if (const PortBinding* port = mirror_.ports.find(child)) {
                    consider_vif(*port);
                }
            }
        }
        for (const PortType type : {PortType::kVirtual, PortType::kL3Gateway, PortType::kL2Gateway,
                                    PortType::kChassisRedirect, PortType::kExternal}) {
            for (const Uuid& uuid : mirror_.ports_of_type(type)) {
                consider(*mirror_.ports.find(uuid));
            }
        }
        std::sort(plan_.refused.begin(), plan_.refused.end());
        return std::move(plan_);
    }

private:
    CanBind can_bind(const PortBinding& port) const {
        if (!port.requested_chassis.is_zero() && port.requested_chassis == self_) {
            return CanBind::kMain;
        }
        if (!self_.is_zero() && contains(port.requested_additional_chassis, self_)) {
            return CanBind::kAdditional;
        }
        const std::string& option = port.option("requested-chassis");
        return option.empty() ? CanBind::kMain : can_bind_by_option(option, identity_);
    }

    void claim_vif(const PortBinding& port, const Attachments::Vif* vif) {
        if (!vif) {
            return;
        }
        const CanBind can = can_bind(port);
        if (can == CanBind::kNo) {
            plan_.refused.push_back(fmt::format("{}: requested-chassis is {}", port.logical_port,
                                                port.option("requested-chassis")));
            return;
        }
        const std::string& wish = port.option("requested-encap-ip");
        plan_.claims[port.uuid] = {can == CanBind::kAdditional,
                                   wish.empty() ? vif->encap_ip : wish};
    }

    /// The interface that carries `parent`, provided that the parent itself may be bound here.
    const Attachments::Vif* parent_vif(const std::string& parent) const {
        const Attachments::Vif* vif = attachments_.vif(parent);
        const PortBinding* row = mirror_.port(parent);
        return vif && row && row->type == PortType::kVif && can_bind(*row) != CanBind::kNo
                   ? vif
                   : nullptr;
    }

    void claim_ha(const PortBinding& port) {
        const auto order = ha_order(mirror_, port);
        const auto is_self = [&](const sb::Chassis* row) { return row->name == identity_.name; };
        const auto self = std::find_if(order.begin(), order.end(), is_self);
        if (self == order.end()) {
            return;
        }
        const bool is_alone = ha_size(mirror_, port) == 1;
        const bool is_first = std::none_of(
            order.begin(), self, [&](const sb::Chassis* row) { return live_.contains(row->name); });
        if (is_alone || (is_first && !live_.empty())) {
            plan_.claims[port.uuid] = {};
        } else {
            plan_.standby.insert(port.datapath);
        }
    }

    void consider_vif(const PortBinding& port) {
        if (port.is_container() && port.tag != 0) {
            claim_vif(port, parent_vif(port.parent_port));
        } else if (port.type == PortType::kVif && !port.is_container()) {
            claim_vif(port, attachments_.vif(port.logical_port));
        }
    }

    void consider(const PortBinding& port) {
        switch (port.type) {
        case PortType::kVif: break;
        case PortType::kVirtual:
            if (!port.virtual_parent.empty()) {
                claim_vif(port, parent_vif(port.virtual_parent));
            }
            break;
        case PortType::kL3Gateway:
            if (port.option("l3gateway-chassis") == identity_.name) {
                plan_.claims[port.uuid] = {};
            }
            break;
        case PortType::kL2Gateway:
            if (port.option("l2gateway-chassis") == identity_.name) {
                plan_.claims[port.uuid] = {};
            }
            break;
        case PortType::kChassisRedirect:
        case PortType::kExternal: claim_ha(port); break;
        case PortType::kPatch:
        case PortType::kLocalnet:
        case PortType::kLocalport:
        case PortType::kVtep:
        case PortType::kRemote:
        case PortType::kMirror:  // goes where its target is
        case PortType::kUnknown: break;
        }
    }

    const sb::Mirror& mirror_;
    const Attachments& attachments_;
    const Identity& identity_;
    const std::set<std::string>& live_;
    Uuid self_;
    BindingPlan plan_;
};

}  // namespace

std::vector<const sb::Chassis*> ha_order(const sb::Mirror& mirror, const PortBinding& port) {
    std::vector<std::pair<int, const sb::Chassis*>> members;
    const auto add = [&](const Uuid& chassis, int priority) {
        if (const sb::Chassis* row = mirror.chassis.find(chassis)) {
            members.emplace_back(priority, row);
        }
    };
    if (const sb::HaChassisGroup* group = mirror.ha_groups.find(port.ha_chassis_group)) {
        for (const Uuid& uuid : group->members) {
            if (const sb::HaChassis* member = mirror.ha_chassis.find(uuid)) {
                add(member->chassis, member->priority);
            }
        }
    } else {
        for (const Uuid& uuid : port.gateway_chassis) {
            if (const sb::GatewayChassis* member = mirror.gateway_chassis.find(uuid)) {
                add(member->chassis, member->priority);
            }
        }
    }
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first > b.first : a.second->name < b.second->name;
    });
    std::vector<const sb::Chassis*> order;
    order.reserve(members.size());
    for (const auto& [priority, row] : members) {
        order.push_back(row);
    }
    return order;
}

size_t ha_size(const sb::Mirror& mirror, const PortBinding& port) {
    const sb::HaChassisGroup* group = mirror.ha_groups.find(port.ha_chassis_group);
    return group ? group->members.size() : port.gateway_chassis.size();
}

BindingPlan plan_bindings(const sb::Mirror& mirror, const Attachments& attachments,
                          const Identity& identity, const std::set<std::string>& live) {
    return Planner(mirror, attachments, identity, live).make();
}

}  // namespace sluice::chassis
