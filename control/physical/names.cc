// SPDX-License-Identifier: Apache-2.0
#include "control/physical/names.h"

#include <charconv>

namespace sluice::physical {

namespace {

std::string group_prefix(const View& view, const Uuid& datapath) {
    const sb::DatapathBinding* row = view.mirror.datapaths.find(datapath);
    return row ? std::to_string(row->tunnel_key) + "_" : "";
}

}  // namespace

std::string group_name_in(const View& view, const Uuid& datapath, const std::string& row_name) {
    const std::string prefix = group_prefix(view, datapath);
    if (row_name.starts_with(prefix)) {
        return row_name.substr(prefix.size());
    }
    return datapath_key_of_group(row_name) ? "" : row_name;
}

std::optional<uint32_t> datapath_key_of_group(const std::string& row_name) {
    uint32_t key = 0;
    const char* const end = row_name.data() + row_name.size();
    const auto [rest, error] = std::from_chars(row_name.data(), end, key);
    return error == std::errc() && rest != end && *rest == '_' ? std::optional(key) : std::nullopt;
}

Signature signature_of(const View& view, const Uuid& datapath) {
    Signature signature;
    for (const Uuid& uuid : view.mirror.groups_of(datapath)) {
        const sb::MulticastGroup* group = view.mirror.multicast_groups.find(uuid);
        signature[group->name] = {group->tunnel_key, false, false};
    }
    for (const Uuid& uuid : view.mirror.ports_of(datapath)) {
        const sb::PortBinding* port = view.mirror.ports.find(uuid);
        signature[port->logical_port] = {port->tunnel_key, can_enter(view, *port),
                                         can_leave(view, *port)};
    }
    return signature;
}

bool is_secured(const View& view, const Uuid& datapath) {
    for (const Uuid& uuid : view.mirror.ports_of(datapath)) {
        const sb::PortBinding* port = view.mirror.ports.find(uuid);
        if (port && !port->port_security.empty()) {
            return true;
        }
    }
    return false;
}

DatapathNames::DatapathNames(const View& view, const Uuid& datapath, const Signature& signature,
                             bool is_secured)
    : view_(view),
      is_secured_(is_secured),
      group_prefix_(group_prefix(view, datapath)),
      signature_(signature) {}

std::optional<uint32_t> DatapathNames::port_key(std::string_view name) const {
    if (name == "none") {
        return 0;  // what get_fdb leaves in outport when it knows nothing
    }
    const auto it = signature_.find(name);
    return it == signature_.end() ? std::nullopt : std::optional(it->second.key);
}

const std::vector<std::string>* DatapathNames::address_set(std::string_view name) const {
    const sb::AddressSet* row = view_.mirror.address_set(name);
    return row ? &row->addresses : nullptr;
}

const std::vector<std::string>* DatapathNames::port_group(std::string_view name) const {
    const sb::PortGroup* row = view_.mirror.port_group(group_prefix_ + std::string(name));
    if (!row) {
        row = view_.mirror.port_group(name);  // an older northd: one row for all
    }
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

const NameMeaning* DatapathNames::meaning(uint32_t key) const {
    if (by_key_.empty()) {
        for (const auto& [name, meaning] : signature_) {
            by_key_[meaning.key] = &meaning;
        }
    }
    const auto it = by_key_.find(key);
    return it == by_key_.end() ? nullptr : it->second;
}

bool DatapathNames::inport_possible(uint32_t key) const {
    const NameMeaning* port = meaning(key);
    return port && port->can_enter;
}

bool DatapathNames::outport_possible(uint32_t key) const {
    const NameMeaning* port = meaning(key);
    return port && port->can_leave;
}

}  // namespace sluice::physical
