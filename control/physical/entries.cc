// SPDX-License-Identifier: Apache-2.0
#include "control/physical/entries.h"

#include <algorithm>

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
           a.strip_vlan == b.strip_vlan && a.masks == b.masks;
}

bool equal(const std::vector<const EntryPoint*>& a, const std::vector<const EntryPoint*>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const EntryPoint* x, const EntryPoint* y) { return equal(*x, *y); });
}

bool equal(const Underlay* a, const Underlay* b) {
    if (!a || !b) {
        return a == b;
    }
    return a->mac == b->mac && a->geneve_port == b->geneve_port &&
           a->accept_zero_csum6 == b->accept_zero_csum6 &&
           std::equal(a->ip4.begin(), a->ip4.end(), b->ip4.begin(), b->ip4.end(),
                      [](auto& x, auto& y) { return x.ip == y.ip && x.length == y.length; }) &&
           std::equal(a->ip6.begin(), a->ip6.end(), b->ip6.begin(), b->ip6.end(),
                      [](auto& x, auto& y) { return x.ip == y.ip && x.length == y.length; });
}

bool equal(const PortEntry* a, const PortEntry* b) {
    if (!a || !b) {
        return a == b;
    }
    if (!equal(a->untagged, b->untagged) || a->untagged_takes_tags != b->untagged_takes_tags ||
        a->tagged.size() != b->tagged.size() || !equal(a->underlay, b->underlay)) {
        return false;
    }
    bool same = true;
    a->tagged.for_each([&](uint16_t tag, const std::vector<const EntryPoint*>* list) {
        const auto* other = b->tagged.find(tag);
        same = same && other && equal(*list, **other);
    });
    return same;
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
        const EntryPoint& point = part->points.emplace_back(
            EntryPoint{ids->id(port, tag, row->datapath, row->tunnel_key, flags), index,
                       row->tunnel_key, flags, is_bridge || tag != 0, masks.at(index)});
        Pending& entry = pending[port];
        if (tag != 0) {
            entry.tagged[tag].push_back(&point);
        } else {
            entry.untagged.push_back(&point);
        }
        entry.takes_tags = entry.takes_tags && !is_bridge;
    }
    for (const Device& device : underlay.devices()) {
        if (device.port != kNoPort && underlay.underlay_of(device.port)) {
            pending.try_emplace(device.port);
        }
    }
    for (auto& [port, entry] : pending) {
        PortEntry& out = part->ports.emplace_back();
        out.untagged = std::move(entry.untagged);
        out.untagged_takes_tags = entry.takes_tags;
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
    return part;
}

bool equal(const EntriesPart& a, const EntriesPart& b) {
    return std::equal(a.by_port.begin(), a.by_port.end(), b.by_port.begin(), b.by_port.end(),
                      [](const PortEntry* x, const PortEntry* y) { return equal(x, y); });
}

}  // namespace sluice::physical
