// SPDX-License-Identifier: Apache-2.0
#include "control/physical/entries.h"

#include <algorithm>

#include "control/physical/shared_wires.h"
#include "control/physical/special_ports.h"

namespace sluice::physical {
namespace {

using sb::PortBinding;
using sb::PortType;

// Initial flags of the reference (its MLF_LOCAL_ONLY and MLF_NESTED_CONTAINER).
constexpr uint32_t kFlagLocalOnly = 1u << 4;
constexpr uint32_t kFlagNested = 1u << 5;

struct Pending {
    std::vector<const EntryPoint*> untagged;
    bool takes_tags = true;
    PortId forward_to = kNoPort;
    std::map<uint16_t, std::vector<const EntryPoint*>> tagged;
};

/// Ports that may have something physical here: what is claimed, and by name what is plugged in
/// without a claim.
std::vector<const PortBinding*> ports_here(const View& view) {
    std::vector<const PortBinding*> rows;
    const auto add = [&](const PortBinding* row) {
        if (row && view.datapath_index.contains(row->datapath)) {
            rows.push_back(row);
        }
    };
    for (const auto& [uuid, claim] : view.plan.claims) {
        add(view.mirror.ports.find(uuid));
    }
    for (const PortType type : {PortType::kLocalport, PortType::kLocalnet, PortType::kL2Gateway}) {
        for (const Uuid& uuid : view.mirror.ports_of_type(type)) {
            add(view.mirror.ports.find(uuid));
        }
    }
    std::sort(rows.begin(), rows.end(), [](const PortBinding* a, const PortBinding* b) {
        return std::tie(a->datapath, a->tunnel_key, a->uuid) <
               std::tie(b->datapath, b->tunnel_key, b->uuid);
    });
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    return rows;
}

bool equal(const EntryPoint& a, const EntryPoint& b) {
    return a.id == b.id && a.datapath == b.datapath && a.inport == b.inport && a.flags == b.flags &&
           a.strip_vlan == b.strip_vlan && a.masks == b.masks && a.source == b.source &&
           (a.special == b.special || (a.special && b.special && *a.special == *b.special &&
                                       physical::equal(shared_wire_of(a), shared_wire_of(b))));
}

bool equal(const std::vector<const EntryPoint*>& a, const std::vector<const EntryPoint*>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const EntryPoint* x, const EntryPoint* y) { return equal(*x, *y); });
}

bool equal(const Underlay* a, const Underlay* b) {
    if (!a || !b) {
        return a == b;
    }
    return a->mac == b->mac && a->geneve_port == b->geneve_port && a->vxlan_port == b->vxlan_port &&
           a->stt_port == b->stt_port && a->accept_zero_csum6 == b->accept_zero_csum6 &&
           a->exception == b->exception &&
           std::equal(a->ip4.begin(), a->ip4.end(), b->ip4.begin(), b->ip4.end(),
                      [](auto& x, auto& y) { return x.ip == y.ip && x.length == y.length; }) &&
           std::equal(a->ip6.begin(), a->ip6.end(), b->ip6.begin(), b->ip6.end(),
                      [](auto& x, auto& y) { return x.ip == y.ip && x.length == y.length; });
}

using RampLists = FlatMap<uint32_t, const std::vector<RampEntry>*>;

bool equal(const RampLists& a, const RampLists& b) {
    bool same = a.size() == b.size();
    a.for_each([&](uint32_t vni, const std::vector<RampEntry>* list) {
        const auto* other = b.find(vni);
        same = same && other &&
               std::equal(list->begin(), list->end(), (*other)->begin(), (*other)->end(),
                          [](const RampEntry& x, const RampEntry& y) {
                              return x.remote.bytes == y.remote.bytes && equal(*x.entry, *y.entry);
                          });
    });
    return same;
}

/// The address that a tunnel leads to, from its prebuilt header; IPv4 as ::ffff:a.b.c.d.
Ip6 remote_of(const Tunnel& tunnel) {
    Ip6 ip{};
    if (tunnel.ip6) {
        std::copy_n(tunnel.header + tunnel.l3_ofs + 24, 16, ip.bytes.begin());
    } else {
        ip.bytes[10] = ip.bytes[11] = 0xff;
        std::copy_n(tunnel.header + tunnel.l3_ofs + 16, 4, ip.bytes.begin() + 12);
    }
    return ip;
}

/// Entry points of VTEP gateways that serve local switches.
void add_ramps(const View& view, const std::vector<const KeyMasks*>& masks, EntryIds* ids,
               EntriesPart* part) {
    std::map<uint32_t, std::vector<RampEntry>> by_vni;
    for (const Uuid& uuid : view.mirror.ports_of_type(PortType::kVtep)) {
        const PortBinding* row = view.mirror.ports.find(uuid);
        const auto index = view.datapath_index.find(row->datapath);
        const auto* datapath = view.mirror.datapaths.find(row->datapath);
        if (index == view.datapath_index.end() || !datapath || row->chassis.is_zero()) {
            continue;
        }
        const EntryPoint* entry = nullptr;
        for (const uint32_t tunnel : view.tunnels.all_to(row->chassis)) {
            if (view.tunnels.list()[tunnel]->type != TunnelType::kVxlan) {
                continue;
            }
            if (!entry) {
                entry = &part->points.emplace_back(
                    EntryPoint{ids->id(kNoPort, 0, row->datapath, row->tunnel_key, flag::kFromRamp),
                               index->second, row->tunnel_key, flag::kFromRamp, false,
                               masks.at(index->second)});
            }
            by_vni[datapath->tunnel_key].push_back(
                {remote_of(*view.tunnels.list()[tunnel]), entry});
        }
    }
    std::vector<std::pair<uint32_t, const std::vector<RampEntry>*>> items;
    for (auto& [vni, list] : by_vni) {
        std::sort(list.begin(), list.end(), [](const RampEntry& a, const RampEntry& b) {
            return std::tie(a.remote.bytes, a.entry->inport) <
                   std::tie(b.remote.bytes, b.entry->inport);
        });
        items.emplace_back(vni, &part->ramp_lists.emplace_back(std::move(list)));
    }
    part->ramps = RampLists(items);
}

bool equal(const PortEntry* a, const PortEntry* b) {
    if (!a || !b) {
        return a == b;
    }
    if (!equal(a->untagged, b->untagged) || a->untagged_takes_tags != b->untagged_takes_tags ||
        a->tagged.size() != b->tagged.size() || !equal(a->underlay, b->underlay) ||
        a->forward_to != b->forward_to) {
        return false;
    }
    bool same = true;
    a->tagged.for_each([&](uint16_t tag, const std::vector<const EntryPoint*>* list) {
        const auto* other = b->tagged.find(tag);
        same = same && other && equal(*list, **other);
    });
    return same;
}

/// What is known of each port becomes its entry.
void add_ports(std::map<PortId, Pending>* pending, const UnderlayModel& underlay,
               EntriesPart* part) {
    for (auto& [port, entry] : *pending) {
        PortEntry& out = part->ports.emplace_back();
        out.untagged = std::move(entry.untagged);
        out.untagged_takes_tags = entry.takes_tags;
        out.forward_to = entry.forward_to;
        std::vector<std::pair<uint16_t, const std::vector<const EntryPoint*>*>> tagged;
        for (auto& [tag, list] : entry.tagged) {
            tagged.emplace_back(tag, &part->lists.emplace_back(std::move(list)));
        }
        out.tagged = FlatMap<uint16_t, const std::vector<const EntryPoint*>*>(tagged);
        if (auto side = underlay.underlay_of(port)) {
            out.underlay = &part->underlays.emplace_back(std::move(*side));
        }
        part->by_port.resize(std::max<size_t>(part->by_port.size(), port + size_t{1}));
        part->by_port[port] = &out;
    }
}

}  // namespace

uint32_t EntryIds::id(PortId port, uint16_t tag, const Uuid& datapath, uint32_t inport,
                      uint32_t flags) {
    return ids_
        .try_emplace({port, tag, datapath, inport, flags}, static_cast<uint32_t>(ids_.size()))
        .first->second;
}

std::shared_ptr<const EntriesPart> build_entries(const View& view, const UnderlayModel& underlay,
                                                 const std::vector<const KeyMasks*>& masks,
                                                 EntryIds* ids) {
    auto part = std::make_shared<EntriesPart>();
    std::map<PortId, Pending> pending;
    std::map<std::pair<PortId, uint16_t>, std::vector<EntryPoint*>> bridged;
    for (const PortBinding* row : ports_here(view)) {
        PortId port = kNoPort;
        uint16_t tag = 0;
        if (row->type == sb::PortType::kMirror || !locate(view, *row, &port, &tag)) {
            continue;
        }
        const bool is_bridge =
            row->type == PortType::kLocalnet || row->type == PortType::kL2Gateway;
        const uint32_t flags = row->is_container()                 ? kFlagNested
                               : row->type == PortType::kLocalport ? kFlagLocalOnly
                                                                   : 0;
        const uint32_t index = view.datapath_index.at(row->datapath);
        EntryPoint& point = part->points.emplace_back(
            EntryPoint{ids->id(port, tag, row->datapath, row->tunnel_key, flags), index,
                       row->tunnel_key, flags, is_bridge || tag != 0, masks.at(index)});
        if (row->type == PortType::kVif) {
            const auto* vif =
                view.attachments.vif(row->is_container() ? row->parent_port : row->logical_port);
            point.source = vif ? view.tunnels.source(vif->encap_ip) : uint16_t{0};
        }
        if (auto special = special_entry(view, *row)) {
            point.special = &part->special.emplace_back(std::move(*special));
        }
        Pending& entry = pending[port];
        if (tag != 0) {
            entry.tagged[tag].push_back(&point);
        } else {
            entry.untagged.push_back(&point);
        }
        entry.takes_tags = entry.takes_tags && !is_bridge;
        if (is_bridge) {
            bridged[{port, tag}].push_back(&point);
        }
    }
    for (const auto& [where, list] : bridged) {
        if (list.size() > 1) {
            share_wire(view, list, part.get());
        }
    }
    add_ramps(view, masks, ids, part.get());
    for (const Device& device : underlay.devices()) {
        if (device.port != kNoPort && underlay.underlay_of(device.port)) {
            pending.try_emplace(device.port);
        }
        if (device.exception != kNoPort) {
            pending[device.exception].forward_to = device.port;
        }
    }
    add_ports(&pending, underlay, part.get());
    return part;
}

bool equal(const EntriesPart& a, const EntriesPart& b) {
    return std::equal(a.by_port.begin(), a.by_port.end(), b.by_port.begin(), b.by_port.end(),
                      [](const PortEntry* x, const PortEntry* y) { return equal(x, y); }) &&
           equal(a.ramps, b.ramps);
}

}  // namespace sluice::physical
