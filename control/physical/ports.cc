// SPDX-License-Identifier: Apache-2.0
// Logical ports and their reach.
#include <fmt/format.h>

#include <algorithm>

#include "control/physical/local_datapaths.h"
#include "control/physical/port_security.h"
#include "control/physical/special_ports.h"
#include "control/physical/view.h"

namespace sluice::physical {
namespace {

using sb::PortBinding;
using sb::PortType;

bool is_local_patch(const View& view, const PortBinding& port) {
    return port.type == PortType::kPatch ||
           (port.type == PortType::kL3Gateway && view.plan.has(port.uuid));
}

void set_redirect(const View& view, const PortBinding& port, LogicalPort* out) {
    const PortBinding* distributed = view.mirror.port(port.option("distributed-port"));
    if (distributed && distributed->datapath == port.datapath) {
        out->reach = Reach::kRedirect;
        out->via_key = distributed->tunnel_key;
    }
}

void set_patch(const View& view, const PortBinding& port, LogicalPort* out) {
    const PortBinding* peer = peer_of(view.mirror, port);
    if (!peer) {
        return;
    }
    const auto it = view.datapath_index.find(peer->datapath);
    if (it != view.datapath_index.end()) {
        out->reach = Reach::kPatch;
        out->peer_datapath = it->second;
        out->peer_key = peer->tunnel_key;
    }
}

/// `localnet`: of the port's datapath.
void set_remote(const View& view, const PortBinding& port, const PortBinding* localnet,
                LogicalPort* out) {
    if (localnet && localnet->uuid != port.uuid && port.type != PortType::kChassisRedirect &&
        port.additional_chassis.empty()) {
        out->reach = Reach::kLocalnet;
        out->via_key = localnet->tunnel_key;
        return;
    }
    if (const auto set = view.sets ? view.sets->find(port) : std::nullopt) {
        const bool has_any = !view.sets->list()[*set]->tunnels.empty();
        out->reach = has_any ? Reach::kTunnel : Reach::kNoTunnel;
        out->tunnel = has_any ? TunnelSet::kTarget | *set : 0;
        return;
    }
    const Uuid& chassis = port.chassis;  // of a group of one, too: as the database has it
    if (chassis.is_zero()) {
        return;
    }
    const sb::Chassis* self = view.self();
    if (self && self->uuid == chassis) {
        return;  // the database says it is here, but nothing here carries it
    }
    const auto tunnel = view.tunnels.find(chassis, port.encap);
    out->reach = tunnel ? Reach::kTunnel : Reach::kNoTunnel;
    out->tunnel = tunnel.value_or(0);
    out->is_ramp = port.type == PortType::kVtep;
}

void set_mirrors(const View& view, const PortBinding& port, LogicalPort* out) {
    if (!view.mirrors || port.type != PortType::kVif) {
        return;
    }
    const auto add = [&](const PortBinding* row) {
        const Mirrors::Bits bits = row ? view.mirrors->of(*row) : Mirrors::Bits();
        out->mirrors_in |= bits.in;
        out->mirrors_out |= bits.out;
    };
    add(&port);
    if (port.is_container()) {
        add(view.mirror.port(port.parent_port));
    }
}

LogicalPort make_port(const View& view, const PortBinding& port, const PortBinding* localnet) {
    LogicalPort out{};
    out.key = port.tunnel_key;
    out.ct_zone = view.zones.of_port(port.logical_port);
    out.is_localport = port.type == PortType::kLocalport;
    out.is_localnet = port.type == PortType::kLocalnet || port.type == PortType::kL2Gateway;
    PortId id = kNoPort;
    uint16_t tag = 0;
    if (is_local_patch(view, port)) {
        set_patch(view, port, &out);
    } else if (port.type == PortType::kChassisRedirect && view.plan.has(port.uuid)) {
        set_redirect(view, port, &out);
    } else if (locate(view, port, &id, &tag)) {
        out.reach = Reach::kVif;
        out.port = id;
        out.vlan_tci = tag == 0 ? uint16_t{0} : static_cast<uint16_t>(0x1000 | (tag & 0xfff));
        set_mirrors(view, port, &out);
    } else if (port.type != PortType::kLocalnet) {
        set_remote(view, port, localnet, &out);
    }
    return out;
}

bool equal(const LogicalPort& a, const LogicalPort& b) {
    const bool has_security = a.security != nullptr;
    if (a.key != b.key || a.reach != b.reach || a.is_localport != b.is_localport ||
        a.is_localnet != b.is_localnet || a.port != b.port || a.vlan_tci != b.vlan_tci ||
        a.peer_datapath != b.peer_datapath || a.peer_key != b.peer_key || a.tunnel != b.tunnel ||
        a.is_ramp != b.is_ramp || a.via_key != b.via_key || a.ct_zone != b.ct_zone ||
        a.mirrors_in != b.mirrors_in || a.mirrors_out != b.mirrors_out ||
        has_security != (b.security != nullptr)) {
        return false;
    }
    if ((a.special || b.special) && (!a.special || !b.special || !(*a.special == *b.special))) {
        return false;
    }
    if (!has_security) {
        return true;
    }
    const auto same_entry = [](const PortSecurity::Entry& x, const PortSecurity::Entry& y) {
        return x.mac == y.mac &&
               std::equal(x.ip4.begin(), x.ip4.end(), y.ip4.begin(), y.ip4.end(),
                          [](auto& p, auto& q) { return p.ip == q.ip && p.mask == q.mask; }) &&
               std::equal(x.ip6.begin(), x.ip6.end(), y.ip6.begin(), y.ip6.end(),
                          [](auto& p, auto& q) { return p.ip == q.ip && p.mask == q.mask; });
    };
    return std::equal(a.security->entries.begin(), a.security->entries.end(),
                      b.security->entries.begin(), b.security->entries.end(), same_entry);
}

}  // namespace

const PortBinding* localnet_of(const View& view, const Uuid& datapath) {
    const PortBinding* found = nullptr;
    for (const Uuid& uuid : view.mirror.ports_of(datapath)) {
        const PortBinding* port = view.mirror.ports.find(uuid);
        if (port->type == PortType::kLocalnet &&
            view.attachments.physnet(port->option("network_name")) != kNoPort &&
            (!found || port->tunnel_key < found->tunnel_key)) {
            found = port;
        }
    }
    return found;
}

bool locate(const View& view, const PortBinding& port, PortId* id, uint16_t* tag) {
    const chassis::Attachments& here = view.attachments;
    const chassis::Attachments::Vif* vif = nullptr;
    *tag = 0;
    switch (port.type) {
    case PortType::kVif:
        if (!view.plan.has(port.uuid)) {
            return false;
        }
        vif = here.vif(port.is_container() ? port.parent_port : port.logical_port);
        *tag = port.is_container() ? port.tag : uint16_t{0};
        break;
    case PortType::kLocalport: vif = here.vif(port.logical_port); break;
    case PortType::kLocalnet:
        *id = here.physnet(port.option("network_name"));
        *tag = port.tag;
        return *id != kNoPort;
    case PortType::kL2Gateway:
        *id = view.plan.has(port.uuid) ? here.physnet(port.option("network_name")) : kNoPort;
        *tag = port.tag;
        return *id != kNoPort;
    case PortType::kMirror: {
        const PortBinding* target = view.mirror.port(port.mirror_port);
        return target && target->type == PortType::kVif && locate(view, *target, id, tag);
    }
    default: return false;
    }
    *id = vif ? vif->port : kNoPort;
    return *id != kNoPort;
}

bool can_enter(const View& view, const PortBinding& port) {
    PortId id = kNoPort;
    uint16_t tag = 0;
    switch (port.type) {
    case PortType::kPatch:
    case PortType::kL3Gateway:
    case PortType::kVtep: return true;
    case PortType::kChassisRedirect:
    case PortType::kVirtual: return view.plan.has(port.uuid);
    case PortType::kMirror: return false;
    default: return locate(view, port, &id, &tag);
    }
}

bool can_leave(const View& view, const PortBinding& port) {
    PortId id = kNoPort;
    uint16_t tag = 0;
    return is_local_patch(view, port) || locate(view, port, &id, &tag);
}

std::shared_ptr<const PortsPart> build_ports(const View& view, const Uuid& datapath) {
    auto part = std::make_shared<PortsPart>();
    std::vector<const PortBinding*> rows;
    for (const Uuid& uuid : view.mirror.ports_of(datapath)) {
        rows.push_back(view.mirror.ports.find(uuid));
    }
    std::sort(rows.begin(), rows.end(), [](const PortBinding* a, const PortBinding* b) {
        return a->tunnel_key < b->tunnel_key;
    });
    std::vector<std::pair<uint32_t, const LogicalPort*>> items;
    const PortBinding* localnet = localnet_of(view, datapath);
    for (const PortBinding* row : rows) {
        LogicalPort& port = part->ports.emplace_back(make_port(view, *row, localnet));
        if (port.reach == Reach::kPatch) {
            part->peers.push_back(port.peer_datapath);
        }
        if (port.is_localnet && port.reach == Reach::kVif) {
            part->bridged.emplace_back(port.port, port.vlan_tci);
        }
        if (auto special = special_port(view, *row, &port)) {
            port.special = &part->special.emplace_back(std::move(*special));
        }
        if (!row->port_security.empty()) {
            std::vector<std::string> errors;
            if (auto security = parse_port_security(row->port_security, &errors)) {
                port.security = security.get();
                part->security.push_back(std::move(security));
            }
            for (const std::string& error : errors) {
                part->errors.push_back(row->logical_port + ": " + error);
            }
        }
        items.emplace_back(port.key, &port);
    }
    std::sort(part->peers.begin(), part->peers.end());
    part->peers.erase(std::unique(part->peers.begin(), part->peers.end()), part->peers.end());
    part->by_key = FlatMap<uint32_t, const LogicalPort*>(items);
    return part;
}

bool equal(const PortsPart& a, const PortsPart& b) {
    return std::equal(a.ports.begin(), a.ports.end(), b.ports.begin(), b.ports.end(),
                      [](const LogicalPort& x, const LogicalPort& y) { return equal(x, y); });
}

}  // namespace sluice::physical
