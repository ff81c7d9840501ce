// SPDX-License-Identifier: Apache-2.0
// BenchRig: a chassis from a Southbound file whose ports are the benchmark's own functions.
//
// What. The pipeline and the names come from an OfflineHost (tools/host/offline_host.h), with
// in-memory ports that nobody turns. The benchmark runs a worker of its own on a port table of its
// own: what is received and what happens to what is sent is up to a pair of functions, so packets
// can be made on schedule and looked at when they leave, without a driver's cost between.
// Threads. One: whoever opened it.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/program/pipeline.h"
#include "lib/program/ports.h"
#include "lib/rcu/published.h"
#include "lib/stats/counters.h"
#include "tools/host/offline_host.h"

struct rte_mempool;

namespace sluice {

struct BenchRigOptions {
    OfflineOptions chassis;            ///< ports are driver dummy: lp1=dummy,iface-id=lp1
    std::vector<std::string> in;       ///< PORT=FILE: packets that are measured
    std::vector<std::string> answers;  ///< PORT=FILE: packets that make connections established
    unsigned memory_mb = 1024;
    unsigned core = 1;
    unsigned cache_entries = 262144;
    unsigned connections = 1u << 20;
    bool huge = false;
    std::string scenario = "-";

    boost::program_options::options_description describe();
};

using Frames = std::vector<std::vector<uint8_t>>;

/// Frames of one file and the port that they arrive on.
struct Traffic {
    PortId port = kNoPort;
    Frames frames;
};

class BenchRig {
public:
    static Result<std::unique_ptr<BenchRig>> open(const BenchRigOptions& options);

    const Pipeline& pipeline() const { return *host_->host->pipeline(); }
    rte_mempool* pool() const { return pool_; }
    RcuDomain& rcu() { return rcu_; }
    Published<Pipeline>& published() { return published_; }
    Published<PortTable>& ports() { return ports_; }
    WorkerCounters& counters() { return *counters_; }
    const std::vector<Traffic>& in() const { return in_; }
    const std::vector<Traffic>& answers() const { return answers_; }

    /// Publishes a table in which worker 0 polls `rx` for every port of in() and every port sends
    /// by `tx`; their contexts are `ctx`.
    void publish_ports(BurstFn rx, BurstFn tx, void* ctx);
    /// Publishes a copy of the pipeline under the next sequence number. `datapath`: the index of
    /// one that counts as changed, so that cached programs which crossed it must be made again.
    void publish_pipeline(int64_t datapath = -1);

private:
    explicit BenchRig(std::unique_ptr<OfflineHost> host);
    Result<void> read(const std::vector<std::string>& texts, std::vector<Traffic>* out) const;

    std::unique_ptr<OfflineHost> host_;
    RcuDomain rcu_;
    Published<Pipeline> published_;
    Published<PortTable> ports_;
    std::unique_ptr<WorkerCounters> counters_;
    rte_mempool* pool_ = nullptr;
    std::vector<Traffic> in_;
    std::vector<Traffic> answers_;
    uint64_t sequence_ = 0;
};

/// Pins the calling thread.
void run_on_core(unsigned core);

}  // namespace sluice
