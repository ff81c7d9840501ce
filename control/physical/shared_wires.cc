// SPDX-License-Identifier: Apache-2.0
#include "control/physical/shared_wires.h"

#include <algorithm>

#include "control/physical/local_datapaths.h"

namespace sluice::physical {
namespace {

using sb::PortBinding;
using sb::PortType;

/// The row whose MACs a port answers to here; null when it is not here.
const PortBinding* owner_of(const View& view, const PortBinding& port) {
    if (port.type == PortType::kLocalport || view.plan.has(port.uuid)) {
        return &port;
    }
    const PortBinding* peer = peer_of(view.mirror, port);
    if (!peer || !view.datapath_index.contains(peer->datapath)) {
        return nullptr;
    }
    const PortBinding* redirect = view.mirror.port("cr-" + peer->logical_port);
    return !redirect || view.plan.has(redirect->uuid) ? peer : nullptr;
}

template <typename F>
void for_each_mac_here(const View& view, const Uuid& datapath, F&& f) {
    for (const Uuid& uuid : view.mirror.ports_of(datapath)) {
        const PortBinding* owner = owner_of(view, *view.mirror.ports.find(uuid));
        for (const std::string& text : owner ? owner->mac : std::vector<std::string>()) {
            if (const auto mac = parse_mac(text.substr(0, text.find(' ')))) {
                f(mac->to_u64());
            }
        }
    }
}

}  // namespace

void share_wire(const View& view, std::span<EntryPoint* const> list, EntriesPart* part) {
    std::map<uint32_t, Uuid> by_index;
    for (const auto& [uuid, index] : view.datapath_index) {
        by_index[index] = uuid;
    }
    std::vector<std::pair<uint64_t, const EntryPoint*>> macs;
    for (const EntryPoint* entry : list) {
        for_each_mac_here(view, by_index[entry->datapath],
                          [&](uint64_t mac) { macs.emplace_back(mac, entry); });
    }
    // Of switches with the same address, the first has it.
    std::reverse(macs.begin(), macs.end());
    const auto& known = part->wire_macs.emplace_back(macs);
    for (EntryPoint* entry : list) {
        SharedWire& wire = part->wires.emplace_back();
        static_cast<SpecialEntry&>(wire) = entry->special ? *entry->special : SpecialEntry();
        wire.activation = SharedWire::kMark;
        wire.macs = &known;
        entry->special = &wire;
    }
}

bool equal(const SharedWire* a, const SharedWire* b) {
    if (!a || !b) {
        return a == b;
    }
    bool same = a->macs->size() == b->macs->size();
    a->macs->for_each([&](uint64_t mac, const EntryPoint* entry) {
        const EntryPoint* const* other = b->macs->find(mac);
        same = same && other && (*other)->id == entry->id;
    });
    return same;
}

}  // namespace sluice::physical
