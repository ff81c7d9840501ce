// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/datapath/world.h"

#include <rte_mempool.h>

#include <algorithm>

#include "lib/program/packet_meta.h"

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
    case Op::kSelect: m->w[kSlotFlowHash] = ~0u; break;
    default: break;
    }
}

constexpr unsigned kReader = 0;

uint16_t sink_tx(void* ctx, rte_mbuf** pkts, uint16_t n) {
    auto* sink = static_cast<std::pair<Lab*, std::vector<Bytes>>*>(ctx);
    if (sink->first->tx_stuck) {
        return 0;
    }
    for (uint16_t i = 0; i < n; ++i) {
        sink->second.push_back(to_bytes(pkts[i]));
        rte_pktmbuf_free(pkts[i]);
    }
    return n;
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
    tunnels.back().id = static_cast<uint32_t>(tunnels.size() - 1);
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
            if (port.reach == Reach::kPatch) {
                todo.push_back(datapaths[port.peer_datapath].get());
            }
        }
    }
    return m;
}

std::unique_ptr<const Pipeline> World::build() {
    auto p = std::make_unique<Pipeline>();
    p->sequence = ++sequence;
    p->physical_generation = std::min(physical_generation, sequence);
    p->legacy_geneve_rx = legacy_geneve_rx;
    p->pkt_lens = pkt_lens;
    p->flow_count = flows;
    const auto keep = [&](auto object) {
        auto* raw = object.get();
        p->keep.push_back(std::move(object));
        return raw;
    };
    const OwnedTable* empty = keep(make_table({}));
    std::vector<std::pair<uint32_t, const Datapath*>> by_key;
    SlotMask all;
    for (size_t i = 0; i < datapaths.size(); ++i) {
        DatapathModel& model = *datapaths[i];
        auto dp = std::make_shared<Datapath>();
        dp->key = model.key;
        dp->index = static_cast<uint32_t>(i);
        dp->generation = model.generation;
        dp->neighbors = std::make_shared<const Neighbors>(model.neighbors);
        for (auto& side : dp->tables) {
            side.fill(&empty->table);
        }
        for (const auto& [where, rows] : model.tables) {
            dp->tables[where.first][where.second] = &keep(make_table(rows))->table;
        }
        std::vector<std::pair<uint32_t, const LogicalPort*>> ports;
        for (const auto& [key, port] : model.ports) {
            ports.emplace_back(key, keep(std::make_shared<LogicalPort>(port)));
        }
        dp->ports = FlatMap<uint32_t, const LogicalPort*>(ports);
        std::vector<std::pair<uint32_t, const Group*>> groups;
        for (const auto& [key, group] : model.groups) {
            groups.emplace_back(key, keep(std::make_shared<Group>(group)));
        }
        dp->groups = FlatMap<uint32_t, const Group*>(groups);
        all |= reads_from(model);
        p->datapaths.push_back(keep(dp));
        by_key.emplace_back(model.key, dp.get());
    }
    p->by_key = FlatMap<uint32_t, const Datapath*>(by_key);
    p->tunnel_mask = keep(std::make_shared<KeyMask>(key_mask_of(all)));
    for (const Tunnel& tunnel : tunnels) {
        p->tunnels.push_back(keep(std::make_shared<Tunnel>(tunnel)));
    }
    std::map<PortId, std::shared_ptr<PortEntry>> ports;
    std::map<std::pair<PortId, uint16_t>, std::vector<const EntryPoint*>*> tagged;
    for (const auto& model : entries) {
        auto& port = ports[model->port];
        port = port ? port : std::make_shared<PortEntry>();
        EntryPoint* e = keep(std::make_shared<EntryPoint>(model->entry));
        e->mask = keep(
            std::make_shared<KeyMask>(key_mask_of(reads_from(*datapaths[model->entry.datapath]))));
        if (model->vid < 0) {
            port->untagged.push_back(e);
        } else {
            auto*& list = tagged[{model->port, static_cast<uint16_t>(model->vid)}];
            list = list ? list : keep(std::make_shared<std::vector<const EntryPoint*>>());
            list->push_back(e);
        }
    }
    for (const auto& [phys, underlay] : underlays) {
        auto& port = ports[phys];
        port = port ? port : std::make_shared<PortEntry>();
        port->underlay = keep(std::make_shared<Underlay>(underlay));
    }
    for (auto& [phys, port] : ports) {
        std::vector<std::pair<uint16_t, const std::vector<const EntryPoint*>*>> lists;
        for (const auto& [where, list] : tagged) {
            if (where.first == phys) {
                lists.emplace_back(where.second, list);
            }
        }
        port->tagged = FlatMap<uint16_t, const std::vector<const EntryPoint*>*>(lists);
        port->untagged_takes_tags = !no_tags.count(phys);
        p->entries.resize(std::max<size_t>(p->entries.size(), phys + 1u));
        p->entries[phys] = keep(port);
    }
    return p;
}

rte_mbuf* to_mbuf(const Bytes& frame) {
    return to_mbuf(frame, {});
}

rte_mbuf* to_mbuf(const Bytes& frame, const std::vector<uint16_t>& lengths) {
    rte_mbuf* head = nullptr;
    size_t at = 0;
    size_t i = 0;
    do {
        rte_mbuf* m = rte_pktmbuf_alloc(test_pool());
        SLUICE_CHECK(m);
        size_t n = frame.size() - at;
        if (i < lengths.size()) {
            n = std::min<size_t>(n, lengths[i]);
        }
        n = std::min<size_t>(n, rte_pktmbuf_tailroom(m));
        if (n) {
            std::memcpy(rte_pktmbuf_append(m, static_cast<uint16_t>(n)), frame.data() + at, n);
        }
        at += n;
        ++i;
        if (!head) {
            head = m;
        } else {
            SLUICE_CHECK(rte_pktmbuf_chain(head, m) == 0);
        }
    } while (at < frame.size());
    return head;
}

Bytes to_bytes(const rte_mbuf* m) {
    Bytes out;
    for (; m; m = m->next) {
        const auto* p = rte_pktmbuf_mtod(m, const uint8_t*);
        out.insert(out.end(), p, p + m->data_len);
    }
    return out;
}

Lab::Lab(uint32_t cache_entries, unsigned n_ports, uint16_t mtu) {
    rte_mempool* pool = test_pool();
    std::vector<PortTable::Entry> table;
    for (unsigned i = 0; i < n_ports; ++i) {
        sent.push_back(std::make_unique<std::pair<Lab*, std::vector<Bytes>>>());
        sent.back()->first = this;
        PortTable::Entry e;
        e.port.id = static_cast<PortId>(i);
        e.port.mtu = mtu;
        e.port.pool = pool;
        e.tx.push_back({sink_tx, sent.back().get()});
        table.push_back(std::move(e));
    }
    ports.swap(std::make_unique<const PortTable>(std::move(table), 1));
    static unsigned next_box = 0;
    mailbox = std::move(Mailbox::create(1000 + next_box++)).value();
    rcu.register_reader(kReader);
    rcu.online(kReader);
    WorkerConfig config;
    config.reader_id = kReader;
    config.rcu = &rcu;
    config.pipeline = &pipeline;
    config.ports = &ports;
    config.mailbox = mailbox.get();
    config.counters = counters.get();
    config.copy_pool = pool;
    config.cache_entries = cache_entries;
    config.hash_seed = 42;
    config.manual_clock = true;
    worker = std::move(Worker::create(config)).value();
}

Lab::~Lab() {
    rcu.offline(kReader);
    worker.reset();
    rcu.synchronize();
}

void Lab::publish(World& world) {
    counters->flows.reserve(world.flows + 1);
    pipeline.swap(world.build());
    rcu.quiescent(kReader);
    rcu.reclaim();
}

void Lab::send(PortId port, const Bytes& frame) {
    send(port, std::vector<Bytes>{frame});
}

void Lab::send(PortId port, const std::vector<Bytes>& frames) {
    std::vector<rte_mbuf*> pkts;
    for (const Bytes& frame : frames) {
        pkts.push_back(to_mbuf(frame));
    }
    worker->process_burst(pkts.data(), static_cast<unsigned>(pkts.size()), port);
}

std::vector<Bytes> Lab::take(PortId port) {
    return std::exchange(sent[port]->second, {});
}

std::map<PortId, std::vector<Bytes>> Lab::take_all() {
    std::map<PortId, std::vector<Bytes>> all;
    for (size_t i = 0; i < sent.size(); ++i) {
        if (!sent[i]->second.empty()) {
            all[static_cast<PortId>(i)] = take(static_cast<PortId>(i));
        }
    }
    return all;
}

std::vector<Bytes> Lab::take_punts() {
    std::vector<Bytes> out;
    rte_mbuf* m;
    while (mailbox->take_punts(&m, 1) == 1) {
        out.push_back(to_bytes(m));
        rte_pktmbuf_free(m);
    }
    return out;
}

uint64_t Lab::flow_packets(uint32_t flow) {
    worker->request_flush();
    worker->run_once();
    uint64_t packets;
    uint64_t bytes;
    counters->flows.read(flow, &packets, &bytes);
    return packets;
}

unsigned Lab::in_use() const {
    return rte_mempool_in_use_count(test_pool());
}

}  // namespace sluice::test
