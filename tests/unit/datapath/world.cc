// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/datapath/world.h"

#include <algorithm>
#include <functional>

namespace sluice::test {
namespace {

/// Everything one Table points to.
struct OwnedTable {
    Table table;
    Segment segment{};
    std::vector<Candidate> candidates;
    std::vector<Rule> rules;
    std::vector<Row> rows;
};

std::shared_ptr<OwnedTable> make_table(const std::vector<Row>& rows) {
    auto t = std::make_shared<OwnedTable>();
    t->rows = rows;
    t->rules.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
        const Row& row = t->rows[i];
        t->rules[i] = {row.code.data(), static_cast<uint32_t>(row.code.size()), row.flow};
        t->candidates.push_back({&t->rules[i], row.tests.data(),
                                 static_cast<uint32_t>(row.tests.size()),
                                 static_cast<uint32_t>(i)});
    }
    t->segment.form = Form::kLinear;
    t->segment.rows = static_cast<uint32_t>(rows.size());
    t->segment.linear.rows = {t->candidates.data(), static_cast<uint32_t>(rows.size()), 0};
    t->table.segments = &t->segment;
    t->table.n_segments = 1;
    t->table.n_rows = t->segment.rows;
    return t;
}

uint32_t bits(uint32_t width) {
    return width >= 32 ? ~0u : (1u << width) - 1;
}

void read_range(SlotMask* m, unsigned slot, unsigned n) {
    for (unsigned i = 0; i < n; ++i) {
        m->w[slot + i] = ~0u;
    }
}

void read_operands(SlotMask* m, const Instr& i) {
    switch (i.op) {
    case Op::kMove:
    case Op::kPush: m->w[i.b] |= bits(i.e) << i.d; break;
    case Op::kExchange:
        m->w[i.b] |= bits(i.e) << i.d;
        m->w[i.a] |= bits(i.e) << i.c;
        break;
    case Op::kDecTtl: m->w[kSlotIpTtl] |= 0xff; break;
    case Op::kGetArp:
    case Op::kLookupArp:
    case Op::kLookupArpIp:
    case Op::kPutArp:
        m->w[i.a] = m->w[i.b] = ~0u;
        if (i.op == Op::kLookupArp || i.op == Op::kPutArp) {
            read_range(m, i.c, 2);
        }
        break;
    case Op::kGetNd:
    case Op::kLookupNd:
    case Op::kLookupNdIp:
    case Op::kPutNd:
        m->w[i.a] = ~0u;
        read_range(m, i.b, 4);
        if (i.op == Op::kLookupNd || i.op == Op::kPutNd) {
            read_range(m, i.c, 2);
        }
        break;
    case Op::kGetFdb:
    case Op::kLookupFdb:
    case Op::kPutFdb:
        m->w[i.a] = ~0u;
        read_range(m, i.b, 2);
        break;
    case Op::kCheckInPortSec:
    case Op::kCheckOutPortSec: read_range(m, kSlotEthSrc, kSlotPktLen - kSlotEthSrc); break;
    case Op::kCheckPktLarger: m->w[kSlotPktLen] = ~0u; break;
    case Op::kSelect:
        if (i.d) {
            read_range(m, kSlotEthSrc, kSlotTcpFlags - kSlotEthSrc);
            break;
        }
        [[fallthrough]];
    case Op::kFwdGroup: m->w[kSlotFlowHash] = ~0u; break;
    case Op::kMacCacheUse:
    case Op::kGetRemoteFdb:
    case Op::kChkEvpnArp: read_range(m, kSlotEthSrc, kSlotPktLen - kSlotEthSrc); break;
    case Op::kCtNext:
    case Op::kCtCommit:
    case Op::kCtLb:
    case Op::kCtSnatToVip:
    case Op::kChkLbHairpin:
    case Op::kChkLbHairpinReply:
        read_range(m, kSlotIp4Src, 1);
        read_range(m, kSlotIp4Dst, 1);
        read_range(m, kSlotIp6Src, 8);
        m->w[kSlotIpProto] |= 0xff;
        m->w[kSlotIpFrag] |= 3;
        m->w[kSlotL4Src] |= 0xffff;
        m->w[kSlotL4Dst] |= 0xffff;
        m->w[kSlotFlowHash] = ~0u;
        m->w[kSlotUses] |= uses::kConntrack;
        break;
    default: break;
    }
}

}  // namespace

std::vector<Instr> load_mac(unsigned slot, uint64_t mac) {
    return {load(slot, static_cast<uint32_t>(mac >> 32), 0xffff),
            load(slot + 1, static_cast<uint32_t>(mac))};
}

SlotMask reads_of(const Row& row) {
    SlotMask m;
    for (const Test& t : row.tests) {
        m.w[t.slot] |= t.mask;
    }
    for (const Instr& i : row.code) {
        read_operands(&m, i);
    }
    return m;
}

DatapathModel& World::datapath(uint32_t key) {
    auto dp = std::make_unique<DatapathModel>();
    dp->key = key;
    dp->generation = sequence + 1;
    datapaths.push_back(std::move(dp));
    return *datapaths.back();
}

LogicalPort& World::port(DatapathModel& dp, uint32_t key, Reach reach) {
    LogicalPort& p = dp.ports[key];
    p = LogicalPort{};
    p.key = key;
    p.reach = reach;
    return p;
}

LogicalPort& World::vif(DatapathModel& dp, uint32_t key, PortId phys, uint16_t vlan) {
    LogicalPort& p = port(dp, key, Reach::kVif);
    p.port = phys;
    p.vlan_tci = vlan ? static_cast<uint16_t>(0x1000 | vlan) : uint16_t{0};
    return p;
}

void World::patch(DatapathModel& a, uint32_t a_key, DatapathModel& b, uint32_t b_key) {
    const auto index = [&](const DatapathModel& dp) {
        return static_cast<uint32_t>(std::find_if(datapaths.begin(), datapaths.end(),
                                                  [&](const auto& d) { return d.get() == &dp; }) -
                                     datapaths.begin());
    };
    LogicalPort& pa = port(a, a_key, Reach::kPatch);
    pa.peer_datapath = index(b);
    pa.peer_key = b_key;
    LogicalPort& pb = port(b, b_key, Reach::kPatch);
    pb.peer_datapath = index(a);
    pb.peer_key = a_key;
}

EntryModel& World::entry(PortId phys, DatapathModel& dp, uint32_t inport, int vid) {
    auto e = std::make_unique<EntryModel>();
    e->port = phys;
    e->vid = vid;
    e->entry.id = static_cast<uint32_t>(entries.size());
    e->entry.inport = inport;
    e->entry.strip_vlan = vid >= 0;
    for (size_t i = 0; i < datapaths.size(); ++i) {
        if (datapaths[i].get() == &dp) {
            e->entry.datapath = static_cast<uint32_t>(i);
        }
    }
    entries.push_back(std::move(e));
    return *entries.back();
}

uint32_t World::rule(DatapathModel& dp, unsigned side, unsigned table, std::vector<Test> tests,
                     std::vector<Instr> code) {
    dp.tables[{side, table}].push_back({std::move(tests), std::move(code), flows});
    return flows++;
}

void World::l2_switch(DatapathModel& dp, const std::map<uint32_t, uint64_t>& macs) {
    for (const auto& [key, mac] : macs) {
        rule(dp, kIngress, 0,
             {eq(kSlotEthDst, static_cast<uint32_t>(mac >> 32)),
              eq(kSlotEthDst + 1, static_cast<uint32_t>(mac))},
             {load(kSlotOutport, key), output()});
    }
    rule(dp, kEgress, 0, {}, {output()});
}

uint32_t World::tunnel(const Tunnel& t) {
    tunnels.push_back(t);
    Tunnel& tunnel = tunnels.back();
    tunnel.id = static_cast<uint32_t>(tunnels.size() - 1);
    if (tunnel.room == 0) {
        const unsigned overhead = tunnel.header_len - 14u;
        tunnel.room = tunnel.mtu ? tunnel.mtu - overhead : ~0u;
    }
    return tunnels.back().id;
}

SlotMask World::reads_from(const DatapathModel& start) const {
    std::set<const DatapathModel*> seen;
    std::vector<const DatapathModel*> todo{&start};
    SlotMask m;
    while (!todo.empty()) {
        const DatapathModel* dp = todo.back();
        todo.pop_back();
        if (!seen.insert(dp).second) {
            continue;
        }
        for (const auto& [where, rows] : dp->tables) {
            for (const Row& row : rows) {
                m |= reads_of(row);
            }
        }
        for (const auto& [key, port] : dp->ports) {
            if (port.special && port.special->chassis_mac != 0) {
                m.w[kSlotEthSrc] = 0xffff;
                m.w[kSlotEthSrc + 1] = ~0u;
            }
            if (port.reach == Reach::kPatch) {
                todo.push_back(datapaths[port.peer_datapath].get());
            }
        }
    }
    return m;
}

namespace {

/// Builds one Pipeline of a World; what it makes is kept by the Pipeline.
class Builder {
public:
    Builder(const World& world, Pipeline* p) : world_(world), p_(p) {}

    template <typename T>
    auto* keep(std::shared_ptr<T> object) {
        T* raw = object.get();
        p_->keep.push_back(std::move(object));
        return raw;
    }
    template <typename T>
    T* copy(const T& object) {
        return keep(std::make_shared<T>(object));
    }

    const Datapath* datapath(const DatapathModel& model, uint32_t index) {
        Datapath* dp = keep(std::make_shared<Datapath>());
        dp->key = model.key;
        dp->index = index;
        dp->generation = model.generation;
        dp->neighbors = std::make_shared<const Neighbors>(model.neighbors);
        dp->dnat_zone = model.dnat_zone;
        dp->snat_zone = model.snat_zone;
        dp->common_zone = model.common_zone;
        dp->hairpins = model.hairpins;
        dp->is_switch = model.is_switch;
        dp->evpn = model.evpn;
        const Table* empty = &keep(make_table({}))->table;
        for (auto& side : dp->tables) {
            side.fill(empty);
        }
        for (const auto& [where, rows] : model.tables) {
            dp->tables[where.first][where.second] = &keep(make_table(rows))->table;
        }
        dp->ports = map_of<const LogicalPort*>(model.ports);
        dp->groups = map_of<const Group*>(model.groups);
        return dp;
    }

    void entries(const std::function<SlotMask(const DatapathModel&)>& reads) {
        std::map<std::pair<PortId, uint16_t>, std::vector<const EntryPoint*>*> tagged;
        for (const auto& model : world_.entries) {
            EntryPoint* e = copy(model->entry);
            ClassReads all;
            all.fill(reads(*world_.datapaths[model->entry.datapath]));
            e->masks = copy(key_masks_of(all));
            if (model->vid < 0) {
                port(model->port)->untagged.push_back(e);
                continue;
            }
            auto*& list = tagged[{model->port, static_cast<uint16_t>(model->vid)}];
            list = list ? list : keep(std::make_shared<std::vector<const EntryPoint*>>());
            list->push_back(e);
            port(model->port);
        }
        for (const auto& [phys, underlay] : world_.underlays) {
            port(phys)->underlay = copy(underlay);
        }
        for (const auto& [leg, phys] : world_.forwards) {
            port(leg)->forward_to = phys;
        }
        for (auto& [phys, entry] : ports_) {
            std::vector<std::pair<uint16_t, const std::vector<const EntryPoint*>*>> lists;
            for (const auto& [where, list] : tagged) {
                if (where.first == phys) {
                    lists.emplace_back(where.second, list);
                }
            }
            entry->tagged = FlatMap<uint16_t, const std::vector<const EntryPoint*>*>(lists);
            entry->untagged_takes_tags = !world_.no_tags.count(phys);
            p_->entries.resize(std::max<size_t>(p_->entries.size(), phys + 1u));
            p_->entries[phys] = entry;
        }
    }

    template <typename F>
    void ramps(F&& reads) {
        std::map<uint32_t, std::vector<RampEntry>> lists;
        for (const RampModel& ramp : world_.ramps) {
            auto* point = keep(std::make_shared<EntryPoint>(ramp.entry));
            ClassReads every;
            every.fill(reads(*world_.datapaths[point->datapath]));
            point->masks = copy(key_masks_of(every));
            lists[ramp.vni].push_back({ramp.remote, point});
        }
        std::vector<std::pair<uint32_t, const std::vector<RampEntry>*>> items;
        for (const auto& [vni, list] : lists) {
            items.emplace_back(vni, copy(list));
        }
        p_->ramps = FlatMap<uint32_t, const std::vector<RampEntry>*>(items);
    }

private:
    template <typename Value, typename Model>
    FlatMap<uint32_t, Value> map_of(const std::map<uint32_t, Model>& models) {
        std::vector<std::pair<uint32_t, Value>> list;
        for (const auto& [key, model] : models) {
            list.emplace_back(key, copy(model));
        }
        return FlatMap<uint32_t, Value>(list);
    }
    PortEntry* port(PortId id) {
        PortEntry*& entry = ports_[id];
        entry = entry ? entry : keep(std::make_shared<PortEntry>());
        return entry;
    }

    const World& world_;
    Pipeline* p_;
    std::map<PortId, PortEntry*> ports_;
};

}  // namespace

std::unique_ptr<const Pipeline> World::build() {
    auto p = std::make_unique<Pipeline>();
    p->sequence = ++sequence;
    p->physical_generation = std::min(physical_generation, sequence);
    p->legacy_geneve_rx = legacy_geneve_rx;
    p->pkt_lens = pkt_lens;
    p->meters = meters;
    for (const auto& set : tunnel_sets) {
        p->tunnel_sets.push_back(set.get());
        p->keep.push_back(set);
    }
    for (const auto& sink : mirrors) {
        p->mirrors.push_back(sink.get());
        p->keep.push_back(sink);
    }
    p->flow_count = flows;
    Builder builder(*this, p.get());
    std::vector<std::pair<uint32_t, const Datapath*>> by_key;
    SlotMask all;
    for (size_t i = 0; i < datapaths.size(); ++i) {
        p->datapaths.push_back(builder.datapath(*datapaths[i], static_cast<uint32_t>(i)));
        by_key.emplace_back(datapaths[i]->key, p->datapaths.back());
        all |= reads_from(*datapaths[i]);
    }
    p->by_key = FlatMap<uint32_t, const Datapath*>(by_key);
    ClassReads every;
    every.fill(all);
    p->tunnel_masks = builder.copy(key_masks_of(every));
    for (const Tunnel& tunnel : tunnels) {
        p->tunnels.push_back(builder.copy(tunnel));
        p->tunnel_room = std::min(p->tunnel_room, tunnel.room);
    }
    p->tunnels_from = FlatMap<uint64_t, uint32_t>(tunnels_from);
    builder.ramps([&](const DatapathModel& dp) { return reads_from(dp); });
    builder.entries([&](const DatapathModel& dp) { return reads_from(dp); });
    return p;
}

}  // namespace sluice::test
