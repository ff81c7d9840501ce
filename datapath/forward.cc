// SPDX-License-Identifier: Apache-2.0
// Items to frames: cache probe, walk on a miss, apply.
#include <arpa/inet.h>
#include <rte_mbuf.h>

#include "datapath/conntrack/fragments.h"
#include "datapath/conntrack/glance.h"
#include "datapath/shortcut_learn.h"
#include "datapath/stages.h"
#include "datapath/tunnel/encap.h"
#include "datapath/walk_env.h"
#include "datapath/worker_ctx.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

/// The line of a connection that a packet reads and writes.
void prefetch_connections(const CachedProgram& program) {
    for (unsigned i = 0; i < program.n_steps; ++i) {
        __builtin_prefetch(program.steps()[i].conn, 1);
    }
}

/// Fetches sets (on their way since the key was taken), then entries, then compares, then fetches
/// programs and their connections: each step's memory is on its way while the step before works on
/// the other packets.
void probe(WorkerCtx& ctx) {
    for (unsigned i = 0; i < ctx.n_items; ++i) {
        const Item& item = ctx.items[i];
        if (item.mask && !item.repeats) {
            ctx.cache.prefetch_entry(item.hash);
        }
    }
    bool asks = false;
    for (unsigned i = 0; i < ctx.n_items; ++i) {
        Item& item = ctx.items[i];
        if (item.repeats) {
            item.entry = ctx.items[i - 1].entry;
        } else if (item.mask) {
            item.entry = ctx.cache.find(item.hash, item.key);
            if (item.entry) {
                __builtin_prefetch(item.entry->program);
                __builtin_prefetch(reinterpret_cast<const char*>(item.entry->program) + 64);
            }
        }
        asks |= item.mask && item.mask->reads_ct;
    }
    for (unsigned i = 0; asks && i < ctx.n_items; ++i) {
        const Item& item = ctx.items[i];
        if (item.entry && item.entry->program->n_steps) {
            prefetch_connections(*item.entry->program);
        } else if (!item.entry && item.mask && ctx.shortcuts.enabled()) {
            foresee_shortcut(ctx, item);
        }
    }
}

void credit_now(WorkerCtx& ctx, uint32_t packets, uint64_t bytes) {
    for (uint32_t i = 0; i < ctx.program.n_flows; ++i) {
        FlowCounters::Pair& pair = ctx.counters->flows.at(ctx.program.flows[i]);
        pair.packets.add(packets);
        pair.bytes.add(bytes);
    }
}

/// The walk's buffer is full: what it holds runs on copies, the packet stays for the rest.
void spill(void* owner, ProgramBuffer* buffer) {
    auto& ctx = *static_cast<WorkerCtx*>(owner);
    credit_now(ctx, 1, meta_of(ctx.walking).key.pkt_len);
    apply(ctx, ctx.walking, buffer->view(), false);
}

WalkEnv env_of(WorkerCtx& ctx, const Item& item) {
    WalkEnv env;
    env.conntrack = ctx.config.conntrack;
    env.affinity = ctx.affinity;
    env.ecmp = ctx.ecmp;
    env.meters = ctx.meters;
    env.packet = item.m;
    env.resume = &meta_of(item.m).punt;
    env.now_ms = ctx.now_ms;
    ctx.random ^= ctx.random << 13;
    ctx.random ^= ctx.random >> 17;
    ctx.random ^= ctx.random << 5;
    env.random = ctx.random;
    return env;
}

void run_walk(WorkerCtx& ctx, const Item& item, const WalkEnv& env, Trace* trace) {
    PacketKey& key = meta_of(item.m).key;
    flow_hash_of(&key, ctx.config.hash_seed);
    ctx.program.reset();
    ctx.program.flush = spill;
    ctx.walking = item.m;
    if (SLUICE_UNLIKELY(trace != nullptr)) {
        walk<true>(*ctx.pipeline, key, item.start, env, &ctx.program, ctx.counters, trace);
    } else {
        walk<false>(*ctx.pipeline, key, item.start, env, &ctx.program, ctx.counters, nullptr);
    }
}

/// A fragment by itself, told what conntrack knows of the whole packet.
void walk_piece(WorkerCtx& ctx, const Item& item, const PacketFacts& facts, const PacketKey& first,
                CtReplay* replay) {
    WalkEnv env = env_of(ctx, item);
    env.facts = &facts;
    env.whole = &first;
    env.replay = replay;
    run_walk(ctx, item, env, ctx.trace);
    credit_now(ctx, 1, meta_of(item.m).key.pkt_len);
    ctx.counters->add(Counter::k_cache_bypass);
    apply(ctx, item.m, ctx.program.view());
}

/// A fragment met conntrack: it waits for the others of its packet, then all go on.
void hold_fragment(WorkerCtx& ctx, Item item) {
    const PacketKey first = meta_of(item.m).key;
    FragTable& table = ctx.config.conntrack->fragments(ctx.config.id);
    const FragTable::Verdict verdict = table.add(item.m, first, ctx.now_ms, &ctx.whole);
    switch (verdict) {
    case FragTable::Verdict::kHeld: return;
    case FragTable::Verdict::kOverlap: ctx.drop_packet(item.m, Drop::k_fragment_overlap); return;
    case FragTable::Verdict::kDuplicate:
    case FragTable::Verdict::kInvalid: {
        PacketFacts untrackable{};
        untrackable.is_duplicate = verdict == FragTable::Verdict::kDuplicate;
        walk_piece(ctx, item, untrackable, first, nullptr);
        return;
    }
    case FragTable::Verdict::kComplete: break;
    }
    const PacketKey key = meta_of(ctx.whole.pieces[0]).key;
    ctx.replay.count = 0;
    for (unsigned i = 0; i < ctx.whole.count; ++i) {
        ctx.replay.records = i == 0;
        ctx.replay.told = i == 0 ? 0 : ctx.replay.count;
        item.m = ctx.whole.pieces[i];
        walk_piece(ctx, item, ctx.whole.facts, key, &ctx.replay);
    }
}

/// A walk that is taken down, to be a shortcut for others.
void walk_and_learn(WorkerCtx& ctx, const Item& item, const WalkEnv& env) {
    Shortcuts& shortcuts = ctx.shortcuts;
    shortcuts.trace.records.clear();
    shortcuts.trace.is_full = false;
    run_walk(ctx, item, env, &shortcuts.trace);
    if (ctx.program.cacheable || ctx.program.needs_whole) {
        return;
    }
    if (learn_path(*ctx.pipeline, shortcuts.trace, *env.replay, ctx.program, &shortcuts.path)) {
        shortcuts.add(meta_of(item.m).key, *ctx.pipeline, shortcuts.path, ctx.program,
                      &ctx.cache.programs(), ctx.counters);
    } else {
        shortcuts.was_useless();
    }
}

/// A packet that opens a connection, perhaps. False: it is on its way.
bool walk_by_shortcut(WorkerCtx& ctx, const Item& item) {
    if (SLUICE_LIKELY(take_shortcut(ctx, item, &ctx.replay) == Shortcut::kTaken)) {
        ctx.counters->add(Counter::k_cache_shortcut);
        ctx.shortcuts.was_useful();
        return false;
    }
    WalkEnv env = env_of(ctx, item);
    env.replay = &ctx.replay;
    ctx.replay.told = ctx.replay.count;
    ctx.replay.records = ctx.shortcuts.may_learn(meta_of(item.m).key);
    if (ctx.replay.records) {
        walk_and_learn(ctx, item, env);
    } else {
        run_walk(ctx, item, env, nullptr);
    }
    return true;
}

void walk_item(WorkerCtx& ctx, Item& item, CacheEntry* stale) {
    const PacketKey& key = meta_of(item.m).key;
    const uint32_t bytes = key.pkt_len;
    if (item.mask && item.mask->reads_ct && ctx.shortcuts.enabled()) {
        if (!walk_by_shortcut(ctx, item)) {
            if (stale) {
                ctx.cache.remove(stale, ctx.counters);
            }
            return;
        }
    } else {
        run_walk(ctx, item, env_of(ctx, item), ctx.trace);
    }
    if (SLUICE_UNLIKELY(ctx.program.needs_whole)) {
        hold_fragment(ctx, item);
        return;
    }
    CacheEntry* entry = nullptr;
    if (item.mask && ctx.program.cacheable) {
        entry =
            ctx.cache.insert(item.hash, item.key, ctx.program, *ctx.pipeline, stale, ctx.counters);
    } else if (stale) {
        ctx.cache.remove(stale, ctx.counters);
    }
    if (entry) {
        ++entry->program->trail->packets;
        entry->program->trail->bytes += bytes;
    } else {
        credit_now(ctx, 1, bytes);
    }
    ctx.counters->add(entry ? Counter::k_cache_miss : Counter::k_cache_bypass);
    apply(ctx, item.m, ctx.program.view());
}

/// Another worker was quicker: the rest of the steps learn of the packet the long way.
void touch_from(WorkerCtx& ctx, const Item& item, const CachedProgram& program, unsigned first) {
    const PacketKey& key = meta_of(item.m).key;
    Conntrack& table = *ctx.config.conntrack;
    PacketFacts facts;
    read_facts(item.m, key, &facts);
    for (unsigned i = first; i < program.n_steps; ++i) {
        const CtStep& step = program.steps()[i];
        CtView view;
        if (table.review(step.conn, step.generation, step.is_reply != 0, facts, ctx.now_ms,
                         &view)) {
            table.touch(view, facts, key.pkt_len, ctx.now_ms);
        }
    }
}

/// As ask_each() for plain packets of established connections. False: ask_each() must.
bool ask_at_a_glance(WorkerCtx& ctx, const Item& item, const CachedProgram& program) {
    const PacketKey& key = meta_of(item.m).key;
    QuickFacts facts;
    CtGlance glances[ProgramBuffer::kMaxSteps];
    if (!read_quick_facts(item.m, key, &facts)) {
        return false;
    }
    for (unsigned i = 0; i < program.n_steps; ++i) {
        if (!ct_glance(program.steps()[i], facts, ctx.now_ms, &glances[i])) {
            return false;
        }
    }
    for (unsigned i = 0; i < program.n_steps; ++i) {
        if (SLUICE_UNLIKELY(!ct_settle(program.steps()[i], glances[i], key.pkt_len))) {
            touch_from(ctx, item, program, i);
            break;
        }
    }
    return true;
}

/// The connections that a cached program asked still say the same, and are told of the packet. All
/// are asked before one is told, so that a walk can follow. Segments that open or close connections
/// are walked: what one step does may change what the next one sees.
bool ask_each(WorkerCtx& ctx, const Item& item, const CachedProgram& program) {
    constexpr uint32_t kNat = ct::kSnat | ct::kDnat;
    constexpr uint16_t kFinSynRst = 7;
    const PacketKey& key = meta_of(item.m).key;
    if (key.tcp_flags & htons(kFinSynRst)) {
        return false;
    }
    Conntrack& table = *ctx.config.conntrack;
    PacketFacts facts;
    read_facts(item.m, key, &facts);
    CtView views[ProgramBuffer::kMaxSteps];
    for (unsigned i = 0; i < program.n_steps; ++i) {
        const CtStep& step = program.steps()[i];
        if (!table.review(step.conn, step.generation, step.is_reply != 0, facts, ctx.now_ms,
                          &views[i]) ||
            views[i].version != step.version || ((views[i].ct_state ^ step.ct_state) & ~kNat)) {
            return false;
        }
    }
    for (unsigned i = 0; i < program.n_steps; ++i) {
        table.touch(views[i], facts, key.pkt_len, ctx.now_ms);
    }
    return true;
}

/// A program that sends the packet itself one way is a few stores; all others are interpreted.
void run_program(WorkerCtx& ctx, rte_mbuf* m, const CachedProgram& program) {
    if (SLUICE_UNLIKELY(
            program.form == CachedProgram::Form::kAny || m->pkt_len > ctx.pipeline->tunnel_room ||
            (program.has_rewrite && !apply_rewrite(m, meta_of(m).key, program.rewrite())))) {
        apply(ctx, m, program.view());
        return;
    }
    if (program.form == CachedProgram::Form::kOutput) {
        transmit(ctx, m, program.port);
        return;
    }
    const uint64_t* w = program.words() + program.n_words - 2;
    send_by_tunnel(ctx, m, act::d(w[0]), w[1]);
}

/// Returns 1 for a hit.
unsigned forward(WorkerCtx& ctx, Item& item) {
    CacheEntry* const entry = item.entry;
    if (SLUICE_UNLIKELY(!entry)) {
        walk_item(ctx, item, nullptr);
        return 0;
    }
    const CachedProgram& program = *entry->program;
    CachedTrail& trail = *program.trail;
    if (SLUICE_UNLIKELY(!ProgramStore::still_good(&trail, *ctx.pipeline))) {
        ctx.counters->add(Counter::k_cache_stale);
        walk_item(ctx, item, entry);
        return 0;
    }
    if (program.n_steps && !ask_at_a_glance(ctx, item, program) && !ask_each(ctx, item, program)) {
        ctx.counters->add(Counter::k_cache_ct_changed);
        walk_item(ctx, item, entry);
        return 0;
    }
    ++trail.packets;
    trail.bytes += item.m->pkt_len;
    run_program(ctx, item.m, program);
    return 1;
}

}  // namespace

void forward_items(WorkerCtx& ctx) {
    if (ctx.joins.n) {
        end_joins(ctx);
    }
    probe(ctx);
    const uint64_t version = ctx.cache.version();
    unsigned hits = 0;
    for (unsigned i = 0; i < ctx.n_items; ++i) {
        Item& item = ctx.items[i];
        if (SLUICE_UNLIKELY(ctx.cache.version() != version) && item.mask) {
            // A packet before this one changed the cache: the answer may be out of date.
            item.entry = ctx.cache.find(item.hash, item.key);
        }
        if (SLUICE_UNLIKELY(item.m->pkt_len > ctx.pipeline->tunnel_room)) {
            ctx.long_start = item.start;
        }
        hits += forward(ctx, item);
    }
    ctx.counters->add(Counter::k_cache_hit, hits);
    ctx.n_items = 0;
}

}  // namespace sluice
