// SPDX-License-Identifier: Apache-2.0
#include "control/physical/names.h"

namespace sluice::physical {

Signature signature_of(const View& view, const Uuid& datapath) {
    Signature signature;
    for (const Uuid& uuid : view.mirror.groups_of(datapath)) {
        const sb::MulticastGroup* group = view.mirror.multicast_groups.find(uuid);
        signature[group->name] = {group->tunnel_key, false};
    }
    for (const Uuid& uuid : view.mirror.ports_of(datapath)) {
        const sb::PortBinding* port = view.mirror.ports.find(uuid);
        signature[port->logical_port] = {port->tunnel_key, can_enter(view, *port)};
    }
    return signature;
}

DatapathNames::DatapathNames(const View& view, const Signature& signature)
    : view_(view), signature_(signature) {
    for (const auto& [name, meaning] : signature) {
        can_enter_[meaning.key] = meaning.can_enter;
    }
}

std::optional<uint32_t> DatapathNames::port_key(std::string_view name) const {
    const auto it = signature_.find(name);
    return it == signature_.end() ? std::nullopt : std::optional(it->second.key);
}

const std::vector<std::string>* DatapathNames::address_set(std::string_view name) const {
    const sb::AddressSet* row = view_.mirror.address_set(name);
    return row ? &row->addresses : nullptr;
}

const std::vector<std::string>* DatapathNames::port_group(std::string_view name) const {
    const sb::PortGroup* row = view_.mirror.port_group(name);
    return row ? &row->ports : nullptr;
}

bool DatapathNames::is_chassis_resident(std::string_view port) const {
    const sb::PortBinding* row = view_.mirror.port(port);
    return row && view_.plan.has(row->uuid);
}

const std::string* DatapathNames::template_var(std::string_view name) const {
    const sb::TemplateVar* row = view_.mirror.template_var(view_.identity.name);
    if (!row) {
        return nullptr;
    }
    const auto it = row->variables.find(name);
    return it == row->variables.end() ? nullptr : &it->second;
}

bool DatapathNames::inport_possible(uint32_t key) const {
    const auto it = can_enter_.find(key);
    return it != can_enter_.end() && it->second;
}

}  // namespace sluice::physical
