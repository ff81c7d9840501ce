// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_rig.h"

#include <pcap/pcap.h>
#include <pthread.h>
#include <rte_mbuf.h>
#include <sched.h>

#include <boost/program_options.hpp>

namespace sluice {

namespace po = boost::program_options;

po::options_description BenchRigOptions::describe() {
    po::options_description all = chassis.describe();
    po::options_description own("Packets and resources");
    own.add_options()("in", po::value(&in)->composing()->required()->value_name("PORT=FILE"),
                      "packets that are measured")(
        "answers", po::value(&answers)->composing()->value_name("PORT=FILE"),
        "packets that make their connections established")(
        "core", po::value(&core)->value_name("N"), "core of the worker (default 1)")(
        "memory-mb", po::value(&memory_mb)->value_name("MB"), "DPDK memory (default 1024)")(
        "huge", po::bool_switch(&huge), "use hugepages")(
        "cache-entries", po::value(&cache_entries)->value_name("N"), "flow cache (262144)")(
        "connections", po::value(&connections)->value_name("N"), "connection table (1048576)")(
        "scenario", po::value(&scenario)->value_name("NAME"), "name in the lines printed")(
        "help,h", "this text");
    return all.add(own);
}

namespace {

constexpr unsigned kMbufs = 16383;

Result<Frames> read_pcap(const std::string& path) {
    char error[PCAP_ERRBUF_SIZE] = "";
    pcap_t* file = pcap_open_offline(path.c_str(), error);
    if (!file) {
        return Error{path + ": " + error};
    }
    Frames frames;
    pcap_pkthdr* header;
    const u_char* bytes;
    while (pcap_next_ex(file, &header, &bytes) == 1) {
        frames.emplace_back(bytes, bytes + header->caplen);
    }
    pcap_close(file);
    if (frames.empty()) {
        return Error{path + ": no packets"};
    }
    return frames;
}

}  // namespace

BenchRig::BenchRig(std::unique_ptr<OfflineHost> host)
    : host_(std::move(host)),
      published_(rcu_),
      ports_(rcu_),
      counters_(std::make_unique<WorkerCounters>()) {}

Result<void> BenchRig::read(const std::vector<std::string>& texts,
                            std::vector<Traffic>* out) const {
    for (const std::string& text : texts) {
        const size_t at = text.find('=');
        const PortId port = host_->port_id(text.substr(0, at));
        if (at == std::string::npos || port == kNoPort) {
            return Error{text + ": expected PORT=FILE with a port of --port or --underlay"};
        }
        Result<Frames> frames = read_pcap(text.substr(at + 1));
        if (!frames) {
            return frames.error();
        }
        out->push_back({port, std::move(*frames)});
    }
    return {};
}

Result<std::unique_ptr<BenchRig>> BenchRig::open(const BenchRigOptions& options) {
    HostConfig config;
    config.cache_entries = 0;
    config.connections = 0;
    config.mailboxes = false;
    Result<std::unique_ptr<OfflineHost>> host =
        open_offline(options.chassis, config, options.memory_mb, options.huge, false);
    if (!host) {
        return host.error();
    }
    std::unique_ptr<BenchRig> rig(new BenchRig(std::move(*host)));
    for (const auto& [texts, out] :
         {std::pair(&options.in, &rig->in_), std::pair(&options.answers, &rig->answers_)}) {
        if (Result<void> done = rig->read(*texts, out); !done) {
            return done.error();
        }
    }
    rig->pool_ = rte_pktmbuf_pool_create("bench", kMbufs, 256, limits::kMbufPrivSize,
                                         RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (!rig->pool_) {
        return Error{"no memory for packet buffers"};
    }
    rig->sequence_ = rig->pipeline().sequence;
    rig->counters_->flows.reserve(rig->pipeline().flow_count);
    rig->rcu_.register_reader(0);
    rig->publish_pipeline();
    return rig;
}

void BenchRig::publish_ports(BurstFn rx, BurstFn tx, void* ctx) {
    std::vector<PortTable::Entry> entries;
    for (const OfflinePort& port : host_->ports) {
        PortTable::Entry& entry = entries.emplace_back();
        entry.port.id = port.id;
        entry.port.mtu = port.mtu;
        entry.port.mac = port.mac;
        entry.port.pool = pool_;
        entry.tx.push_back({tx, ctx});
        bool polled = false;
        for (const Traffic& traffic : in_) {
            polled |= traffic.port == port.id;
        }
        if (polled && rx) {
            entry.rx.push_back({rx, ctx, port.id, 0});
            entry.rx_worker.push_back(0);
        }
    }
    ports_.swap(std::make_unique<const PortTable>(std::move(entries), 1));
}

void BenchRig::publish_pipeline(int64_t datapath) {
    auto next = std::make_unique<Pipeline>(pipeline());
    next->sequence = ++sequence_;
    if (datapath >= 0 && static_cast<size_t>(datapath) < next->datapaths.size()) {
        const Datapath* old = next->datapaths[static_cast<size_t>(datapath)];
        if (old) {
            auto changed = std::make_shared<Datapath>(*old);
            changed->generation = sequence_;
            next->datapaths[static_cast<size_t>(datapath)] = changed.get();
            next->keep.push_back(changed);
        }
    }
    published_.swap(std::move(next));
}

void run_on_core(unsigned core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

}  // namespace sluice
