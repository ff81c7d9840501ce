// SPDX-License-Identifier: Apache-2.0
#include "tools/host/host.h"

#include <fmt/format.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <sys/random.h>

#include "lib/base/log.h"

SLUICE_LOG_MODULE(host);

namespace sluice {

Result<std::unique_ptr<Host>> Host::create(const HostConfig& config) {
    std::unique_ptr<Host> host(new Host(config));
    if (Result<void> opened = host->open(); !opened) {
        return opened.error();
    }
    return host;
}

Host::Host(const HostConfig& config)
    : config_(config), pipeline_(rcu_), port_table_(rcu_), capture_(rcu_) {
    pmd::PortsSettings settings;
    settings.n_workers = config.workers;
    settings.cores = config.cores;
    settings.pool.n_mbufs = config.mbufs;
    settings.super_frames = true;
    ports_ = std::make_unique<pmd::Ports>(settings);
}

Result<void> Host::open() {
    copy_pool_ = rte_pktmbuf_pool_create("sluice-copies", config_.mbufs, 64, limits::kMbufPrivSize,
                                         RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (!copy_pool_) {
        return Error{
            fmt::format("cannot allocate {} packet buffers: {}; lower --mbufs or raise "
                        "--memory-mb",
                        config_.mbufs, rte_strerror(rte_errno))};
    }
    while (config_.hash_seed == 0) {
        (void)!getrandom(&config_.hash_seed, sizeof config_.hash_seed, 0);
    }
    memories_ = std::make_unique<SharedMemories>(config_.hash_seed);
    if (config_.connections) {
        ConntrackConfig settings;
        settings.max_connections = config_.connections;
        settings.max_fragments_kb = config_.fragments_kb;
        settings.seed = config_.hash_seed;
        settings.workers = config_.workers;
        Result<std::unique_ptr<Conntrack>> conntrack = Conntrack::create(settings);
        if (!conntrack) {
            return conntrack.error();
        }
        conntrack_ = std::move(*conntrack);
    }
    rcu_.register_reader(slow_path_reader());
    for (unsigned i = 0; i < config_.workers; ++i) {
        rcu_.register_reader(i);
        if (config_.mailboxes) {
            Result<std::unique_ptr<Mailbox>> box = Mailbox::create(i);
            if (!box) {
                return box.error();
            }
            mailboxes_.push_back(std::move(*box));
        }
        counters_.push_back(std::make_unique<WorkerCounters>());
        ports_->add_counters(counters_.back().get());
        WorkerConfig config;
        config.id = i;
        config.reader_id = i;
        config.rcu = &rcu_;
        config.pipeline = &pipeline_;
        config.ports = &port_table_;
        config.capture = &capture_;
        config.mailbox = mailbox(i);
        config.counters = counters_.back().get();
        config.copy_pool = copy_pool_;
        config.cache_entries = config_.cache_entries;
        config.conntrack = conntrack_.get();
        config.memories = memories_.get();
        config.skipped_ms = &skipped_ms_;
        config.hash_seed = config_.hash_seed;
        config.manual_clock = config_.manual_clock;
        Result<std::unique_ptr<Worker>> worker = Worker::create(config);
        if (!worker) {
            return worker.error();
        }
        workers_.push_back(std::move(*worker));
    }
    publish_ports();
    return {};
}

Host::~Host() {
    stop_threads();
    workers_.clear();
    conntrack_.reset();  // holds fragments
    mailboxes_.clear();
    rcu_.reclaim();
    ports_.reset();
    rte_mempool_free(copy_pool_);
}

void Host::publish_ports(const std::vector<Retire>& retired) {
    port_table_.swap(ports_->snapshot());
    wake_workers();
    if (!retired.empty()) {
        rcu_.synchronize();
        for (const Retire& retire : retired) {
            retire();
        }
    }
}

void Host::publish_pipeline(std::unique_ptr<const Pipeline> pipeline) {
    reserve_flows(pipeline->flow_count);
    pipeline_.swap(std::move(pipeline));
    rcu_.reclaim();
}

void Host::reserve_flows(uint32_t count) {
    for (auto& counters : counters_) {
        counters->flows.reserve(count);
    }
}

void Host::turn(unsigned i) {
    if (rte_thread_register() != 0) {
        LOG_WARN("worker {}: no lcore id left, packet buffers will be slower", i);
    }
    if (i < config_.cores.size()) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(config_.cores[i], &set);
        if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0) {
            LOG_WARN("worker {}: cannot run on core {}", i, config_.cores[i]);
        }
    }
    pthread_setname_np(pthread_self(), fmt::format("sluice-w{}", i).c_str());
    Worker& worker = *workers_[i];
    Mailbox* const box = mailbox(i);
    WorkerCounters& counters = *counters_[i];
    Idle idle(config_.idle, mailbox(i));
    rcu_.online(i);
    while (!stop_.load(std::memory_order_relaxed)) {
        const uint64_t begin = rte_rdtsc();
        counters.add(Counter::k_polls);
        const unsigned seen = worker.run_once();
        if (seen) {
            counters.add(Counter::k_busy_cycles, rte_rdtsc() - begin);
        } else {
            counters.add(Counter::k_idle_polls);
        }
        if (box && box->has_sent()) {
            box->slow_path_sleeper().wake();
        }
        if (idle.is_due(seen) && idle.announce()) {
            // After that, so that a table that comes later ends the sleep.
            idle.follow(port_table_.get(), i);
            rcu_.offline(i);
            idle.wait();
            rcu_.online(i);
        }
    }
    rcu_.offline(i);
    rte_thread_unregister();
}

void Host::start_threads() {
    stop_ = false;
    for (unsigned i = 0; i < config_.workers; ++i) {
        threads_.emplace_back([this, i] { turn(i); });
    }
}

void Host::wake_workers() {
    for (const auto& box : mailboxes_) {
        box->worker_sleeper().wake();
    }
}

void Host::stop_threads() {
    stop_ = true;
    wake_workers();
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

uint64_t Host::total(Counter counter) const {
    uint64_t sum = 0;
    for (const auto& block : counters_) {
        sum += block->get(counter);
    }
    return sum;
}

uint64_t Host::total(Drop reason) const {
    uint64_t sum = 0;
    for (const auto& block : counters_) {
        sum += block->get(reason);
    }
    return sum;
}

void Host::flow_total(uint32_t flow, uint64_t* packets, uint64_t* bytes) const {
    *packets = 0;
    *bytes = 0;
    for (const auto& block : counters_) {
        uint64_t p;
        uint64_t b;
        block->flows.read(flow, &p, &b);
        *packets += p;
        *bytes += b;
    }
}

}  // namespace sluice
