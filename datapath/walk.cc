// SPDX-License-Identifier: Apache-2.0
#include "datapath/walk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "datapath/classify.h"
#include "datapath/super_frame.h"
#include "lib/base/check.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

constexpr uint32_t low_bits(uint32_t width) {
    return width >= 32 ? ~0u : (1u << width) - 1;
}

}  // namespace

template <bool kTrace>
void Walker<kTrace>::record(TraceRecord::Kind kind, uint32_t target, uint32_t count) {
    if constexpr (kTrace) {
        TraceRecord r{.kind = kind};
        r.depth = static_cast<uint16_t>(depth_ + f_.reentries);
        r.datapath = f_.datapath ? f_.datapath->index : 0;
        r.inport = f_.s.w[kSlotInport];
        r.outport = f_.s.w[kSlotOutport];
        r.target = target;
        r.count = count;
        r.flow = flow_;
        r.state = f_.s;
        if (SLUICE_UNLIKELY(trace_->records.size() >= trace_->limit)) {
            trace_->is_full = true;
            trace_->records.pop_back();
        }
        trace_->records.push_back(std::move(r));
    }
}

template <bool kTrace>
void Walker<kTrace>::drop(Drop reason) {
    emit_drop(f_, reason, flow_, &out_);
    if constexpr (kTrace) {
        record(TraceRecord::Kind::kDrop);
        trace_->records.back().reason = reason;
    }
}

template <bool kTrace>
void Walker<kTrace>::start(const PacketKey& key, const WalkStart& start) {
    key_ = &key;
    source_ = start.source;
    f_.datapath = start.datapath;
    f_.ct = nullptr;
    f_.made = nullptr;
    f_.ct_depth = 0;
    f_.n_made = 0;
    f_.n_prefix = 0;
    f_.queue = Frame::kNoQueue;
    f_.n_meters = 0;
    f_.reentries = 0;
    std::memset(f_.s.w, 0, kSlotEthSrc * sizeof f_.s.w[0]);
    std::memset(f_.written, 0, sizeof f_.written);
    expand_key(key, &f_.s);
    if (env_.packet) {
        f_.s.w[kSlotPktLen] = wire_length(env_.packet, key);
    }
    f_.s.w[kSlotDatapath] = start.datapath->key;
    f_.s.w[kSlotInport] = start.inport;
    f_.s.w[kSlotOutport] = start.outport;
    f_.s.w[kSlotFlags] = start.flags;
    f_.s.w[kSlotPktMark] = key.pkt_mark;
    out_.cross(start.datapath->index);
    switch (start.kind) {
    case WalkStart::Kind::kIngress:
        record(TraceRecord::Kind::kEnter);
        mirror_received(key);
        run(kIngress, 0);
        break;
    case WalkStart::Kind::kEgress: run(kEgress, 0); break;
    case WalkStart::Kind::kResume: resume(start); break;
    case WalkStart::Kind::kOutput: output(true); break;
    case WalkStart::Kind::kOutputLocal: output(false); break;
    }
}

/// The answer to a punt: all logical words are as they were, the header fields are the answer's.
template <bool kTrace>
void Walker<kTrace>::resume(const WalkStart& start) {
    const PuntMeta& punt = *env_.resume;
    std::memcpy(f_.s.w, punt.logical, sizeof punt.logical);
    f_.s.w[kSlotDatapath] = start.datapath->key;
    resume_ct(punt.ct_zone);
    record(TraceRecord::Kind::kEnter);
    run(punt.side & 1, punt.table % limits::kMaxTables);
}

template <bool kTrace>
bool Walker<kTrace>::descend() {
    if (depth_ + f_.reentries >= limits::kMaxWalkDepth) {
        drop(Drop::k_walk_too_deep);
        return false;
    }
    ++depth_;
    return true;
}

template <bool kTrace>
void Walker<kTrace>::run(unsigned side, unsigned table) {
    for (;;) {
        const Table* t = f_.datapath->tables[side][table];
        const Rule* rule = datapath::classify(*t, f_.s);
        ++lookups_;
        flow_ = rule ? rule->flow : kNoFlow;
        if constexpr (kTrace) {
            record(TraceRecord::Kind::kTable);
            trace_->records.back().side = static_cast<uint8_t>(side);
            trace_->records.back().table = static_cast<uint8_t>(table);
            trace_->records.back().rule = rule;
        }
        if (!rule) {
            drop(Drop::k_no_match);
            return;
        }
        out_.credit(rule->flow);
        if (rule->length == 0) {
            drop(Drop::k_logical_flow);
            return;
        }
        bool went = false;
        const Instr* jump = exec(rule->code, rule->code + rule->length, side, &went);
        if (!jump) {
            if (!went) {
                drop(Drop::k_no_output);
            }
            return;
        }
        side = jump->a;
        table = jump->d;
    }
}

/// Runs code; a `next` that ends it is returned instead of called. `went` turns true when the
/// packet went somewhere or was dropped by name.
template <bool kTrace>
const Instr* Walker<kTrace>::exec(const Instr* i, const Instr* end, unsigned side, bool* went) {
    const uint32_t flow = flow_;
    while (i != end) {
        if constexpr (kTrace) {
            record(TraceRecord::Kind::kCode);
            trace_->records.back().instr = i;
            trace_->records.back().side = static_cast<uint8_t>(side);
        }
        switch (i->op) {
        case Op::kNext:
            *went = true;
            if (i + 1 == end) {
                return i;
            }
            [[fallthrough]];
        case Op::kOutput:
        case Op::kClone:
        case Op::kTransform:
            *went = true;
            i = exec_call(i, end, side);
            flow_ = flow;
            break;
        case Op::kCtNext:
        case Op::kCtCommit:
        case Op::kCtLb:
        case Op::kCtSnatToVip:
        case Op::kCtOriginal:
        case Op::kChkLbHairpin:
        case Op::kChkLbHairpinReply:
            if (!exec_ct(i, side)) {
                *went = true;
                return nullptr;
            }
            i += 1 + (i->op == Op::kCtCommit ? i->d : 0);
            break;
        case Op::kPunt:
            *went |= i->b != kPuntCopies;
            if (!punt(i, end)) {
                return nullptr;
            }
            ++i;
            break;
        case Op::kBuffer: i = hold(i, end); break;
        case Op::kDrop:
            *went = true;
            drop(i->a ? static_cast<Drop>(i->a) : Drop::k_logical_flow);
            return nullptr;
        default:
            if (!exec_data(*i)) {
                *went = true;
                return nullptr;
            }
            ++i;
            break;
        }
    }
    return nullptr;
}

template <bool kTrace>
const Instr* Walker<kTrace>::exec_call(const Instr* i, const Instr* end, unsigned side) {
    switch (i->op) {
    case Op::kNext:
        if (descend()) {
            run(i->a, i->d);
            --depth_;
        }
        return i + 1;
    case Op::kOutput:
        if (side == kIngress || i->a != 0) {
            output(true);
        } else {
            logical_to_physical();
        }
        return i + 1;
    case Op::kClone: clone(i, side); break;
    default: transform(i, side); break;
    }
    return std::min(i + 1 + i->d, end);
}

template <bool kTrace>
void Walker<kTrace>::clone(const Instr* i, unsigned side) {
    if (!descend()) {
        return;
    }
    const Frame saved = f_;
    const uint32_t sp = sp_;
    uint32_t stack[limits::kMaxStack];
    std::memcpy(stack, stack_, sp * sizeof stack[0]);
    bool went = false;
    if (const Instr* jump = exec(i + 1, i + 1 + i->d, side, &went)) {
        run(jump->a, jump->d);
    }
    f_ = saved;
    sp_ = sp;
    std::memcpy(stack_, stack, sp * sizeof stack[0]);
    --depth_;
}

template <bool kTrace>
void Walker<kTrace>::transform(const Instr* i, unsigned side) {
    if (!within_meter(*i)) {
        drop(Drop::k_metered);
        return;
    }
    if (!descend()) {
        return;
    }
    const Frame saved = f_;
    const uint64_t mirrored = std::exchange(mirrored_, 0);  // it will be another packet
    uint64_t sets[ProgramBuffer::kMaxSection];
    const uint32_t n = append_sets(f_, sets);
    if (f_.n_prefix + n + 1 > Prefix::kWords) {
        drop(Drop::k_walk_too_deep);
    } else {
        std::memcpy(prefix_.words + f_.n_prefix, sets, n * sizeof sets[0]);
        prefix_.words[f_.n_prefix + n] = act::word(Act::kTransform, i->a);
        if (f_.ct) {
            f_.ct->show(&f_.s);
        }
        const State quoted = f_.s;
        f_.n_prefix += n + 1;
        std::memset(f_.written, 0, sizeof f_.written);
        // The new packet's fields come from fields that no table needs to have read.
        out_.cacheable = false;
        bool went = false;
        if (!transform_state(static_cast<Transform>(i->a), &f_)) {
            drop(Drop::k_not_answered);
        } else {
            make_facts(static_cast<Transform>(i->a), quoted);
            if (const Instr* jump = exec(i + 1, i + 1 + i->d, side, &went)) {
                run(jump->a, jump->d);
            }
        }
    }
    f_ = saved;
    mirrored_ = mirrored;
    --depth_;
}

template <bool kTrace>
void Walker<kTrace>::move(const Instr& i, bool exchange) {
    const uint32_t mask = low_bits(i.e);
    const uint32_t to = (f_.s.w[i.a] >> i.c) & mask;
    const uint32_t from = (f_.s.w[i.b] >> i.d) & mask;
    f_.write(i.a, mask << i.c, from << i.c);
    if (exchange) {
        f_.write(i.b, mask << i.d, to << i.d);
    }
}

/// False when the packet was dropped and the path ends.
template <bool kTrace>
bool Walker<kTrace>::exec_data(const Instr& i) {
    switch (i.op) {
    case Op::kLoad: f_.write(i.a, i.e, i.d); return true;
    case Op::kMove: move(i, false); return true;
    case Op::kExchange: move(i, true); return true;
    case Op::kPush:
        if (sp_ == limits::kMaxStack) {
            drop(Drop::k_stack_overflow);
            return false;
        }
        stack_[sp_++] = (f_.s.w[i.b] >> i.d) & low_bits(i.e);
        return true;
    case Op::kPop:
        if (sp_ != 0) {
            f_.write(i.a, low_bits(i.e) << i.c, stack_[--sp_] << i.c);
        }
        return true;
    case Op::kDecTtl:
        if (f_.s.w[kSlotIpTtl] <= 1) {
            drop(Drop::k_ttl_expired);
            return false;
        }
        f_.write(kSlotIpTtl, 0xff, f_.s.w[kSlotIpTtl] - 1);
        return true;
    case Op::kPutArp:
    case Op::kPutNd:
    case Op::kPutFdb:
        if (within_meter(i)) {
            emit_message(f_, i, flow_, &out_);
        } else {
            ++metered_;
        }
        return true;
    case Op::kCheckPktLarger:
        f_.write(i.e, 1u << i.f, (f_.s.w[kSlotPktLen] > i.d) << i.f);
        return true;
    case Op::kSetQueue: f_.queue = i.d; return true;
    case Op::kSetMeter:
    case Op::kCommitLbAff:
    case Op::kChkLbAff:
    case Op::kCommitEcmpNh:
    case Op::kChkEcmpNh:
    case Op::kChkEcmpNhMac:
    case Op::kFwdGroup:
    case Op::kGetRemoteFdb:
    case Op::kChkEvpnArp:
    case Op::kFloodRemote:
    case Op::kMacCacheUse: return exec_memory(i);
    case Op::kCtClear: forget_ct(); return true;
    case Op::kLookupFdb:
        lookup(f_, i, &f_);
        if (f_.datapath->neighbors->fdb_ages && (f_.s.w[i.e] >> i.f & 1)) {
            emit_message(f_, i, flow_, &out_);
        }
        return true;
    default: lookup(f_, i, &f_); return true;
    }
}

template <bool kTrace>
void walk(const Pipeline& pipeline, const PacketKey& key, const WalkStart& start,
          const WalkEnv& env, ProgramBuffer* out, WorkerCounters* counters, Trace* trace) {
    Walker<kTrace> walker(pipeline, env, out, trace);
    walker.start(key, start);
    out->finish();
    counters->add(Counter::k_walk_tables, walker.lookups());
    if (walker.metered() != 0) {
        counters->add(Counter::k_punts_metered, walker.metered());
    }
}

template void walk<false>(const Pipeline&, const PacketKey&, const WalkStart&, const WalkEnv&,
                          ProgramBuffer*, WorkerCounters*, Trace*);
template void walk<true>(const Pipeline&, const PacketKey&, const WalkStart&, const WalkEnv&,
                         ProgramBuffer*, WorkerCounters*, Trace*);
// walk_output.cc calls these.
template void Walker<false>::run(unsigned, unsigned);
template void Walker<true>::run(unsigned, unsigned);
template void Walker<false>::drop(Drop);
template void Walker<true>::drop(Drop);
template void Walker<false>::record(TraceRecord::Kind, uint32_t, uint32_t);
template void Walker<true>::record(TraceRecord::Kind, uint32_t, uint32_t);

}  // namespace sluice
