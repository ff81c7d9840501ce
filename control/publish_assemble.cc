// SPDX-License-Identifier: Apache-2.0
// From built parts to the Pipeline.
#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>

#include "control/compile/meter_names.h"
#include "control/physical/special_ports.h"
#include "control/publish.h"

namespace sluice {
namespace {

std::shared_ptr<const KeyMasks> share_masks(const std::shared_ptr<const KeyMasks>& before,
                                            const KeyMasks& masks, bool* is_changed) {
    if (before && *before == masks) {
        return before;
    }
    *is_changed = true;
    return std::make_shared<const KeyMasks>(masks);
}

/// A MAC, in packets of all classes.
ClassReads reads_of_mac(unsigned slot) {
    ClassReads reads{};
    for (SlotMask& slots : reads) {
        slots.w[slot] = 0xffff;
        slots.w[slot + 1] = ~0u;
    }
    return reads;
}

}  // namespace

// Datapaths that patch ports connect share their masks: what any of their tables looks at.
bool PipelineBuilder::update_masks() {
    std::vector<uint32_t> parent(index_used_.size());
    std::iota(parent.begin(), parent.end(), 0u);
    const std::function<uint32_t(uint32_t)> root = [&](uint32_t at) {
        while (parent[at] != at) {
            at = parent[at] = parent[parent[at]];
        }
        return at;
    };
    for (const auto& [datapath, local] : locals_) {
        for (const uint32_t peer : local.ports->peers) {
            parent[root(local.index)] = root(peer);
        }
    }
    // Switches that share a wire reach each other by it, by addresses.
    std::map<std::pair<PortId, uint16_t>, uint32_t> wires;
    std::set<uint32_t> sharing;
    for (const auto& [datapath, local] : locals_) {
        for (const auto& wire : local.ports->bridged) {
            const auto [first, is_new] = wires.try_emplace(wire, local.index);
            if (!is_new) {
                parent[root(local.index)] = root(first->second);
                sharing.insert(local.index);
            }
        }
    }
    // What is looked at is large, and most often all are connected: once for those that are.
    constexpr uint32_t kNone = ~0u;
    std::vector<uint32_t> place(index_used_.size(), kNone);
    std::vector<ClassReads> reads;
    for (const auto& [datapath, local] : locals_) {
        uint32_t& at = place[root(local.index)];
        if (at == kNone) {
            at = static_cast<uint32_t>(reads.size());
            reads.emplace_back();
        }
        for (const ClassReads& side : local.compiled->reads) {
            reads[at] |= side;
        }
        const auto look_at = [&](unsigned slot) {
            const ClassReads mac = reads_of_mac(slot);
            reads[at] |= mac;
        };
        if (physical::replaces_sources(*local.ports)) {
            look_at(kSlotEthSrc);
        }
        if (sharing.contains(local.index)) {
            look_at(kSlotEthDst);
        }
    }
    std::vector<KeyMasks> masks;
    ClassReads all{};
    for (const ClassReads& own : reads) {
        masks.push_back(key_masks_of(own));
        all |= own;
    }
    bool is_changed = false;
    masks_.resize(index_used_.size());
    for (const auto& [datapath, local] : locals_) {
        masks_[local.index] =
            share_masks(masks_[local.index], masks[place[root(local.index)]], &is_changed);
    }
    tunnel_masks_ = share_masks(tunnel_masks_, key_masks_of(all), &is_changed);
    return is_changed;
}

bool PipelineBuilder::update_lengths() {
    std::vector<uint32_t> lengths;
    for (const auto& [datapath, local] : locals_) {
        lengths.insert(lengths.end(), local.compiled->pkt_lens.begin(),
                       local.compiled->pkt_lens.end());
    }
    std::sort(lengths.begin(), lengths.end());
    lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
    return std::exchange(lengths_, lengths) != lengths;
}

/// Meter rows at the places that compiled code has for their names.
bool PipelineBuilder::update_meters() {
    std::vector<std::shared_ptr<const MeterSpec>> next;
    for (const auto& place : compile::MeterNames::instance().list()) {
        const sb::Meter* row = place ? mirror_->meter(place->name) : nullptr;
        if (!row) {
            next.push_back(nullptr);
            continue;
        }
        auto spec = std::make_shared<MeterSpec>();
        spec->id = place->id;
        spec->is_packets = row->unit == "pktps";
        for (const Uuid& uuid : row->bands) {
            if (const sb::MeterBand* band = mirror_->meter_bands.find(uuid)) {
                spec->bands.push_back(
                    {static_cast<uint64_t>(std::max<int64_t>(band->rate, 0)),
                     static_cast<uint64_t>(std::max<int64_t>(band->burst_size, 0))});
            }
        }
        next.push_back(std::move(spec));
    }
    const bool is_same =
        std::equal(next.begin(), next.end(), meters_.begin(), meters_.end(),
                   [](const auto& a, const auto& b) { return a == b || (a && b && *a == *b); });
    if (!is_same) {
        meters_ = std::move(next);
    }
    return !is_same;
}

bool PipelineBuilder::update_entries(const physical::View& now) {
    std::vector<const KeyMasks*> masks;
    for (const auto& mask : masks_) {
        masks.push_back(mask.get());
    }
    auto next = physical::build_entries(now, *underlay_, masks, &entry_ids_);
    if (entries_ && physical::equal(*entries_, *next)) {
        return false;
    }
    entries_ = std::move(next);
    return true;
}

void PipelineBuilder::build_datapaths() {
    for (auto& [uuid, local] : locals_) {
        if (!local.is_changed) {
            continue;
        }
        auto datapath = std::make_shared<Datapath>();
        datapath->key = local.row->tunnel_key;
        datapath->index = local.index;
        datapath->generation = sequence_;
        datapath->is_switch = local.row->is_switch();
        datapath->uuid = uuid;
        datapath->name = local.row->name();
        datapath->tables = local.compiled->tables;
        datapath->ports = local.ports->by_key;
        datapath->groups = local.groups->by_key;
        datapath->neighbors = local.neighbors;
        if (local.hairpins) {
            datapath->hairpins = {local.hairpins, &local.hairpins->table};
        }
        datapath->dnat_zone = zones_.dnat(uuid);
        datapath->snat_zone = zones_.snat(uuid);
        // A router that names its SNAT zone wants the others to know what it translates there.
        const bool has_named_zone = local.row->external_ids.contains("snat-ct-zone");
        datapath->common_zone = has_named_zone ? datapath->snat_zone : datapath->dnat_zone;
        std::copy(std::begin(local.compiled->reads), std::end(local.compiled->reads),
                  std::begin(datapath->reads));
        datapath->keep = {local.compiled, local.ports, local.groups};
        local.built = std::move(datapath);
        local.is_changed = false;
    }
}

std::unique_ptr<const Pipeline> PipelineBuilder::assemble() {
    auto pipeline = std::make_unique<Pipeline>();
    pipeline->sequence = sequence_;
    pipeline->physical_generation = physical_generation_;
    pipeline->datapaths.resize(index_used_.size());
    std::vector<std::pair<uint32_t, const Datapath*>> by_key;
    for (const auto& [uuid, local] : locals_) {
        pipeline->datapaths[local.index] = local.built.get();
        pipeline->keep.push_back(local.built);
        by_key.emplace_back(local.built->key, local.built.get());
    }
    pipeline->by_key = FlatMap<uint32_t, const Datapath*>(by_key);
    pipeline->entries = entries_->by_port;
    pipeline->keep.push_back(entries_);
    pipeline->ramps = entries_->ramps;
    for (const auto& tunnel : tunnels_.list()) {
        pipeline->tunnels.push_back(tunnel.get());
        pipeline->keep.push_back(tunnel);
        if (tunnel) {
            pipeline->tunnel_room = std::min(pipeline->tunnel_room, tunnel->room);
        }
    }
    pipeline->tunnels_from = FlatMap<uint64_t, uint32_t>(tunnels_.from());
    for (const auto& set : tunnel_sets_.list()) {
        pipeline->tunnel_sets.push_back(set.get());
        pipeline->keep.push_back(set);
    }
    for (const auto& sink : mirrors_.list()) {
        pipeline->mirrors.push_back(sink.get());
        pipeline->keep.push_back(sink);
    }
    pipeline->keep.push_back(mirrors_.sequence());
    for (const auto& mask : masks_) {
        pipeline->keep.push_back(mask);
    }
    pipeline->tunnel_masks = tunnel_masks_.get();
    pipeline->keep.push_back(tunnel_masks_);
    pipeline->pkt_lens = lengths_;
    if (lengths_.size() > limits::kMaxLenClasses) {
        pipeline->too_many_pkt_lens = true;
        pipeline->pkt_lens.resize(limits::kMaxLenClasses);
    }
    pipeline->meters = meters_;
    pipeline->flow_count = flows_.id_limit();
    pipeline->flows = flows_.list();
    return pipeline;
}

}  // namespace sluice
