// SPDX-License-Identifier: Apache-2.0
// Worker: one poll-mode thread of the data path, or the same steps driven by hand.
//
// What. run() polls the receive queues that the published PortTable gives this worker until stop().
// run_once() is one turn of that loop and process_burst() one burst without a port behind it, for
// tests, replay and traces. All three execute the same code.
// Design. Everything a packet may need is allocated in create(). The pipeline and the port table
// are read once per turn under one RCU reader id, which the composer registers and which must be
// online around run_once() and process_burst() (run() does that itself).
// Threads. create() and destruction: the composer's, while nobody runs the worker. run(),
// run_once(), process_burst(), set_time(), set_trace(): the worker's thread. stop(),
// request_flush(), flush_done(), samples(), cache_stats(): any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/base/result.h"
#include "lib/mailbox/mailbox.h"
#include "lib/program/pipeline.h"
#include "lib/program/ports.h"
#include "lib/rcu/published.h"
#include "lib/stats/counters.h"

namespace sluice {

class Conntrack;
struct CaptureSet;
struct SharedMemories;
struct WorkerCtx;
struct Trace;

struct WorkerConfig {
    unsigned id = 0;         ///< index of the worker: its tx queues, its share of rx queues
    unsigned reader_id = 0;  ///< in `rcu`, registered by the composer
    RcuDomain* rcu = nullptr;
    const Published<Pipeline>* pipeline = nullptr;
    const Published<PortTable>* ports = nullptr;
    const Published<CaptureSet>* capture = nullptr;  ///< null: nothing is ever captured
    Mailbox* mailbox = nullptr;  ///< null: punts and messages are dropped and counted
    WorkerCounters* counters = nullptr;
    rte_mempool* copy_pool = nullptr;    ///< for multicast copies; private size kMbufPrivSize
    uint32_t cache_entries = 262144;     ///< 0: no flow cache
    Conntrack* conntrack = nullptr;      ///< null: conntrack steps drop with no_conntrack
    SharedMemories* memories = nullptr;  ///< of all workers; null: the worker has its own
    uint64_t hash_seed = 0;              ///< random per process, the same for all its workers
    bool joins = true;                   ///< segments from tunnels, datapath/join.h
    bool manual_clock = false;           ///< time stands still but for set_time()
    /// Milliseconds by which connections see the time pass earlier than it does (tests); any thread
    /// writes. Null: 0.
    const std::atomic<uint64_t>* skipped_ms = nullptr;
};

/// One of the last drops, for drop/show.
struct DropSample {
    uint64_t tsc;  ///< worker clock when it happened
    Drop reason;
    uint32_t flow;      ///< kNoFlow: not by a logical flow
    uint32_t datapath;  ///< tunnel key, 0 unknown
    uint32_t inport;    ///< port key, 0 unknown
};

/// How full the cache is, as of about a second ago.
struct CacheStats {
    uint32_t capacity;
    uint32_t used;
};

class Worker {
public:
    static Result<std::unique_ptr<Worker>> create(const WorkerConfig& config);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Polls until stop(). Goes online before and offline after.
    void run();
    void stop();

    /// One turn: injected packets, then one burst from every receive queue. Returns packets seen.
    unsigned run_once();
    /// Packets as if just received on `port`; takes ownership. Flushes transmit buffers.
    void process_burst(rte_mbuf** pkts, unsigned n, PortId port);

    /// Credits every cached program's hits to flow counters at the next turn; flush_done() turns
    /// true when that has happened. Without it counters lag by at most about a second.
    void request_flush();
    bool flush_done() const;
    /// The last drops, oldest first.
    std::vector<DropSample> samples() const;
    CacheStats cache_stats() const;

    /// With manual_clock: the time in TSC cycles for everything until the next call.
    void set_time(uint64_t tsc);
    /// Records every step of every packet and bypasses the cache, until called with null.
    void set_trace(Trace* trace);

private:
    explicit Worker(std::unique_ptr<WorkerCtx> ctx);
    std::unique_ptr<WorkerCtx> ctx_;
};

}  // namespace sluice
