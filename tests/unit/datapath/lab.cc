// SPDX-License-Identifier: Apache-2.0
#include <rte_cycles.h>
#include <rte_mempool.h>

#include <algorithm>

#include "lib/program/packet_meta.h"
#include "tests/unit/datapath/world.h"

namespace sluice::test {
namespace {

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
    config.capture = &capture;
    config.mailbox = mailbox.get();
    config.counters = counters.get();
    config.copy_pool = pool;
    config.cache_entries = cache_entries;
    config.hash_seed = 42;
    config.manual_clock = true;
    ConntrackConfig connections;
    connections.max_connections = 4096;
    connections.max_fragments_kb = 1024;
    connections.seed = 42;
    connections.min_fragment_ip4 = 0;
    connections.min_fragment_ip6 = 0;
    conntrack = std::move(Conntrack::create(connections)).value();
    config.conntrack = conntrack.get();
    worker = std::move(Worker::create(config)).value();
    wait_ms(0);
}

Lab::~Lab() {
    rcu.offline(kReader);
    worker.reset();
    conntrack.reset();
    rcu.synchronize();
}

void Lab::wait_ms(uint64_t ms) {
    now_ms += ms;
    worker->set_time(now_ms * (rte_get_tsc_hz() / 1000));
    worker->run_once();
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
