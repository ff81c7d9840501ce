// SPDX-License-Identifier: Apache-2.0
#include "datapath/worker.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <cstring>

#include "datapath/capture.h"
#include "datapath/super_frame.h"
#include "datapath/trace.h"
#include "datapath/worker_ctx.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

constexpr uint32_t kSweepSteps = 512;  ///< in half a second

uint64_t split_mix(uint64_t* state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/// What len_class means changed: entries made under the old meaning must go.
void follow_lengths(WorkerCtx& ctx) {
    const auto& lens = ctx.pipeline->pkt_lens;
    const auto n = static_cast<uint32_t>(std::min<size_t>(lens.size(), limits::kMaxLenClasses));
    if (n != ctx.seen_len_count || !std::equal(lens.begin(), lens.begin() + n, ctx.seen_lens)) {
        ctx.cache.clear(ctx.counters);
        ctx.seen_len_count = n;
        std::copy_n(lens.begin(), n, ctx.seen_lens);
    }
}

/// Looks at what is published now. False while there is nothing to forward by.
bool begin_turn(WorkerCtx& ctx) {
    ctx.capture = nullptr;
    ctx.pipeline = ctx.config.pipeline->get();
    ctx.ports = ctx.config.ports->get();
    if (!ctx.config.manual_clock) {
        ctx.now = rte_rdtsc();
    }
    ctx.now_ms = ctx.now / ctx.cycles_per_ms;
    if (ctx.config.skipped_ms) {
        ctx.now_ms += ctx.config.skipped_ms->load(std::memory_order_relaxed);
    }
    if (SLUICE_UNLIKELY(!ctx.pipeline || !ctx.ports)) {
        return false;
    }
    if (ctx.config.capture) {
        ctx.capture = ctx.config.capture->get();
    }
    if (SLUICE_UNLIKELY(ctx.pipeline->sequence != ctx.seen_sequence)) {
        ctx.seen_sequence = ctx.pipeline->sequence;
        follow_lengths(ctx);
    }
    begin_joins(ctx);
    return true;
}

void receive(WorkerCtx& ctx, rte_mbuf** pkts, unsigned n, PortId port) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; ++i) {
        rte_prefetch0(rte_pktmbuf_mtod(pkts[i], const void*));
        rte_prefetch0(rte_mbuf_to_priv(pkts[i]));
        bytes += pkts[i]->pkt_len;
    }
    ctx.counters->add(Counter::k_rx_packets, n);
    ctx.counters->add(Counter::k_rx_bytes, bytes);
    if (SLUICE_UNLIKELY(ctx.capture != nullptr)) {
        capture_burst(ctx, pkts, n, port, kCaptureRx);
    }
    physical_to_logical(ctx, pkts, n, port);
    forward_items(ctx);
}

/// Adds what a burst cost to its queue; returns the time now.
uint64_t note_load(const RxQueue& queue, unsigned n, uint64_t since) {
    const uint64_t now = rte_rdtsc();
    if (RxLoad* const load = queue.load) {
        const auto add = [](std::atomic<uint64_t>& to, uint64_t by) {
            to.store(to.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
        };
        add(load->cycles, now - since);
        add(load->packets, n);
    }
    return now;
}

unsigned take_injected(WorkerCtx& ctx) {
    if (!ctx.config.mailbox) {
        return 0;
    }
    rte_mbuf* pkts[limits::kBurst];
    const unsigned n = ctx.config.mailbox->take_injected(pkts, limits::kBurst);
    for (unsigned i = 0; i < n; ++i) {
        inject(ctx, pkts[i]);
    }
    if (n) {
        forward_items(ctx);
    }
    return n;
}

void discard_segment(void* owner, rte_mbuf* m, Drop reason) {
    static_cast<WorkerCtx*>(owner)->drop_packet(m, reason);
}

/// A little at a time, so that no burst waits for it.
void sweep_connections(WorkerCtx& ctx) {
    constexpr unsigned kBudget = 16;
    ctx.stt->expire(ctx.now_ms, kBudget);
    if (Conntrack* const table = ctx.config.conntrack) {
        table->sweep(ctx.config.id, ctx.now_ms, kBudget);
        table->fragments(ctx.config.id).expire(ctx.now_ms, kBudget);
    }
}

void sweep_counters(WorkerCtx& ctx) {
    const uint64_t asked = ctx.flush_asked.load(std::memory_order_acquire);
    if (SLUICE_UNLIKELY(asked != ctx.flush_finished.load(std::memory_order_relaxed))) {
        ProgramStore& programs = ctx.cache.programs();
        while (!programs.sweep(programs.buckets(), ctx.counters)) {
        }
        programs.sweep(programs.buckets(), ctx.counters);
        ctx.flush_finished.store(asked, std::memory_order_release);
    } else if (ctx.now >= ctx.next_sweep) {
        ProgramStore& programs = ctx.cache.programs();
        programs.sweep(programs.buckets() / kSweepSteps + 1, ctx.counters);
        ctx.next_sweep = ctx.now + ctx.sweep_cycles;
    }
    ctx.cache_used.store(ctx.cache.used(), std::memory_order_relaxed);
}

}  // namespace

void WorkerCtx::drop_packet(rte_mbuf* m, Drop reason, uint32_t datapath, uint32_t inport) {
    drop(reason, kNoFlow, datapath, inport);
    if (SLUICE_UNLIKELY(capture != nullptr)) {
        capture_drop(*this, m, reason, kNoFlow, datapath, inport);
    }
    rte_pktmbuf_free(m);
    if (SLUICE_UNLIKELY(trace != nullptr)) {
        TraceRecord record{.kind = TraceRecord::Kind::kDrop};
        record.reason = reason;
        trace->records.push_back(std::move(record));
    }
}

void WorkerCtx::punt(rte_mbuf* m, PuntReason reason, PortId port) {
    meta_of(m).punt = PuntMeta{};
    meta_of(m).punt.reason = reason;
    meta_of(m).punt.port = port;
    meta_of(m).punt.flow = kNoFlow;
    if (SLUICE_UNLIKELY(trace != nullptr)) {
        TraceRecord record{.kind = TraceRecord::Kind::kPunt};
        record.port = port;
        trace->records.push_back(std::move(record));
    }
    hand_up(m);
}

void WorkerCtx::hand_up(rte_mbuf* m) {
    if (SLUICE_UNLIKELY(is_super(m))) {
        SuperCutter cutter(*this, m);
        while (rte_mbuf* piece = cutter.next()) {
            hand_up(piece);
        }
        return;
    }
    if (config.mailbox && config.mailbox->punt(m)) {
        counters->add(Counter::k_punts);
    } else {
        drop_packet(m, Drop::k_punt_full);
    }
}

Result<std::unique_ptr<Worker>> Worker::create(const WorkerConfig& config) {
    SLUICE_CHECK(config.rcu && config.pipeline && config.ports && config.counters &&
                 config.copy_pool && config.id < limits::kMaxWorkers);
    auto ctx = std::make_unique<WorkerCtx>(config);
    uint64_t state = config.hash_seed;
    for (uint64_t& key : ctx->hash_keys) {
        key = split_mix(&state) | 1;
    }
    ctx->next_stt_frame = static_cast<uint32_t>(split_mix(&state));
    ctx->stt =
        std::make_unique<SttReassembly>(SttLimits{}, split_mix(&state), discard_segment, ctx.get());
    if (!config.memories) {
        ctx->own_memories = std::make_unique<SharedMemories>(config.hash_seed);
    }
    SharedMemories& memories = config.memories ? *config.memories : *ctx->own_memories;
    ctx->affinity = &memories.affinity;
    ctx->ecmp = &memories.ecmp;
    ctx->meters = &memories.meters;
    ctx->sweep_cycles = rte_get_tsc_hz() / 2 / kSweepSteps;
    if (!ctx->cache.init(config.cache_entries, ctx->hash_keys)) {
        return Error{"no memory for a flow cache of " + std::to_string(config.cache_entries) +
                     " entries: choose a smaller one"};
    }
    if (config.conntrack && ctx->cache.enabled() && !ctx->shortcuts.init()) {
        return Error{"no memory for shortcuts"};
    }
    return std::unique_ptr<Worker>(new Worker(std::move(ctx)));
}

Worker::Worker(std::unique_ptr<WorkerCtx> ctx) : ctx_(std::move(ctx)) {}

Worker::~Worker() {
    ctx_->shortcuts.clear(&ctx_->cache.programs(), ctx_->counters);
    ctx_->cache.clear(ctx_->counters);
}

void Worker::run() {
    WorkerCtx& ctx = *ctx_;
    ctx.config.rcu->online(ctx.config.reader_id);
    while (!ctx.stop.load(std::memory_order_relaxed)) {
        const uint64_t begin = rte_rdtsc();
        ctx.counters->add(Counter::k_polls);
        if (run_once()) {
            ctx.counters->add(Counter::k_busy_cycles, rte_rdtsc() - begin);
        } else {
            ctx.counters->add(Counter::k_idle_polls);
        }
    }
    ctx.stop.store(false, std::memory_order_relaxed);
    ctx.config.rcu->offline(ctx.config.reader_id);
}

void Worker::stop() {
    ctx_->stop.store(true, std::memory_order_relaxed);
}

unsigned Worker::run_once() {
    WorkerCtx& ctx = *ctx_;
    unsigned seen = 0;
    if (begin_turn(ctx)) {
        seen += take_injected(ctx);
        uint64_t at = rte_rdtsc();
        for (const RxQueue& queue : ctx.ports->rx_queues(ctx.config.id)) {
            rte_mbuf* pkts[limits::kBurst];
            const unsigned n = queue.rx(pkts, limits::kBurst);
            if (n) {
                receive(ctx, pkts, n, queue.port);
                seen += n;
                at = note_load(queue, n, at);
            }
        }
        flush_transmit(ctx);
    }
    sweep_connections(ctx);
    sweep_counters(ctx);
    ctx.pipeline = nullptr;
    ctx.ports = nullptr;
    ctx.capture = nullptr;
    ctx.config.rcu->quiescent(ctx.config.reader_id);
    return seen;
}

void Worker::process_burst(rte_mbuf** pkts, unsigned n, PortId port) {
    WorkerCtx& ctx = *ctx_;
    if (!begin_turn(ctx)) {
        rte_pktmbuf_free_bulk(pkts, n);
    } else {
        for (unsigned at = 0; at < n; at += limits::kBurst) {
            receive(ctx, pkts + at, std::min(n - at, limits::kBurst), port);
        }
        flush_transmit(ctx);
    }
    sweep_connections(ctx);
    sweep_counters(ctx);
    ctx.pipeline = nullptr;
    ctx.ports = nullptr;
    ctx.capture = nullptr;
    ctx.config.rcu->quiescent(ctx.config.reader_id);
}

void Worker::request_flush() {
    ctx_->flush_asked.fetch_add(1, std::memory_order_acq_rel);
}

bool Worker::flush_done() const {
    return ctx_->flush_asked.load(std::memory_order_acquire) ==
           ctx_->flush_finished.load(std::memory_order_acquire);
}

std::vector<DropSample> Worker::samples() const {
    return ctx_->drops.read();
}

CacheStats Worker::cache_stats() const {
    return {ctx_->cache.capacity(), ctx_->cache_used.load(std::memory_order_relaxed)};
}

void Worker::set_time(uint64_t tsc) {
    ctx_->now = tsc;
}

void Worker::set_trace(Trace* trace) {
    ctx_->trace = trace;
}

}  // namespace sluice
