// SPDX-License-Identifier: Apache-2.0
#include "control/flow_store.h"

#include <algorithm>

namespace sluice {
namespace {

using compile::Flow;

uint16_t place_of(const Flow& flow) {
    return static_cast<uint16_t>(flow.side << 8 | flow.table);
}

bool comes_first(const Flow* a, const Flow* b) {
    return a->priority != b->priority ? a->priority > b->priority : a->uuid < b->uuid;
}

bool contains(const std::vector<Uuid>& list, const Uuid& uuid) {
    return std::find(list.begin(), list.end(), uuid) != list.end();
}

compile::FlowList with(const compile::FlowList& list, const Flow* flow) {
    auto next = std::make_shared<std::vector<const Flow*>>();
    next->reserve((list ? list->size() : 0) + 1);
    if (list) {
        next->assign(list->begin(), list->end());
    }
    next->insert(std::upper_bound(next->begin(), next->end(), flow, comes_first), flow);
    return next;
}

/// Null when nothing is left.
compile::FlowList without(const compile::FlowList& list, const Flow* flow) {
    auto next = std::make_shared<std::vector<const Flow*>>(*list);
    std::erase(*next, flow);
    return next->empty() ? nullptr : next;
}

/// Rows that differ only in which datapaths they serve compile to the same.
bool says_the_same(const sb::LogicalFlow& a, const sb::LogicalFlow& b) {
    return &a == &b ||
           (a.egress == b.egress && a.table == b.table && a.priority == b.priority &&
            *a.match == *b.match && *a.actions == *b.actions &&
            a.by_connection == b.by_connection && a.controller_meter == b.controller_meter);
}

}  // namespace

/// The flow looks at texts of the row that the entry has.
void FlowStore::view_texts(Entry* entry) {
    entry->flow.stage_name = entry->row->stage_name;
    entry->flow.controller_meter = entry->row->controller_meter;
}

std::shared_ptr<FlowStore::Entry> FlowStore::make_entry(
    const std::shared_ptr<const sb::LogicalFlow>& row) {
    auto entry = std::make_shared<Entry>();
    entry->row = row;
    Flow& flow = entry->flow;
    flow.uuid = row->uuid;
    flow.side = row->egress ? kEgress : kIngress;
    flow.table = row->table;
    flow.priority = row->priority;
    flow.match = row->match;
    flow.actions = row->actions;
    view_texts(entry.get());
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
        flow.id = infos_.add();
    } else {
        flow.id = free_.back().id;
        info->base_packets = free_.back().packets;
        info->base_bytes = free_.back().bytes;
        free_.pop_back();
    }
    infos_.set(flow.id, std::move(info));
    return entry;
}

std::shared_ptr<FlowStore::Entry> FlowStore::acquire(const RowPtr& row) {
    std::shared_ptr<Entry>& slot = entries_[row->uuid];
    if (!slot || !says_the_same(*slot->row, *row)) {
        // A row whose contents changed is another flow: who still uses the old object lets it go.
        slot = make_entry(row);
    }
    slot->row = row;
    view_texts(slot.get());
    ++slot->users;
    return slot;
}

void FlowStore::release(const std::shared_ptr<Entry>& entry) {
    if (--entry->users > 0) {
        return;
    }
    retired_.push_back(entry->flow.id);
    released_.push_back(entry);
    infos_.set(entry->flow.id, nullptr);
    const auto it = entries_.find(entry->flow.uuid);
    if (it != entries_.end() && it->second == entry) {
        entries_.erase(it);
    }
}

const FlowStore::RowPtr& FlowStore::wanted(const Uuid& flow, const Uuid& source) const {
    static const RowPtr kNone;
    const auto it = mirror_->flows.rows().find(flow);
    if (it == mirror_->flows.rows().end()) {
        return kNone;
    }
    const sb::LogicalFlow& row = *it->second;
    return row.table < limits::kMaxTables && (row.datapath == source || row.dp_group == source)
               ? it->second
               : kNone;
}

void FlowStore::note_names(const Source* source, const Entry& entry, bool add) {
    const compile::References& refs = compiler_->references(entry.flow);
    const Place place = place_of(entry.flow);
    const std::pair<NameKind, const std::vector<std::string>*> lists[] = {
        {NameKind::kPort, &refs.ports},
        {NameKind::kAddressSet, &refs.address_sets},
        {NameKind::kPortGroup, &refs.port_groups},
        {NameKind::kResident, &refs.resident_ports},
        {NameKind::kTemplateVar, &refs.template_vars}};
    for (const auto& [kind, list] : lists) {
        NameIndex& index = names_[size_t(kind)];
        for (const std::string& name : *list) {
            std::vector<Mention>& mentions = index[name];
            auto at = std::find_if(mentions.begin(), mentions.end(),
                                   [&](const Mention& m) { return m.source == source; });
            at = at == mentions.end() ? mentions.insert(at, Mention{source, {}}) : at;
            auto& places = at->places;
            auto count = std::find_if(places.begin(), places.end(),
                                      [&](const auto& p) { return p.first == place; });
            count = count == places.end() ? places.insert(count, {place, 0}) : count;
            count->second = add ? count->second + 1 : std::max(count->second, 1u) - 1;
            if (count->second == 0) {
                places.erase(count);
            }
            if (places.empty()) {
                mentions.erase(at);
            }
            if (mentions.empty()) {
                index.erase(name);
            }
        }
    }
}

/// A source that comes into use takes all of its flows at once.
void FlowStore::fill(Source* source, const Uuid& uuid) {
    std::map<Place, std::vector<const Flow*>> lists;
    for (const sb::UuidSet* flows : {&mirror_->flows_of(uuid), &mirror_->flows_of_group(uuid)}) {
        if (flows->size() > entries_.size()) {
            entries_.reserve(entries_.size() + flows->size());
        }
        source->flows.reserve(source->flows.size() + flows->size());
        for (const Uuid& flow : *flows) {
            const RowPtr& row = wanted(flow, uuid);
            if (!row || source->flows.contains(flow)) {
                continue;
            }
            const auto entry = acquire(row);
            source->flows.emplace(flow, entry);
            lists[place_of(entry->flow)].push_back(&entry->flow);
            note_names(source, *entry, true);
        }
    }
    for (auto& [place, list] : lists) {
        std::sort(list.begin(), list.end(), comes_first);
        source->lists[place] = std::make_shared<const std::vector<const Flow*>>(std::move(list));
    }
}

void FlowStore::join(const Uuid& datapath, const Uuid& uuid, TableBits* dirty) {
    Source& source = sources_[uuid];
    if (source.users.empty()) {
        fill(&source, uuid);
    }
    source.users.push_back(datapath);
    datapaths_[datapath].push_back(uuid);
    for (const auto& [place, list] : source.lists) {
        dirty->set(place >> 8, place & 0xff);
    }
}

void FlowStore::leave(const Uuid& datapath, const Uuid& uuid, TableBits* dirty) {
    const auto it = sources_.find(uuid);
    if (it == sources_.end()) {
        return;
    }
    Source& source = it->second;
    for (const auto& [place, list] : source.lists) {
        dirty->set(place >> 8, place & 0xff);
    }
    std::erase(source.users, datapath);
    std::erase(datapaths_[datapath], uuid);
    if (source.users.empty()) {
        for (const auto& [flow, entry] : source.flows) {
            note_names(&source, *entry, false);
            release(entry);
        }
        sources_.erase(it);
    }
    if (sources_.empty()) {
        names_ = {};  // whoever parsed what was counted, nothing is mentioned now
    }
}

void FlowStore::add_datapath(const Uuid& datapath) {
    if (datapaths_.contains(datapath)) {
        return;
    }
    TableBits ignored;
    join(datapath, datapath, &ignored);
    for (const Uuid& group : mirror_->groups_with(datapath)) {
        join(datapath, group, &ignored);
    }
}

void FlowStore::remove_datapath(const Uuid& datapath) {
    const auto it = datapaths_.find(datapath);
    if (it == datapaths_.end()) {
        return;
    }
    TableBits ignored;
    const std::vector<Uuid> sources = it->second;
    for (const Uuid& source : sources) {
        leave(datapath, source, &ignored);
    }
    datapaths_.erase(datapath);
}

/// Brings what the source has of these flows to what the database says.
void FlowStore::sync(Source* source, const Uuid& uuid, const sb::UuidSet& flows, TableBits* dirty) {
    for (const Uuid& flow : flows) {
        const RowPtr& row = wanted(flow, uuid);
        const auto had = source->flows.find(flow);
        if (had != source->flows.end() && row && says_the_same(*had->second->row, *row)) {
            had->second->row = row;
            view_texts(had->second.get());
            continue;
        }
        if (had != source->flows.end()) {
            const std::shared_ptr<Entry> entry = had->second;
            const Place place = place_of(entry->flow);
            compile::FlowList& list = source->lists[place];
            list = without(list, &entry->flow);
            if (!list) {
                source->lists.erase(place);
            }
            source->flows.erase(had);
            note_names(source, *entry, false);
            dirty->set(entry->flow.side, entry->flow.table);
            release(entry);
        }
        if (row) {
            const auto entry = acquire(row);
            source->flows.emplace(flow, entry);
            compile::FlowList& list = source->lists[place_of(entry->flow)];
            list = with(list, &entry->flow);
            note_names(source, *entry, true);
            dirty->set(entry->flow.side, entry->flow.table);
        }
    }
}

/// Datapaths that came into a group or left it.
void FlowStore::update_groups(std::unordered_map<Uuid, TableBits>* dirty) {
    for (const auto& [group, change] : mirror_->dp_groups.changes()) {
        for (const auto* row : {change.before.get(), change.after.get()}) {
            for (const Uuid& datapath : row ? row->datapaths : std::vector<Uuid>()) {
                const auto it = datapaths_.find(datapath);
                if (it == datapaths_.end()) {
                    continue;
                }
                const bool was_in = contains(it->second, group);
                const bool is_in = mirror_->groups_with(datapath).contains(group);
                TableBits bits;
                if (is_in && !was_in) {
                    join(datapath, group, &bits);
                } else if (was_in && !is_in) {
                    leave(datapath, group, &bits);
                }
                if (bits.any()) {
                    (*dirty)[datapath] |= bits;
                }
            }
        }
    }
}

std::unordered_map<Uuid, TableBits> FlowStore::update() {
    released_.clear();
    std::unordered_map<Uuid, TableBits> dirty;
    update_groups(&dirty);
    std::unordered_map<Uuid, sb::UuidSet> touched;
    for (const auto& [uuid, change] : mirror_->flows.changes()) {
        for (const auto* row : {change.before.get(), change.after.get()}) {
            for (const Uuid& source :
                 row ? std::array{row->datapath, row->dp_group} : std::array<Uuid, 2>()) {
                if (sources_.contains(source)) {
                    touched[source].insert(uuid);
                }
            }
        }
    }
    for (const auto& [uuid, flows] : touched) {
        Source& source = sources_.at(uuid);
        TableBits bits;
        sync(&source, uuid, flows, &bits);
        if (bits.any()) {
            for (const Uuid& datapath : source.users) {
                dirty[datapath] |= bits;
            }
        }
    }
    return dirty;
}

compile::FlowList FlowStore::flows_of(const Uuid& datapath, unsigned side, unsigned table) const {
    const auto it = datapaths_.find(datapath);
    if (it == datapaths_.end()) {
        return nullptr;
    }
    const auto place = static_cast<Place>(side << 8 | table);
    std::vector<compile::FlowList> parts;
    for (const Uuid& uuid : it->second) {
        const auto& lists = sources_.at(uuid).lists;
        if (const auto list = lists.find(place); list != lists.end()) {
            parts.push_back(list->second);
        }
    }
    if (parts.size() < 2) {
        return parts.empty() ? nullptr : parts.front();
    }
    std::vector<const void*> key;
    key.reserve(parts.size());
    for (const compile::FlowList& part : parts) {
        key.push_back(part.get());
    }
    std::sort(key.begin(), key.end());
    std::weak_ptr<const Merged>& known = merged_[key];
    std::shared_ptr<const Merged> merged = known.lock();
    if (!merged) {
        auto fresh = std::make_shared<Merged>();
        for (const compile::FlowList& part : parts) {
            const auto middle = static_cast<ptrdiff_t>(fresh->flows.size());
            fresh->flows.insert(fresh->flows.end(), part->begin(), part->end());
            std::inplace_merge(fresh->flows.begin(), fresh->flows.begin() + middle,
                               fresh->flows.end(), comes_first);
        }
        // A row may name both the datapath and a group that it is in.
        auto& all = fresh->flows;
        all.erase(std::unique(all.begin(), all.end()), all.end());
        fresh->parts = std::move(parts);
        merged = std::move(fresh);
        known = merged;
        if (merged_.size() >= sweep_merged_at_) {
            std::erase_if(merged_, [](const auto& item) { return item.second.expired(); });
            sweep_merged_at_ = std::max<size_t>(2 * merged_.size(), 1024);
        }
    }
    return {merged, &merged->flows};
}

std::vector<const Flow*> FlowStore::flows_of(const Uuid& datapath) const {
    std::vector<const Flow*> all;
    for (unsigned side = 0; side < 2; ++side) {
        for (unsigned table = 0; table < limits::kMaxTables; ++table) {
            if (const compile::FlowList list = flows_of(datapath, side, table)) {
                all.insert(all.end(), list->begin(), list->end());
            }
        }
    }
    return all;
}

TableBits FlowStore::mentions(const Uuid& datapath, NameKind kind, const std::string& name) const {
    TableBits bits;
    const NameIndex& index = names_[static_cast<size_t>(kind)];
    const auto entry = index.find(name);
    if (entry != index.end()) {
        for (const Mention& mention : entry->second) {
            if (contains(mention.source->users, datapath)) {
                for (const auto& [place, count] : mention.places) {
                    bits.set(place >> 8, place & 0xff);
                }
            }
        }
    }
    return bits;
}

void FlowStore::for_each_mention(
    NameKind kind, const std::string& name,
    const std::function<void(const Uuid&, const TableBits&)>& f) const {
    const NameIndex& index = names_[static_cast<size_t>(kind)];
    const auto entry = index.find(name);
    if (entry == index.end()) {
        return;
    }
    for (const Mention& mention : entry->second) {
        TableBits bits;
        for (const auto& [place, count] : mention.places) {
            bits.set(place >> 8, place & 0xff);
        }
        for (const Uuid& datapath : mention.source->users) {
            f(datapath, bits);
        }
    }
}

FlowInfos FlowStore::list() {
    return infos_.list();
}

std::vector<uint32_t> FlowStore::take_retired() {
    return std::exchange(retired_, {});
}

void FlowStore::recycle(uint32_t id, uint64_t packets, uint64_t bytes) {
    free_.push_back({id, packets, bytes});
}

}  // namespace sluice
