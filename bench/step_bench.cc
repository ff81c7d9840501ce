// SPDX-License-Identifier: Apache-2.0
// Cycles per packet of every step of the packet's way, over bursts of 32, several numbers of flows.
//
// Each step is timed on whole bursts while the others run untimed between, so that caches see what
// they see in a worker. A round goes once over all flows; the median of the rounds is told. What is
// called is datapath/stages.h, cache.h and conntrack.h: the interfaces that the worker itself uses.
#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstring>
#include <map>

#include "bench/bench_rig.h"
#include "datapath/conntrack/fragments.h"
#include "datapath/walk_env.h"
#include "datapath/worker_ctx.h"
#include "lib/base/check.h"
#include "lib/program/packet_meta.h"
#include "tools/host/command_line.h"

namespace sluice {
namespace {

namespace po = boost::program_options;

constexpr unsigned kBurst = limits::kBurst;
constexpr char kInsert[] = "insert";
constexpr char kIntro[] =
    "step_bench: where do the cycles of a packet go?\n\n"
    "line: step SCENARIO FLOWS STEP CYCLES_PER_PACKET\n\n";

/// What leaves a port waits here until it is freed outside of the timed part.
struct Sink {
    rte_mbuf* pkts[4096];
    unsigned n = 0;

    static uint16_t take(void* ctx, rte_mbuf** pkts, uint16_t n) {
        Sink& sink = *static_cast<Sink*>(ctx);
        SLUICE_CHECK(sink.n + n <= 4096);
        std::copy_n(pkts, n, sink.pkts + sink.n);
        sink.n += n;
        return n;
    }
    void empty() {
        rte_pktmbuf_free_bulk(pkts, n);
        n = 0;
    }
};

/// Cycles per packet by step: one sample a burst, the median of all of them, so that a burst during
/// which somebody else had the core does not count.
class Ledger {
public:
    void add(const std::string& step, uint64_t cycles, size_t packets) {
        samples_[step].push_back(static_cast<float>(cycles) / static_cast<float>(packets));
    }
    /// The samples of one step of another ledger, under another name.
    void take(Ledger& from, const std::string& step, const std::string& name) {
        std::vector<float>& mine = samples_[name];
        mine.insert(mine.end(), from.samples_[step].begin(), from.samples_[step].end());
    }
    void print(const std::string& scenario, size_t flows) {
        for (auto& [step, values] : samples_) {
            if (values.empty()) {
                continue;
            }
            const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
            std::nth_element(values.begin(), middle, values.end());
            fmt::print("step {} {} {} {:.1f}\n", scenario, flows, step.substr(2), *middle);
        }
    }

private:
    std::map<std::string, std::vector<float>> samples_;  ///< names begin with their order
};

class StepBench {
public:
    StepBench(BenchRig& rig, const BenchRigOptions& options, unsigned rounds)
        : rig_(rig), options_(options), rounds_(rounds) {}

    Result<void> open() {
        rig_.publish_ports(nullptr, Sink::take, &sink_);
        ConntrackConfig tracking;
        tracking.max_connections = options_.connections;
        tracking.seed = 1;
        Result<std::unique_ptr<Conntrack>> conntrack = Conntrack::create(tracking);
        if (!conntrack) {
            return conntrack.error();
        }
        conntrack_ = std::move(*conntrack);
        config_.rcu = &rig_.rcu();
        config_.pipeline = &rig_.published();
        config_.ports = &rig_.ports();
        config_.counters = &rig_.counters();
        config_.copy_pool = rig_.pool();
        config_.cache_entries = options_.cache_entries;
        config_.conntrack = conntrack_.get();
        config_.hash_seed = 1;
        Result<std::unique_ptr<Worker>> cached = Worker::create(config_);
        config_.cache_entries = 0;
        Result<std::unique_ptr<Worker>> walking = Worker::create(config_);
        if (!cached || !walking) {
            return cached ? walking.error() : cached.error();
        }
        cached_ = std::move(*cached);
        walking_ = std::move(*walking);
        return make_ctx();
    }

    void run() {
        rig_.rcu().online(0);
        // Connections: the packets once, each answer once, by the worker itself.
        for (const std::vector<Traffic>* list : {&rig_.in(), &rig_.answers()}) {
            for (const Traffic& traffic : *list) {
                whole(*cached_, traffic, nullptr, "");
            }
        }
        const Traffic& traffic = rig_.in().front();
        for (unsigned round = 0; round <= rounds_; ++round) {
            Ledger warming;
            Ledger* ledger = round == 0 ? &warming : &ledger_;
            whole(*cached_, traffic, ledger, "0 worker, cache hit");
            whole(*walking_, traffic, ledger, "1 worker, no cache");
            Ledger empty_cache;
            ctx_->cache.clear(ctx_->counters);
            steps(traffic, &empty_cache);
            ledger->take(empty_cache, kInsert, "8 cache insert");
            steps(traffic, ledger);
        }
        rig_.rcu().offline(0);
        ledger_.print(options_.scenario, traffic.frames.size());
    }

private:
    Result<void> make_ctx() {
        ctx_ = std::make_unique<WorkerCtx>(config_);
        for (unsigned i = 0; i < 4; ++i) {
            ctx_->hash_keys[i] = 0x9e3779b97f4a7c15ull * (i + 1) | 1;
        }
        ctx_->own_memories = std::make_unique<SharedMemories>(1);
        ctx_->affinity = &ctx_->own_memories->affinity;
        ctx_->ecmp = &ctx_->own_memories->ecmp;
        ctx_->meters = &ctx_->own_memories->meters;
        if (!ctx_->cache.init(options_.cache_entries, ctx_->hash_keys)) {
            return Error{"no memory for the flow cache"};
        }
        return {};
    }

    /// Packets of the burst that begins at frame `at`, fresh.
    unsigned load(const Frames& frames, size_t at, rte_mbuf** pkts) {
        const auto n = static_cast<unsigned>(std::min<size_t>(kBurst, frames.size() - at));
        SLUICE_CHECK(rte_pktmbuf_alloc_bulk(rig_.pool(), pkts, n) == 0);
        for (unsigned i = 0; i < n; ++i) {
            const std::vector<uint8_t>& frame = frames[at + i];
            std::memcpy(rte_pktmbuf_mtod(pkts[i], void*), frame.data(), frame.size());
            pkts[i]->data_len = static_cast<uint16_t>(frame.size());
            pkts[i]->pkt_len = static_cast<uint32_t>(frame.size());
        }
        return n;
    }

    void whole(Worker& worker, const Traffic& traffic, Ledger* ledger, const std::string& name) {
        rte_mbuf* pkts[kBurst];
        for (size_t at = 0; at < traffic.frames.size(); at += kBurst) {
            const unsigned n = load(traffic.frames, at, pkts);
            const uint64_t begin = rte_rdtsc();
            worker.process_burst(pkts, n, traffic.port);
            if (ledger) {
                ledger->add(name, rte_rdtsc() - begin, n);
            }
            sink_.empty();
        }
    }

    void steps(const Traffic& traffic, Ledger* ledger) {
        WorkerCtx& ctx = *ctx_;
        rte_mbuf* pkts[kBurst];
        for (size_t at = 0; at < traffic.frames.size(); at += kBurst) {
            const unsigned n = load(traffic.frames, at, pkts);
            ctx.pipeline = rig_.published().get();
            ctx.ports = rig_.ports().get();
            ctx.now = rte_rdtsc();
            ctx.now_ms = ctx.now / ctx.cycles_per_ms;
            burst(pkts, n, traffic.port, ledger);
            sink_.empty();
            interpret(traffic, at, ledger);
            sink_.empty();
            ctx.pipeline = nullptr;
            ctx.ports = nullptr;
            rig_.rcu().quiescent(0);
        }
    }

    /// One burst, step by step. What is probed and walked here is done once more by
    /// forward_items().
    void burst(rte_mbuf** pkts, unsigned n, PortId port, Ledger* ledger) {
        WorkerCtx& ctx = *ctx_;
        packets_ = n;
        time(ledger, "2 parse", [&] {
            for (unsigned i = 0; i < n; ++i) {
                parse_packet(pkts[i], &meta_of(pkts[i]).key);
            }
        });
        time(ledger, "3 parse, decap, entry, key, hash",
             [&] { physical_to_logical(ctx, pkts, n, port); });
        time(ledger, "4 probe", [&] { probe(); });
        connections(ledger);
        walks(ledger);
        time(ledger, "9 probe, conntrack, apply, encap", [&] { forward_items(ctx); });
        time(ledger, "A transmit", [&] { flush_transmit(ctx); });
    }

    void probe() {
        WorkerCtx& ctx = *ctx_;
        for (unsigned i = 0; i < ctx.n_items; ++i) {
            if (ctx.items[i].mask) {
                ctx.cache.prefetch_entry(ctx.items[i].hash);
            }
        }
        for (unsigned i = 0; i < ctx.n_items; ++i) {
            Item& item = ctx.items[i];
            item.entry = item.mask ? ctx.cache.find(item.hash, item.key) : nullptr;
        }
    }

    /// The programs of a burst as the interpreter runs them, whatever forms forward_items() knows.
    void interpret(const Traffic& traffic, size_t at, Ledger* ledger) {
        WorkerCtx& ctx = *ctx_;
        rte_mbuf* pkts[kBurst];
        packets_ = load(traffic.frames, at, pkts);
        physical_to_logical(ctx, pkts, static_cast<unsigned>(packets_), traffic.port);
        probe();
        time(ledger, "B apply, encap, interpreted", [&] {
            for (unsigned i = 0; i < ctx.n_items; ++i) {
                const Item& item = ctx.items[i];
                if (item.entry) {
                    apply(ctx, item.m, item.entry->program->view());
                } else {
                    rte_pktmbuf_free(item.m);
                }
            }
        });
        ctx.n_items = 0;
        flush_transmit(ctx);
    }

    /// What a cache hit asks the connections, and tells them.
    void connections(Ledger* ledger) {
        WorkerCtx& ctx = *ctx_;
        bool any = false;
        for (unsigned i = 0; i < ctx.n_items; ++i) {
            any |= ctx.items[i].entry && ctx.items[i].entry->program->n_steps;
        }
        if (!any) {
            return;
        }
        PacketFacts facts[WorkerCtx::kMaxItems];
        time(ledger, "5 conntrack facts", [&] {
            for (unsigned i = 0; i < ctx.n_items; ++i) {
                read_facts(ctx.items[i].m, meta_of(ctx.items[i].m).key, &facts[i]);
            }
        });
        time(ledger, "6 conntrack review, touch", [&] {
            for (unsigned i = 0; i < ctx.n_items; ++i) {
                const CacheEntry* entry = ctx.items[i].entry;
                for (unsigned k = 0; entry && k < entry->program->n_steps; ++k) {
                    const CtStep& step = entry->program->steps()[k];
                    CtView view;
                    if (conntrack_->review(step.conn, step.generation, step.is_reply != 0, facts[i],
                                           ctx.now_ms, &view)) {
                        conntrack_->touch(view, facts[i], 64, ctx.now_ms);
                    }
                }
            }
        });
    }

    void walks(Ledger* ledger) {
        WorkerCtx& ctx = *ctx_;
        uint64_t walking = 0;
        uint64_t inserting = 0;
        unsigned inserted = 0;
        for (unsigned i = 0; i < ctx.n_items; ++i) {
            Item& item = ctx.items[i];
            PacketKey& key = meta_of(item.m).key;
            flow_hash_of(&key, 1);
            WalkEnv env;
            env.conntrack = conntrack_.get();
            env.affinity = ctx.affinity;
            env.ecmp = ctx.ecmp;
            env.meters = ctx.meters;
            env.packet = item.m;
            env.resume = &meta_of(item.m).punt;
            env.now_ms = ctx.now_ms;
            ctx.program.reset();
            ctx.program.flush = [](void*, ProgramBuffer*) {};
            ctx.walking = item.m;
            uint64_t begin = rte_rdtsc();
            walk<false>(*ctx.pipeline, key, item.start, env, &ctx.program, ctx.counters, nullptr);
            walking += rte_rdtsc() - begin;
            if (item.mask && !item.entry && ctx.program.cacheable) {
                begin = rte_rdtsc();
                item.entry = ctx.cache.insert(item.hash, item.key, ctx.program, *ctx.pipeline,
                                              nullptr, ctx.counters);
                inserting += rte_rdtsc() - begin;
                ++inserted;
            }
        }
        ledger->add("7 walk", walking, ctx.n_items);
        if (inserted) {
            ledger->add(kInsert, inserting, inserted);
        }
    }

    template <typename F>
    void time(Ledger* ledger, const char* step, F&& f) {
        const uint64_t begin = rte_rdtsc();
        f();
        ledger->add(step, rte_rdtsc() - begin, packets_);
    }

    BenchRig& rig_;
    const BenchRigOptions& options_;
    unsigned rounds_;
    WorkerConfig config_;
    std::unique_ptr<Conntrack> conntrack_;
    std::unique_ptr<WorkerCtx> ctx_;
    std::unique_ptr<Worker> cached_;
    std::unique_ptr<Worker> walking_;
    Sink sink_;
    size_t packets_ = 1;  ///< of the burst that is timed
    Ledger ledger_;
};

Result<void> bench(int argc, char** argv) {
    BenchRigOptions options;
    unsigned rounds = 15;
    po::options_description all = options.describe();
    all.add_options()("rounds", po::value(&rounds), "over all flows (default 15)");
    po::variables_map map;
    const Result<bool> read = read_command_line(argc, argv, "step_bench", kIntro, all, &map);
    if (!read || !*read) {
        return read ? Result<void>() : read.error();
    }
    Result<std::unique_ptr<BenchRig>> rig = BenchRig::open(options);
    if (!rig) {
        return rig.error();
    }
    run_on_core(options.core);
    StepBench steps(**rig, options, std::max(rounds, 1u));
    if (Result<void> opened = steps.open(); !opened) {
        return opened;
    }
    steps.run();
    return {};
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
    return sluice::exit_status("step_bench", sluice::bench(argc, argv));
}
