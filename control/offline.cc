// SPDX-License-Identifier: Apache-2.0
#include "control/offline.h"

#include <algorithm>

#include "control/ovsdb/db_file.h"
#include "control/physical/underlay.h"
#include "control/publish.h"
#include "control/sb/mirror.h"
#include "control/service_tables.h"

namespace sluice {
namespace {

/// Everything of a build lives as long as the pipeline does.
struct Build {
    sb::Mirror mirror;
    physical::UnderlayModel underlay;
    PipelineBuilder builder{&mirror, &underlay};
};

Result<void> set_underlay(const OfflineRequest& request, Build* build) {
    std::vector<physical::Device> devices;
    for (const OfflinePort& port : request.ports) {
        if (!port.underlay && port.physnet.empty()) {
            continue;
        }
        devices.push_back({port.name, "", "", port.id, port.mac.to_u64(), port.mtu});
        for (const std::string& address : port.addresses) {
            if (auto added = build->underlay.add_address(port.name, address); !added) {
                return added.error().with_context("port " + port.name);
            }
        }
    }
    build->underlay.set_devices(devices);
    if (devices.empty()) {
        return {};
    }
    // Every other chassis is a neighbour, on a route of its own unless it is on-link.
    const auto outlet = std::find_if(request.ports.begin(), request.ports.end(),
                                     [](const OfflinePort& port) { return port.underlay; });
    for (const auto& [uuid, encap] : build->mirror.encaps.rows()) {
        const auto ip = physical::parse_address(encap->ip);
        if (!ip || encap->chassis_name == request.chassis || outlet == request.ports.end()) {
            continue;
        }
        const auto known = request.neighbors.find(encap->ip);
        const Mac mac = known == request.neighbors.end() ? request.default_neighbor : known->second;
        const std::string host = encap->ip + (ip->ip6 ? "/128" : "/32");
        if (const auto added = build->underlay.add_route(host, outlet->name, ""); !added) {
            return added;
        }
        if (auto set = build->underlay.set_neighbor(outlet->name, encap->ip, to_string(mac));
            !set) {
            return set;
        }
    }
    return {};
}

Result<BuildInputs> make_inputs(const OfflineRequest& request, const Build& build) {
    const sb::Chassis* self = build.mirror.chassis_by_name(request.chassis);
    if (!self) {
        std::string names;
        for (const auto& [uuid, row] : build.mirror.chassis.rows()) {
            names += (names.empty() ? "" : ", ") + row->name;
        }
        return Error{"there is no chassis " + request.chassis + " in " + request.db_file +
                     " (it has: " + (names.empty() ? "none" : names) + ")"};
    }
    BuildInputs inputs;
    inputs.identity = {self->name, self->hostname};
    inputs.encap.chassis = self->name;
    inputs.encap.zones = self->transport_zones;
    inputs.encap.legacy_option = request.legacy_geneve_tx;
    inputs.encap.is_interconn = sb::get_bool(self->other_config, "is-interconn", false);
    inputs.encap.prefers_stt = sb::get_bool(self->other_config, "sluice-stt", false);
    for (const Uuid& uuid : self->encaps) {
        const sb::Encap* encap = build.mirror.encaps.find(uuid);
        const auto ip = encap ? physical::parse_address(encap->ip) : std::nullopt;
        if (ip) {
            inputs.encap.ips.push_back(*ip);
            inputs.encap.types.push_back(encap->type);
        }
    }
    // Nobody runs BFD with a file: all chassis in it are taken for alive.
    for (const auto& [uuid, row] : build.mirror.chassis.rows()) {
        inputs.live.insert(row->name);
    }
    for (const OfflinePort& port : request.ports) {
        if (!port.iface_id.empty()) {
            inputs.attachments.vifs[port.iface_id] = {port.id, port.name, ""};
        }
        if (!port.physnet.empty()) {
            inputs.attachments.physnets[port.physnet] = port.id;
        }
    }
    return inputs;
}

/// The file's rows, what this chassis is, and its VIFs attached; ready for update().
struct Prepared {
    std::shared_ptr<Build> build;
    BuildInputs inputs;
    std::vector<std::string> bound_here;
};

Result<Prepared> prepare(const OfflineRequest& request) {
    auto file = ovsdb::read_db_file(request.db_file, sb::table_specs());
    if (!file) {
        return file.error();
    }
    const auto build = std::make_shared<Build>();
    build->mirror.apply(file->contents);
    auto inputs = make_inputs(request, *build);
    if (!inputs) {
        return inputs.error();
    }
    if (const auto set = set_underlay(request, build.get()); !set) {
        return set.error();
    }
    // Ports that the file binds here hold their datapaths local, though nothing carries them.
    Prepared prepared{build, std::move(*inputs), {}};
    const Uuid self = build->mirror.chassis_by_name(request.chassis)->uuid;
    for (const auto& [uuid, port] : build->mirror.ports.rows()) {
        if (port->chassis == self && port->type == sb::PortType::kVif && !port->is_container()) {
            prepared.bound_here.push_back(port->logical_port);
            prepared.inputs.attachments.vifs.try_emplace(port->logical_port);
        }
    }
    std::sort(prepared.bound_here.begin(), prepared.bound_here.end());
    return prepared;
}

const sb::DatapathBinding* find_datapath(const sb::Mirror& mirror, const std::string& text) {
    for (const auto& [uuid, row] : mirror.datapaths.rows()) {
        if (row->name() == text || to_string(uuid) == text ||
            std::to_string(row->tunnel_key) == text) {
            return row.get();
        }
    }
    return nullptr;
}

}  // namespace

Result<OfflinePipeline> build_pipeline(const OfflineRequest& request) {
    Result<Prepared> prepared = prepare(request);
    if (!prepared) {
        return prepared.error();
    }
    const std::shared_ptr<Build>& build = prepared->build;
    OfflinePipeline out;
    out.bound_here = prepared->bound_here;
    out.pipeline = build->builder.update(prepared->inputs);
    out.services = make_service_tables(build->mirror);
    for (const auto& [uuid, text] : build->builder.flow_errors()) {
        out.errors.push_back(text);
    }
    for (const Uuid& datapath : build->builder.local_datapaths()) {
        const uint32_t key = build->mirror.datapaths.find(datapath)->tunnel_key;
        for (const Uuid& uuid : build->mirror.ports_of(datapath)) {
            const sb::PortBinding* port = build->mirror.ports.find(uuid);
            out.port_names[key][port->tunnel_key] = port->logical_port;
        }
    }
    const auto tunnels = static_cast<uint32_t>(build->builder.tunnels().list().size());
    for (uint32_t i = 0; i < tunnels; ++i) {
        out.tunnel_names.push_back(build->builder.tunnels().name(i));
    }
    return out;
}

Result<void> list_passes(const OfflineRequest& request, const std::string& datapath,
                         compile::PassListener* listener) {
    Result<Prepared> prepared = prepare(request);
    if (!prepared) {
        return prepared.error();
    }
    const sb::DatapathBinding* row = find_datapath(prepared->build->mirror, datapath);
    if (!row) {
        return Error{datapath + ": no datapath of that name, UUID or tunnel key in " +
                     request.db_file};
    }
    const Uuid wanted = row->uuid;
    prepared->build->builder.listen(wanted, listener);
    const auto pipeline = prepared->build->builder.update(prepared->inputs);
    if (!prepared->build->builder.local_datapaths().contains(wanted)) {
        return Error{datapath + " is not local to chassis " + request.chassis +
                     ": nothing of it is compiled there"};
    }
    return {};
}

}  // namespace sluice
