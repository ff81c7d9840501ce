// SPDX-License-Identifier: Apache-2.0
#include "control/flow_store.h"

#include <algorithm>
#include <tuple>

namespace sluice {
namespace {

template <typename Index>
void note(Index* index, const std::vector<std::string>& names, unsigned side, unsigned table) {
    for (const std::string& name : names) {
        (*index)[name].set(side, table);
    }
}

bool contains(const std::vector<Uuid>& list, const Uuid& uuid) {
    return std::find(list.begin(), list.end(), uuid) != list.end();
}

/// Rows that differ only in which datapaths they serve compile to the same.
bool says_the_same(const sb::LogicalFlow& a, const sb::LogicalFlow& b) {
    return &a == &b ||
           (a.egress == b.egress && a.table == b.table && a.priority == b.priority &&
            *a.match == *b.match && *a.actions == *b.actions &&
            a.by_connection == b.by_connection && a.controller_meter == b.controller_meter);
}

}  // namespace

std::shared_ptr<FlowStore::Entry> FlowStore::make_entry(
    const std::shared_ptr<const sb::LogicalFlow>& row) {
    auto entry = std::make_shared<Entry>();
    entry->row = row;
    compile::Flow& flow = entry->flow;
    flow.uuid = row->uuid;
    flow.side = row->egress ? kEgress : kIngress;
    flow.table = row->table;
    flow.priority = row->priority;
    flow.match = row->match;
    flow.actions = row->actions;
    flow.stage_name = row->stage_name;
    flow.controller_meter = row->controller_meter;
    flow.by_connection = row->by_connection;
    auto info = std::make_shared<FlowInfo>();
    info->uuid = row->uuid;
    info->stage_name = row->stage_name;
    info->side = flow.side;
    info->table = row->table;
    info->priority = row->priority;
    info->match = row->match;
    info->actions = row->actions;
    if (free_.empty()) {
        flow.id = static_cast<uint32_t>(infos_.size());
        infos_.push_back(nullptr);
    } else {
        flow.id = free_.back().id;
        info->base_packets = free_.back().packets;
        info->base_bytes = free_.back().bytes;
        free_.pop_back();
    }
    set_info(flow.id, std::move(info));
    entry->references = compiler_->references(flow);
    return entry;
}

void FlowStore::set_info(uint32_t id, std::shared_ptr<const FlowInfo> info) {
    infos_[id] = std::move(info);
    published_.reset();
}

std::shared_ptr<FlowStore::Entry> FlowStore::acquire(const Uuid& flow) {
    const auto& row = mirror_->flows.rows().at(flow);
    std::shared_ptr<Entry>& slot = entries_[flow];
    if (!slot || !says_the_same(*slot->row, *row)) {
        // A row whose contents changed is another flow: who still uses the old object lets it go.
        slot = make_entry(row);
    }
    slot->row = row;
    ++slot->users;
    return slot;
}

void FlowStore::release(const std::shared_ptr<Entry>& entry) {
    if (--entry->users > 0) {
        return;
    }
    retired_.push_back(entry->flow.id);
    set_info(entry->flow.id, nullptr);
    const auto it = entries_.find(entry->flow.uuid);
    if (it != entries_.end() && it->second == entry) {
        entries_.erase(it);
    }
}

bool FlowStore::belongs(const sb::LogicalFlow& row, const Uuid& datapath) const {
    if (row.table >= limits::kMaxTables) {
        return false;
    }
    if (row.datapath == datapath) {
        return true;
    }
    const sb::DpGroup* group = mirror_->dp_groups.find(row.dp_group);
    return group && contains(group->datapaths, datapath);
}

void FlowStore::add(PerDatapath* datapath, const Uuid& flow, TableBits* dirty) {
    const auto entry = acquire(flow);
    datapath->flows[flow] = entry;
    const unsigned side = entry->flow.side;
    const unsigned table = entry->flow.table;
    dirty->set(side, table);
    const compile::References& refs = entry->references;
    note(&datapath->names[size_t(NameKind::kPort)], refs.ports, side, table);
    note(&datapath->names[size_t(NameKind::kAddressSet)], refs.address_sets, side, table);
    note(&datapath->names[size_t(NameKind::kPortGroup)], refs.port_groups, side, table);
    note(&datapath->names[size_t(NameKind::kResident)], refs.resident_ports, side, table);
    note(&datapath->names[size_t(NameKind::kTemplateVar)], refs.template_vars, side, table);
}

void FlowStore::remove(PerDatapath* datapath, const Uuid& flow, TableBits* dirty) {
    const auto it = datapath->flows.find(flow);
    if (it == datapath->flows.end()) {
        return;
    }
    dirty->set(it->second->flow.side, it->second->flow.table);
    release(it->second);
    datapath->flows.erase(it);
}

void FlowStore::add_datapath(const Uuid& datapath) {
    PerDatapath& slot = datapaths_[datapath];
    TableBits ignored;
    const auto add_all = [&](const sb::UuidSet& flows) {
        for (const Uuid& flow : flows) {
            if (!slot.flows.contains(flow) && belongs(*mirror_->flows.find(flow), datapath)) {
                add(&slot, flow, &ignored);
            }
        }
    };
    add_all(mirror_->flows_of(datapath));
    for (const Uuid& group : mirror_->groups_with(datapath)) {
        add_all(mirror_->flows_of_group(group));
    }
}

void FlowStore::remove_datapath(const Uuid& datapath) {
    const auto it = datapaths_.find(datapath);
    if (it == datapaths_.end()) {
        return;
    }
    for (const auto& [uuid, entry] : it->second.flows) {
        release(entry);
    }
    datapaths_.erase(it);
}

void FlowStore::touch_row(const sb::LogicalFlow* row,
                          std::unordered_map<Uuid, sb::UuidSet>* touched) const {
    if (!row) {
        return;
    }
    const auto touch = [&](const Uuid& datapath) {
        if (datapaths_.contains(datapath)) {
            (*touched)[datapath].insert(row->uuid);
        }
    };
    touch(row->datapath);
    if (row->dp_group.is_zero()) {
        return;
    }
    const auto touch_members = [&](const sb::DpGroup* group) {
        for (const Uuid& datapath : group ? group->datapaths : std::vector<Uuid>()) {
            touch(datapath);
        }
    };
    touch_members(mirror_->dp_groups.find(row->dp_group));
    const auto change = mirror_->dp_groups.changes().find(row->dp_group);
    if (change != mirror_->dp_groups.changes().end()) {
        touch_members(change->second.before.get());
    }
}

std::unordered_map<Uuid, TableBits> FlowStore::update() {
    std::unordered_map<Uuid, sb::UuidSet> touched;
    for (const auto& [uuid, change] : mirror_->flows.changes()) {
        touch_row(change.before.get(), &touched);
        touch_row(change.after.get(), &touched);
    }
    for (const auto& [uuid, change] : mirror_->dp_groups.changes()) {
        for (const auto* row : {change.before.get(), change.after.get()}) {
            for (const Uuid& datapath : row ? row->datapaths : std::vector<Uuid>()) {
                const auto* other =
                    row == change.before.get() ? change.after.get() : change.before.get();
                if (datapaths_.contains(datapath) &&
                    !(other && contains(other->datapaths, datapath))) {
                    const sb::UuidSet& flows = mirror_->flows_of_group(uuid);
                    touched[datapath].insert(flows.begin(), flows.end());
                }
            }
        }
    }
    std::unordered_map<Uuid, TableBits> dirty;
    for (const auto& [datapath, flows] : touched) {
        PerDatapath& slot = datapaths_[datapath];
        TableBits bits;
        for (const Uuid& flow : flows) {
            const auto row = mirror_->flows.rows().find(flow);
            const bool wanted =
                row != mirror_->flows.rows().end() && belongs(*row->second, datapath);
            const auto had = slot.flows.find(flow);
            if (had != slot.flows.end() && wanted &&
                says_the_same(*had->second->row, *row->second)) {
                had->second->row = row->second;
                continue;
            }
            remove(&slot, flow, &bits);
            if (wanted) {
                add(&slot, flow, &bits);
            }
        }
        if (bits.any()) {
            dirty[datapath] = bits;
        }
    }
    return dirty;
}

std::vector<const compile::Flow*> FlowStore::flows_of(const Uuid& datapath) const {
    std::vector<const compile::Flow*> list;
    const auto it = datapaths_.find(datapath);
    if (it == datapaths_.end()) {
        return list;
    }
    list.reserve(it->second.flows.size());
    for (const auto& [uuid, entry] : it->second.flows) {
        list.push_back(&entry->flow);
    }
    std::sort(list.begin(), list.end(), [](const compile::Flow* a, const compile::Flow* b) {
        return std::tuple(a->side, a->table, 65535 - a->priority, a->uuid) <
               std::tuple(b->side, b->table, 65535 - b->priority, b->uuid);
    });
    return list;
}

TableBits FlowStore::mentions(const Uuid& datapath, NameKind kind, const std::string& name) const {
    const auto it = datapaths_.find(datapath);
    if (it == datapaths_.end()) {
        return {};
    }
    const auto& index = it->second.names[static_cast<size_t>(kind)];
    const auto entry = index.find(name);
    return entry == index.end() ? TableBits{} : entry->second;
}

FlowStore::FlowList FlowStore::list() {
    if (!published_) {
        published_ = std::make_shared<const std::vector<std::shared_ptr<const FlowInfo>>>(infos_);
    }
    return published_;
}

std::vector<uint32_t> FlowStore::take_retired() {
    return std::exchange(retired_, {});
}

void FlowStore::recycle(uint32_t id, uint64_t packets, uint64_t bytes) {
    free_.push_back({id, packets, bytes});
}

}  // namespace sluice
