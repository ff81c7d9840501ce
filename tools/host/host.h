// SPDX-License-Identifier: Apache-2.0
// Host: the data path put together: ports, published tables, mailboxes, workers and their threads.
//
// What. sluiced, sluice-bench, sluice-replay and sluice-trace all stand on it; they differ in where
// the pipeline comes from and in who turns the workers (threads of their own, or the caller).
// Threads. Everything here is for the control (main) thread, worker threads excepted. A worker's
// thread polls; when nothing comes it sleeps as tools/host/idle.h says, so that an idle node does
// not burn its cores.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "datapath/conntrack/conntrack.h"
#include "datapath/shared_memories.h"
#include "datapath/worker.h"
#include "lib/base/result.h"
#include "lib/mailbox/mailbox.h"
#include "lib/program/capture.h"
#include "lib/program/pipeline.h"
#include "lib/rcu/published.h"
#include "lib/stats/counters.h"
#include "pmd/ports.h"
#include "tools/host/idle.h"

namespace sluice {

struct HostConfig {
    unsigned workers = 1;
    std::vector<unsigned> cores;  ///< worker i runs on cores[i]; empty: not pinned
    unsigned mbufs = 16383;       ///< of each port pool and of the copy pool
    uint32_t cache_entries = 262144;
    IdleConfig idle;
    bool manual_clock = false;
    uint64_t hash_seed = 0;           ///< 0: random
    uint32_t connections = 1u << 20;  ///< that conntrack can hold; 0: no conntrack
    uint32_t fragments_kb = 16384;    ///< of packet buffers that may wait for the rest of a packet
    bool mailboxes = true;            ///< false: punts and messages are dropped and counted
};

class Host {
public:
    static Result<std::unique_ptr<Host>> create(const HostConfig& config);
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    pmd::Ports& ports() { return *ports_; }
    /// Publishes the port table; calls the closures after a grace period.
    void publish_ports(const std::vector<Retire>& retired = {});
    void publish_pipeline(std::unique_ptr<const Pipeline> pipeline);
    /// Null: nobody captures.
    void publish_capture(std::unique_ptr<const CaptureSet> set) { capture_.swap(std::move(set)); }
    const Pipeline* pipeline() const { return pipeline_.get(); }
    const Published<Pipeline>& published_pipeline() const { return pipeline_; }
    RcuDomain& rcu() { return rcu_; }
    /// Reader id for the slow path's thread, registered.
    unsigned slow_path_reader() const { return config_.workers; }
    /// Makes room for flow ids below `count` in every worker's counters.
    void reserve_flows(uint32_t count);
    /// Frees what no reader holds any more. To be called now and then.
    void reclaim() { rcu_.reclaim(); }

    void start_threads();
    void stop_threads();
    /// Every worker makes a turn soon, also one that sleeps.
    void wake_workers();
    bool running() const { return !threads_.empty(); }

    unsigned n_workers() const { return config_.workers; }
    Worker& worker(unsigned i) { return *workers_[i]; }
    const Worker& worker(unsigned i) const { return *workers_[i]; }
    /// Null with 0 connections.
    ConntrackControl* conntrack() { return conntrack_.get(); }
    /// Connections see time pass by that much at once (tests).
    void skip_time(uint64_t ms) { skipped_ms_.fetch_add(ms, std::memory_order_relaxed); }
    Mailbox* mailbox(unsigned i) { return mailboxes_.empty() ? nullptr : mailboxes_[i].get(); }
    const WorkerCounters& counters(unsigned i) const { return *counters_[i]; }
    uint64_t total(Counter counter) const;
    uint64_t total(Drop reason) const;
    void flow_total(uint32_t flow, uint64_t* packets, uint64_t* bytes) const;
    rte_mempool* copy_pool() { return copy_pool_; }

private:
    explicit Host(const HostConfig& config);
    Result<void> open();
    void turn(unsigned i);

    HostConfig config_;
    RcuDomain rcu_;
    std::unique_ptr<pmd::Ports> ports_;
    rte_mempool* copy_pool_ = nullptr;
    Published<Pipeline> pipeline_;
    Published<PortTable> port_table_;
    Published<CaptureSet> capture_;
    std::unique_ptr<Conntrack> conntrack_;
    std::unique_ptr<SharedMemories> memories_;
    std::atomic<uint64_t> skipped_ms_{0};  ///< control writes, workers read
    std::vector<std::unique_ptr<Mailbox>> mailboxes_;
    std::vector<std::unique_ptr<WorkerCounters>> counters_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<std::thread> threads_;
    std::atomic<bool> stop_{false};  ///< control writes, worker threads read
};

}  // namespace sluice
