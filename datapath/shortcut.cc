// SPDX-License-Identifier: Apache-2.0
#include "datapath/shortcut.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>

#include "datapath/select_hash.h"
#include "datapath/stages.h"
#include "datapath/super_frame.h"
#include "datapath/tunnel/encap.h"
#include "datapath/worker_ctx.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using Values = ShortcutValues;
static_assert(Values::kMaxSteps <= CtReplay::kMaxSteps);

uint32_t load_be32(const uint8_t* p) {
    uint32_t v;
    std::memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

bool is_for_shortcuts(const PacketKey& key) {
    constexpr uint8_t kNeeded = kind::kIp4 | kind::kL4;
    return (key.kinds & (kNeeded | kind::kIp6 | kind::kArp)) == kNeeded && key.ip_frag == 0 &&
           (key.ip_proto == wire::kProtoTcp || key.ip_proto == wire::kProtoUdp);
}

bool passes_all(const ShortcutNode& node, const Values& values) {
    const auto* words = reinterpret_cast<const uint8_t*>(&values);
    for (uint32_t i = 0; i < node.n_checks; ++i) {
        const ShortcutCheck& check = node.checks[i];
        uint32_t v;
        std::memcpy(&v, words + size_t{check.var} * sizeof v, sizeof v);
        if (!check.passes(v)) {
            return false;
        }
    }
    return true;
}

const ShortcutNode* pick(const ShortcutNode* node, const ShortcutOutcome& after,
                         const Values& values) {
    for (; node; node = node->sibling) {
        if (node->after == after && passes_all(*node, values)) {
            return node;
        }
    }
    return nullptr;
}

/// A packet on its way through a tree.
class Run {
public:
    Run(WorkerCtx& ctx, const Item& item, CtReplay* replay)
        : ctx_(ctx), m_(item.m), key_(meta_of(item.m).key), replay_(*replay) {
        std::memset(values_.s.w, 0, kSlotEthSrc * sizeof(uint32_t));
        expand_key(key_, &values_.s);
        values_.s.w[kSlotPktMark] = key_.pkt_mark;
    }

    Shortcut follow(const ShortcutNode* first);

private:
    void begin();
    void step(const ShortcutStep& step);
    void answer(const ShortcutStep& step, CtTrail* trail);
    const CtCommitArgs& choose(const ShortcutBackends& backends);
    void leave(const ShortcutLeaf& leaf);

    WorkerCtx& ctx_;
    rte_mbuf* m_;
    PacketKey& key_;
    CtReplay& replay_;
    Values values_;
    CtTuple tuple_;
    PacketFacts facts_;
    CtCommitArgs chosen_;
    ShortcutOutcome after_;
    // What the walk would have in its trail by now.
    uint32_t state_ = 0;
    uint16_t zone_ = 0;
    bool known_ = false;
    bool shown_ = false;
};

void Run::begin() {
    read_facts(m_, key_, &facts_);
    tuple_ = CtTuple{};
    tuple_.src[3] = values_.s.w[kSlotIp4Src];
    tuple_.dst[3] = values_.s.w[kSlotIp4Dst];
    tuple_.src_port = static_cast<uint16_t>(values_.s.w[kSlotL4Src]);
    tuple_.dst_port = static_cast<uint16_t>(values_.s.w[kSlotL4Dst]);
    tuple_.proto = key_.ip_proto;
}

const CtCommitArgs& Run::choose(const ShortcutBackends& b) {
    if (b.hash_fields == 0) {
        values_.s.w[kSlotFlowHash] = flow_hash_of(&key_, ctx_.config.hash_seed);
    }
    const CtLbArgs::Backend& backend =
        b.backends[select_hash_of(values_.s, b.hash_fields) % b.count];
    chosen_ = CtCommitArgs{};
    chosen_.marks = b.marks;
    chosen_.nat.kind = CtNat::kDst;
    chosen_.nat.is_v6 = b.is_v6;
    std::copy_n(backend.address, 4, chosen_.nat.low);
    std::copy_n(backend.address, 4, chosen_.nat.high);
    chosen_.nat.port_low = chosen_.nat.port_high = backend.port;
    return chosen_;
}

void Run::step(const ShortcutStep& step) {
    const CtCommitArgs* args = step.backends ? &choose(*step.backends) : step.args;
    const CtRequest request{step.op, step.zone, step.nat, step.recirculates, args};
    const unsigned n = replay_.count++;
    CtReplay::Step& made = replay_.steps[n];
    made.note(request);
    CtTrail* const trail = &made.trail;
    const CtTrail* const before = n && !step.is_first ? &replay_.steps[n - 1].trail : nullptr;
    if (before) {
        std::memcpy(static_cast<void*>(trail), before, sizeof *trail);
        trail->state = state_;
        trail->zone = zone_;
        trail->known = known_;
        trail->shown = shown_;
    } else {
        new (trail) CtTrail;
        trail->inner = facts_.inner;
    }
    tuple_.zone = step.zone;
    made.answer = ask_conntrack(*ctx_.config.conntrack, tuple_, facts_, request, key_.pkt_len,
                                ctx_.now_ms, trail);
    after_.is_known = made.answer.cacheable;
    answer(step, trail);
}

void Run::answer(const ShortcutStep& step, CtTrail* trail) {
    const CtView& view = trail->view;
    after_.translates = step.nat && view.has_nat;
    after_.state = trail->state | (after_.translates ? view.nat_state : 0);
    after_.mark = view.mark;
    after_.proto = view.original.proto;
    std::copy_n(view.label, 4, after_.label);
    state_ = after_.state;
    zone_ = step.zone;
    known_ = !step.nat && view.conn;
    shown_ = step.recirculates;
    if (after_.translates) {
        const CtTuple& to = view.translated;
        tuple_.src[3] = to.src[3];
        tuple_.dst[3] = to.dst[3];
        tuple_.src_port = to.src_port;
        tuple_.dst_port = to.dst_port;
    }
    uint32_t* const answers = values_.answers[replay_.count - 1];
    answers[Values::kSrc] = tuple_.src[3];
    answers[Values::kDst] = tuple_.dst[3];
    answers[Values::kSrcPort] = tuple_.src_port;
    answers[Values::kDstPort] = tuple_.dst_port;
    answers[Values::kOriginalSrc] = view.original.src_port;
    answers[Values::kOriginalDst] = view.original.dst_port;
}

Shortcut Run::follow(const ShortcutNode* first) {
    replay_.count = 0;
    const ShortcutNode* node = pick(first, after_, values_);
    if (!node) {
        return Shortcut::kNone;
    }
    if (!node->is_leaf) {
        begin();
    }
    while (!node->is_leaf) {
        step(node->step);
        node = pick(node->child, after_, values_);
        if (!node) {
            return Shortcut::kStopped;
        }
    }
    leave(node->leaf);
    return Shortcut::kTaken;
}

void Run::leave(const ShortcutLeaf& leaf) {
    ++leaf.trail->packets;
    leaf.trail->bytes += key_.pkt_len;
    if (leaf.form == CachedProgram::Form::kAny) {
        apply(ctx_, m_, {leaf.words, leaf.n_words});
        return;
    }
    Rewrite rewrite = leaf.rewrite;
    if (replay_.count) {
        const State& s = values_.s;
        const auto changed = [&](uint16_t field, uint32_t from, uint32_t to) {
            rewrite.fields |= static_cast<uint16_t>(from != to ? field : 0);
        };
        changed(Rewrite::kSrc, s.w[kSlotIp4Src], tuple_.src[3]);
        changed(Rewrite::kDst, s.w[kSlotIp4Dst], tuple_.dst[3]);
        changed(Rewrite::kSrcPort, s.w[kSlotL4Src], tuple_.src_port);
        changed(Rewrite::kDstPort, s.w[kSlotL4Dst], tuple_.dst_port);
        rewrite.src = __builtin_bswap32(tuple_.src[3]);
        rewrite.dst = __builtin_bswap32(tuple_.dst[3]);
        rewrite.src_port = __builtin_bswap16(tuple_.src_port);
        rewrite.dst_port = __builtin_bswap16(tuple_.dst_port);
    }
    if (rewrite.fields && SLUICE_UNLIKELY(!apply_rewrite(m_, key_, rewrite))) {
        ctx_.drop_packet(m_, Drop::k_not_applicable);
    } else if (leaf.form == CachedProgram::Form::kOutput) {
        transmit(ctx_, m_, leaf.port);
    } else {
        send_by_tunnel(ctx_, m_, act::d(leaf.words[0]), leaf.words[1]);
        ctx_.has_told = false;
    }
}

}  // namespace

/// A guess: the step before may answer otherwise. What it fetches for nothing costs little.
void foresee_shortcut(WorkerCtx& ctx, const Item& item) {
    PacketKey& key = meta_of(item.m).key;
    const ShortcutNode* node =
        ctx.shortcuts.find(key, *ctx.pipeline, &ctx.cache.programs(), ctx.counters);
    CtTuple tuple{};
    tuple.src[3] = load_be32(key.ip_src);
    tuple.dst[3] = load_be32(key.ip_dst);
    tuple.src_port = __builtin_bswap16(key.l4_src);
    tuple.dst_port = __builtin_bswap16(key.l4_dst);
    tuple.proto = key.ip_proto;
    bool is_fetched = false;
    for (; node && !node->is_leaf; node = node->child) {
        const ShortcutStep& step = node->step;
        if (!is_fetched || tuple.zone != step.zone) {
            tuple.zone = step.zone;
            ctx.config.conntrack->prefetch(tuple);
            is_fetched = true;
        }
        if (!step.commits) {
            continue;
        }
        if (step.backends) {
            if (step.backends->hash_fields != 0) {
                return;
            }
            const uint32_t hash = flow_hash_of(&key, ctx.config.hash_seed);
            const CtLbArgs::Backend& to = step.backends->backends[hash % step.backends->count];
            tuple.dst[3] = to.address[3];
            tuple.dst_port = to.port ? to.port : tuple.dst_port;
        } else if (step.args->nat.kind == CtNat::kSrc && step.args->nat.low[3] != 0) {
            tuple.src[3] = step.args->nat.low[3];
        }
        CtTuple answer = tuple;
        std::swap(answer.src[3], answer.dst[3]);
        std::swap(answer.src_port, answer.dst_port);
        ctx.config.conntrack->prefetch(answer);
    }
}

Shortcut take_shortcut(WorkerCtx& ctx, const Item& item, CtReplay* replay) {
    replay->count = 0;
    const PacketKey& key = meta_of(item.m).key;
    if (SLUICE_UNLIKELY(!ctx.config.conntrack || is_super(item.m) ||
                        item.m->pkt_len > ctx.pipeline->tunnel_room)) {
        return Shortcut::kNone;  // the sender may have to be told that it is too long
    }
    const ShortcutNode* first =
        ctx.shortcuts.find(key, *ctx.pipeline, &ctx.cache.programs(), ctx.counters);
    return first ? Run(ctx, item, replay).follow(first) : Shortcut::kNone;
}

bool Shortcuts::init() {
    roots_ = std::make_unique<Root[]>(kRoots);
    arena_.reset(new (std::nothrow) uint8_t[kArenaBytes]);
    trace.records.reserve(kTraceRecords);
    trace.limit = kTraceRecords;
    return arena_ != nullptr;
}

unsigned Shortcuts::root_of(const PacketKey& key) {
    const uint64_t h = (key.context ^ uint64_t{key.ip_proto} << 56) * 0x9e3779b97f4a7c15ull;
    return static_cast<unsigned>(h >> 32) % kRoots;
}

bool Shortcuts::still_good(Root* root, const Pipeline& pipeline) {
    if (pipeline.physical_generation > root->born) {
        return false;
    }
    for (unsigned i = 0; i < root->n_crossed; ++i) {
        const Datapath* dp = pipeline.datapath(root->crossed[i]);
        if (!dp || dp->generation > root->born) {
            return false;
        }
    }
    root->checked = pipeline.sequence;
    return true;
}

const ShortcutNode* Shortcuts::find(const PacketKey& key, const Pipeline& pipeline,
                                    ProgramStore* programs, WorkerCounters* counters) {
    if (!is_for_shortcuts(key)) {
        return nullptr;
    }
    Root& root = roots_[root_of(key)];
    if (!root.first || root.context != key.context || root.kinds != key.kinds ||
        root.proto != key.ip_proto) {
        return nullptr;
    }
    if (SLUICE_UNLIKELY(root.checked != pipeline.sequence) && !still_good(&root, pipeline)) {
        drop(&root, programs, counters);
        return nullptr;
    }
    return root.first;
}

bool Shortcuts::may_learn(const PacketKey& key) {
    if (!is_for_shortcuts(key)) {
        return false;
    }
    if (credit_ < cost_) {
        ++credit_;
        return false;
    }
    credit_ -= cost_;
    return true;
}

void Shortcuts::release(const ShortcutNode* node, ProgramStore* programs,
                        WorkerCounters* counters) {
    for (; node; node = node->sibling) {
        if (node->is_leaf) {
            programs->release_trail(node->leaf.trail, counters);
        } else {
            release(node->child, programs, counters);
        }
    }
}

/// What it took of the arena is lost until that is emptied.
void Shortcuts::drop(Root* root, ProgramStore* programs, WorkerCounters* counters) {
    release(root->first, programs, counters);
    *root = Root{};
}

void Shortcuts::clear(ProgramStore* programs, WorkerCounters* counters) {
    for (unsigned i = 0; roots_ && i < kRoots; ++i) {
        drop(&roots_[i], programs, counters);
    }
    used_ = 0;
    is_full_ = false;
}

void* Shortcuts::take(size_t bytes) {
    bytes = (bytes + 15) & ~size_t{15};
    if (used_ + bytes > kArenaBytes) {
        is_full_ = true;
        return nullptr;
    }
    void* const block = arena_.get() + used_;
    used_ += bytes;
    return block;
}

template <typename T>
T* Shortcuts::keep(const T* from, size_t n) {
    auto* const to = static_cast<T*>(take(n * sizeof(T)));
    if (to && n) {
        std::memcpy(static_cast<void*>(to), from, n * sizeof(T));
    }
    return to;
}

bool Shortcuts::cross(Root* root, const ProgramBuffer& program) {
    if (program.n_crossed == limits::kMaxCrossed) {
        return false;  // perhaps not all that it crossed
    }
    for (unsigned i = 0; i < program.n_crossed; ++i) {
        const uint32_t* const end = root->crossed + root->n_crossed;
        if (std::find(root->crossed, const_cast<uint32_t*>(end), program.crossed[i]) != end) {
            continue;
        }
        if (root->n_crossed == limits::kMaxCrossed) {
            return false;
        }
        root->crossed[root->n_crossed++] = program.crossed[i];
    }
    return true;
}

/// The parts from `part` on as a chain. Null: no room.
ShortcutNode* Shortcuts::make(const ShortcutPath& learnt, unsigned part,
                              const ProgramBuffer& program, const Pipeline& pipeline,
                              ProgramStore* programs, WorkerCounters* counters) {
    ShortcutNode* child = nullptr;
    for (unsigned n = learnt.n_parts; n-- > part;) {
        const ShortcutPath::Part& from = learnt.parts[n];
        auto* node = static_cast<ShortcutNode*>(take(sizeof(ShortcutNode)));
        const ShortcutCheck* checks = keep(from.checks, from.n_checks);
        bool ok = node && checks;
        if (ok) {
            node = new (node) ShortcutNode{};
            node->after = from.after;
            node->checks = checks;
            node->n_checks = from.n_checks;
            node->child = child;
            node->is_leaf = n + 1 == learnt.n_parts;
        }
        if (ok && node->is_leaf) {
            node->leaf = learnt.leaf;
            node->leaf.words = keep(learnt.leaf.words, learnt.leaf.n_words);
            node->leaf.trail = node->leaf.words ? programs->hold_trail(program, pipeline) : nullptr;
            ok = node->leaf.trail != nullptr;
        } else if (ok) {
            node->step = from.step;
            ok = keep_step(learnt.balancers[n], &node->step);
        }
        if (!ok) {
            release(child, programs, counters);
            return nullptr;
        }
        child = node;
    }
    return child;
}

/// Makes what a step points at its own.
bool Shortcuts::keep_step(const CtLbArgs* balancer, ShortcutStep* step) {
    if (step->op != Op::kCtLb) {
        step->args = step->args ? keep(step->args, 1) : nullptr;
        return !step->commits || step->args;
    }
    const size_t n = balancer->backends.size();
    auto* const to = static_cast<ShortcutBackends*>(
        take(sizeof(ShortcutBackends) + n * sizeof(CtLbArgs::Backend)));
    if (to) {
        to->marks = balancer->marks;
        to->hash_fields = balancer->hash_fields;
        to->is_v6 = balancer->is_v6;
        to->count = static_cast<uint32_t>(n);
        std::copy_n(balancer->backends.data(), n, to->backends);
    }
    step->backends = to;
    return to != nullptr;
}

void Shortcuts::add(const PacketKey& key, const Pipeline& pipeline, const ShortcutPath& learnt,
                    const ProgramBuffer& program, ProgramStore* programs,
                    WorkerCounters* counters) {
    Root& root = roots_[root_of(key)];
    const bool is_its = root.first && root.context == key.context && root.kinds == key.kinds &&
                        root.proto == key.ip_proto && root.checked == pipeline.sequence;
    if (!is_its) {
        drop(&root, programs, counters);
        root.context = key.context;
        root.kinds = key.kinds;
        root.proto = key.ip_proto;
        root.born = root.checked = pipeline.sequence;
    }
    if (!cross(&root, program)) {
        was_useless();
        return;
    }
    ShortcutNode** list = &root.first;
    for (unsigned n = 0; n < learnt.n_parts; ++n) {
        const ShortcutPath::Part& part = learnt.parts[n];
        ShortcutNode* same = *list;
        unsigned siblings = 0;
        for (; same; same = same->sibling, ++siblings) {
            if (same->after == part.after && std::equal(same->checks, same->checks + same->n_checks,
                                                        part.checks, part.checks + part.n_checks)) {
                break;
            }
        }
        if (same && !same->is_leaf && n + 1 < learnt.n_parts) {
            list = &same->child;
            continue;
        }
        if (same) {
            return;
        }
        if (siblings >= kMaxChildren) {  // these tell apart what does not come again
            was_useless();
            drop(&root, programs, counters);
            return;
        }
        ShortcutNode* const made = make(learnt, n, program, pipeline, programs, counters);
        if (!made) {
            was_useless();
            if (is_full_) {
                clear(programs, counters);
            }
            return;
        }
        made->sibling = *list;
        *list = made;
        return;
    }
}

}  // namespace sluice
