// SPDX-License-Identifier: Apache-2.0
// What is reported to the local database, and to people.
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <set>

#include "control/control_plane_impl.h"
#include "control/vswitch/local_mirrors.h"
#include "lib/program/bond_report.h"

namespace sluice {
namespace {

constexpr int64_t kFirstMemberOfport = 50000;  // above those of ports and of passive interfaces

}  // namespace

std::optional<bool> ControlPlane::Impl::installed_state(const vswitch::WantedPort& port) const {
    const auto* bridge = contents()->bridge(port.bridge);
    const vswitch::Interface* interface = nullptr;
    if (bridge) {
        const auto& rows = bridge->interfaces;
        const auto at = std::find_if(rows.begin(), rows.end(), [&](const vswitch::Interface& row) {
            return row.uuid == port.interface;
        });
        interface = at == rows.end() ? nullptr : &*at;
    }
    if (!interface) {
        return std::nullopt;
    }
    const bool is_said = interface->external_ids.contains("ovn-installed");
    const auto owner = iface_owner.find(port.iface_id);
    const bool is_owner = owner != iface_owner.end() && owner->second == port.spec.name;
    const sb::PortBinding* row = is_owner ? mirror.port(port.iface_id) : nullptr;
    const chassis::Identity identity{settings.chassis, settings.hostname};
    if (!sb || !sb->synced()) {
        return std::nullopt;  // an outage of the Southbound changes nothing
    }
    const bool is_up =
        row && builder.plan().has(row->uuid) && claims && claims->is_up(*row, identity);
    if (is_up && !is_complete() && !is_said) {
        return std::nullopt;
    }
    return is_up == is_said ? std::nullopt : std::optional(is_up);
}

vswitch::InterfaceState ControlPlane::Impl::interface_state(const vswitch::WantedPort& port) {
    vswitch::InterfaceState state;
    const PortId id = plugger.id(port.spec.name);
    state.error = plugger.error(port.spec.name);
    if (id == kNoPort) {
        if (!state.error.empty()) {
            state.ofport = -1;
        }
    } else {
        state.ofport = int64_t{id} + 1;
        if (const Result<PortInfo> info = ports.info(id); info && state.error.empty()) {
            state.error = info->trouble;
        }
        if (const auto it = pin_errors.find(port.spec.name);
            it != pin_errors.end() && state.error.empty()) {
            state.error = it->second;
        }
        state.link_up = ports.link_up(id);
        state.mac = ports.mac(id);
        state.mtu = ports.mtu(id);
        if (!port.kernel_name.empty()) {
            state.ifindex = if_nametoindex(port.kernel_name.c_str());
        }
        if (const auto it = stats.find(id); it != stats.end()) {
            state.stats = it->second;
        }
    }
    if (!port.iface_id.empty()) {
        state.installed = installed_state(port);
    }
    return state;
}

vswitch::InterfaceState ControlPlane::Impl::member_state(const vswitch::WantedPort& port,
                                                         const std::optional<BondReport>& bond,
                                                         const std::string& name, int64_t ofport) {
    vswitch::InterfaceState state;
    const auto unfit = port.member_errors.find(name);
    state.error = unfit == port.member_errors.end() ? plugger.error(port.spec.name) : unfit->second;
    for (const BondMemberReport& member : bond ? bond->members : std::vector<BondMemberReport>()) {
        if (member.name != name) {
            continue;
        }
        state.error = member.error;
        if (!member.error.empty()) {
            state.ofport = -1;
            return state;
        }
        state.ofport = ofport;
        state.link_up = member.link_up;
        state.mac = member.mac;
        state.mtu = member.mtu;
        state.ifindex = if_nametoindex(name.c_str());
        state.stats = member.stats;
        if (member.lacp) {
            state.lacp_current = member.lacp->receive == "current";
        }
        if (!port.iface_id.empty()) {
            state.installed = installed_state(port);
        }
        return state;
    }
    if (!state.error.empty()) {
        state.ofport = -1;
    }
    return state;
}

void ControlPlane::Impl::report_interfaces() {
    if (!ovs || !ovs->is_known()) {
        return;
    }
    std::map<Uuid, vswitch::InterfaceState> states;
    std::map<Uuid, std::string> bonds;
    int64_t next_ofport = kFirstMemberOfport;
    for (const vswitch::WantedPort& port : plugger.wanted()) {
        if (!port.interface.is_zero()) {
            states[port.interface] = interface_state(port);
        } else if (!port.bond.is_zero()) {
            const PortId id = plugger.id(port.spec.name);
            const std::optional<BondReport> bond = ports.bond(id);
            const bool has_active = bond && !bond->active_mac.is_zero();
            bonds[port.bond] = has_active ? to_string(bond->active_mac) : std::string();
            for (const auto& [row, name] : port.members) {
                states[row] = member_state(port, bond, name, next_ofport++);
            }
        }
    }
    const auto wanted =
        vswitch::wanted_ports(contents(), settings, options.ports, options.system_is_dummy);
    for (const auto& [uuid, ofport] : wanted.passive) {
        states[uuid].ofport = ofport;
    }
    ovs->report(states, bonds, !plugger.has_replacements());
}

std::vector<PortBindingStatus> ControlPlane::Impl::port_status() const {
    std::vector<PortBindingStatus> list;
    for (const vswitch::WantedPort& port : plugger.wanted()) {
        PortBindingStatus status;
        status.name = port.spec.name;
        status.id = plugger.id(port.spec.name);
        status.logical_port = port.iface_id;
        status.error = plugger.error(port.spec.name);
        bool is_mapped = !port.physnet.empty();
        for (const auto& [network, bridge] : settings.bridge_mappings) {
            is_mapped = is_mapped || (!port.bridge.empty() && bridge == port.bridge);
        }
        if (!port.iface_id.empty()) {
            status.role = "vif";
        } else if (port.is_exception) {
            status.role = "kernel";
        } else if (underlay.underlay_of(status.id)) {
            status.role = is_mapped ? "underlay+localnet" : "underlay";
        } else {
            status.role = is_mapped ? "localnet" : "unused";
        }
        list.push_back(std::move(status));
    }
    return list;
}

std::vector<MirrorStatus> ControlPlane::Impl::mirror_status() const {
    std::map<std::string, MirrorStatus> by_name;
    for (const auto& [uuid, claim] : builder.plan().claims) {
        const sb::PortBinding* port = mirror.ports.find(uuid);
        for (const Uuid& rule : port ? port->mirror_rules : std::vector<Uuid>()) {
            const sb::MirrorRow* row = mirror.mirrors.find(rule);
            if (!row || row->type == "lport") {
                continue;  // those are logical flows
            }
            MirrorStatus& status = by_name[row->name];
            const auto sink = builder.mirrors().sink_of(rule);
            status.name = row->name;
            status.type = row->type;
            status.filter = row->filter;
            status.sink = row->sink;
            status.index = row->index;
            status.port = sink ? sink->port : kNoPort;
            status.state = !sink ? "refused" : sink->is_ready ? "ready" : "waiting";
            status.logical_ports.push_back(port->logical_port);
        }
    }
    std::vector<MirrorStatus> list;
    const auto id_of = [this](const std::string& name) { return plugger.id(name); };
    for (const auto& local :
         contents() ? vswitch::local_mirrors(*contents(), settings, plugger.wanted(), id_of)
                    : std::vector<chassis::Attachments::LocalMirror>()) {
        MirrorStatus& status = by_name[local.name];
        const auto sink = builder.mirrors().sink_of(local.row);
        status.name = local.name;
        status.type = "ovs";
        status.filter = local.all            ? "all"
                        : local.from.empty() ? "to-lport"
                        : local.to.empty()   ? "from-lport"
                                             : "both";
        status.sink = local.output_name;
        status.port = local.output;
        status.state = local.is_refused ? "refused" : sink && sink->is_ready ? "ready" : "waiting";
        for (const std::string& error : local.errors) {
            status.state += "; " + error;
        }
        std::set<std::string> selected = local.from;
        selected.insert(local.to.begin(), local.to.end());
        status.logical_ports.assign(selected.begin(), selected.end());
    }
    for (auto& [name, status] : by_name) {
        std::sort(status.logical_ports.begin(), status.logical_ports.end());
        list.push_back(std::move(status));
    }
    return list;
}

std::pair<std::string, uint64_t> ControlPlane::tunnel_bfd(uint32_t tunnel) const {
    for (const watch::TunnelBfdStatus& status : impl_->tunnel_bfd) {
        if (status.tunnel == tunnel) {
            return {watch::to_string(status.state), status.flaps};
        }
    }
    return {};
}

std::vector<std::string> ControlPlane::describe_tunnel_bfd() const {
    std::vector<std::string> lines;
    for (const watch::TunnelBfdStatus& s : impl_->tunnel_bfd) {
        const bool is_up = s.state == watch::BfdState::kUp;
        lines.insert(
            lines.end(),
            {fmt::format("---- {} ----", s.name), fmt::format("\tForwarding: {}", is_up),
             fmt::format("\tTX interval: {}ms", s.tx_ms),
             fmt::format("\tDetection time: {}ms", s.detection_ms),
             fmt::format("\tFlap count: {}", s.flaps),
             fmt::format("\tLocal Discriminator: {:#x}", s.disc),
             fmt::format("\tLocal Session State: {}", watch::to_string(s.state)),
             fmt::format("\tLocal Diagnostic: {}", s.diag),
             fmt::format("\tRemote Discriminator: {:#x}", s.remote_disc),
             fmt::format("\tRemote Session State: {}", watch::to_string(s.remote_state)), ""});
    }
    return lines;
}

}  // namespace sluice
