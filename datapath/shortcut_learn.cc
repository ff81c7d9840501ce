// SPDX-License-Identifier: Apache-2.0
#include "datapath/shortcut_learn.h"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

using Kind = TraceRecord::Kind;
using Values = ShortcutValues;

constexpr unsigned kTupleSlots[] = {kSlotIp4Src, kSlotIp4Dst, kSlotL4Src, kSlotL4Dst};

constexpr uint32_t width_bits(uint32_t width) {
    return width >= 32 ? ~0u : (1u << width) - 1;
}

class Learner {
public:
    Learner(const Pipeline& pipeline, const CtReplay& steps, ShortcutPath* path)
        : pipeline_(pipeline), steps_(steps), path_(*path) {}

    bool follow(const Trace& trace, const ProgramBuffer& program);

private:
    bool record(const TraceRecord& r);
    bool code(const TraceRecord& r);
    bool data(const TraceRecord& r);
    bool neighbor(const Instr& i);
    bool hairpin(const TraceRecord& r);
    void check_port(const TraceRecord& r, unsigned port_slot);
    bool track(const TraceRecord& r);
    void pin_marks(const Instr* block, uint32_t n);
    ShortcutOutcome outcome_of(const CtReplay::Step& step, const ShortcutStep& asked);
    void write(unsigned slot, uint32_t mask);
    void move(const Instr& i, bool exchange);
    bool end_part();
    bool has_tuple() const;
    bool has_own_macs() const;
    bool leaf(const ProgramBuffer& program);
    bool plain_words(const ProgramBuffer& program);

    const Pipeline& pipeline_;
    const CtReplay& steps_;
    ShortcutPath& path_;
    Spans spans_;
    Spans::Span before_[Values::kVars];  ///< at the beginning of the part
    uint8_t tuple_[4] = {};              ///< variables of the tuple that flows see
    struct {
        uint8_t var;
        uint32_t value;
    } real_[4] = {};          ///< of the tuple that the packet has
    bool is_hidden_ = false;  ///< these are not the same
    unsigned n_steps_ = 0;
    bool is_tracked_ = false;  ///< conntrack remembers the step before
    bool is_shown_ = false;    ///< and flows saw its answer
    bool is_translated_ = false;
    bool is_over_ = false;  ///< the packet has gone where it goes
    uint16_t depth_ = 0;    ///< of the last record
};

/// Some bits of a word become the same for all; the others must be, too.
void Learner::write(unsigned slot, uint32_t mask) {
    if (mask != ~0u) {
        spans_.pin(slot, ~mask);
    }
    spans_.fix(slot);
}

void Learner::move(const Instr& i, bool exchange) {
    const uint32_t mask = width_bits(i.e);
    if (!exchange && i.e >= 32 && (i.a < kSlotEthSrc || i.a == kSlotUses)) {
        spans_.move(i.a, i.b);
        return;
    }
    spans_.pin(i.b, mask << i.d);
    if (exchange) {
        spans_.pin(i.a, mask << i.c);
        write(i.b, mask << i.d);
    }
    write(i.a, mask << i.c);
}

bool Learner::neighbor(const Instr& i) {
    spans_.pin(i.a);
    spans_.pin(i.b);
    switch (i.op) {
    case Op::kGetArp: spans_.fix(kSlotEthDst, 2); return true;
    case Op::kLookupArp: spans_.pin_words(i.c, 2); [[fallthrough]];
    case Op::kLookupArpIp: write(i.e, 1u << i.f); return true;
    default: return false;
    }
}

/// What violates_in() and violates_out() read of an IPv4 packet.
void Learner::check_port(const TraceRecord& r, unsigned port_slot) {
    const bool is_in = port_slot == kSlotInport;
    spans_.pin(port_slot);
    const Datapath* dp = pipeline_.datapath(r.datapath);
    const LogicalPort* const* port = dp ? dp->ports.find(r.state.w[port_slot]) : nullptr;
    if (port && (*port)->security && !(*port)->security->entries.empty()) {
        spans_.pin(kSlotEthType);
        spans_.pin_words(is_in ? kSlotEthSrc : kSlotEthDst, 2);
        spans_.pin(is_in ? kSlotIp4Src : kSlotIp4Dst);
        if (is_in && r.state.w[kSlotIp4Src] == 0) {  // DHCP's way to ask
            spans_.pin(kSlotIpProto);
            for (const unsigned slot : kTupleSlots) {
                spans_.pin(slot);
            }
        }
    }
    write(r.instr->e, 1u << r.instr->f);
}

/// Only for datapaths whose table is empty: sessions come and go.
bool Learner::hairpin(const TraceRecord& r) {
    const Datapath* dp = pipeline_.datapath(r.datapath);
    if (!dp || dp->hairpins) {
        return false;
    }
    write(r.instr->e, 1u << r.instr->f);
    return true;
}

bool Learner::data(const TraceRecord& r) {
    const Instr& i = *r.instr;
    switch (i.op) {
    case Op::kLoad: write(i.a, i.e); return true;
    case Op::kMove: move(i, false); return true;
    case Op::kExchange: move(i, true); return true;
    case Op::kPush: spans_.pin(i.b, width_bits(i.e) << i.d); return true;
    case Op::kPop:  // of an empty stack it does nothing
        spans_.pin(i.a);
        spans_.fix(i.a);
        return true;
    case Op::kDecTtl:
        spans_.pin(kSlotIpTtl);
        spans_.fix(kSlotIpTtl);
        return true;
    case Op::kCheckPktLarger:
        if (r.state.w[kSlotPktLen] > i.d) {
            spans_.keep(kSlotPktLen, 0, 32, i.d + 1, ~0u);
        } else {
            spans_.keep(kSlotPktLen, 0, 32, 0, i.d);
        }
        write(i.e, 1u << i.f);
        return true;
    case Op::kGetArp:
    case Op::kLookupArp:
    case Op::kLookupArpIp: return neighbor(i);
    case Op::kGetFdb:
        spans_.pin_words(i.b, 2);
        write(i.a, ~0u);
        return true;
    case Op::kLookupFdb:
        spans_.pin(i.a);
        spans_.pin_words(i.b, 2);
        write(i.e, 1u << i.f);
        return true;
    case Op::kCheckInPortSec: check_port(r, kSlotInport); return true;
    case Op::kCheckOutPortSec: check_port(r, kSlotOutport); return true;
    case Op::kChkLbHairpin:
    case Op::kChkLbHairpinReply: return hairpin(r);
    case Op::kCtClear:
        spans_.fix(kSlotCtState, kSlotEthSrc - kSlotCtState);
        spans_.fix(kSlotCtProto, kCtOriginalWords);
        is_tracked_ = is_tracked_ && !is_shown_;
        return true;
    default: return false;
    }
}

/// Values that a commit's block takes from elsewhere.
void Learner::pin_marks(const Instr* block, uint32_t n) {
    for (const Instr* i = block; i != block + n; ++i) {
        if (i->op == Op::kMove) {
            spans_.pin(i->b, width_bits(i->e) << i->d);
        }
    }
    for (unsigned slot = kSlotCtMark; slot < kSlotEthSrc; ++slot) {
        spans_.pin(slot);
    }
}

bool Learner::has_tuple() const {
    for (unsigned n = 0; n < 4; ++n) {
        if (spans_.var(kTupleSlots[n]) != tuple_[n]) {
            return false;
        }
    }
    return true;
}

/// What a choice by MACs would look at: both are still the packet's.
bool Learner::has_own_macs() const {
    for (unsigned slot = kSlotEthSrc; slot < kSlotEthSrc + 4; ++slot) {
        if (spans_.var(slot) != slot) {
            return false;
        }
    }
    return true;
}

ShortcutOutcome Learner::outcome_of(const CtReplay::Step& step, const ShortcutStep& asked) {
    const CtView& view = step.trail.view;
    ShortcutOutcome out;
    out.translates = asked.nat && view.has_nat;
    out.state = step.trail.state | (out.translates ? view.nat_state : 0);
    out.is_known = step.answer.cacheable;
    out.mark = view.mark;
    out.proto = view.original.proto;
    std::copy_n(view.label, 4, out.label);
    return out;
}

bool Learner::end_part() {
    ShortcutPath::Part& part = path_.parts[path_.n_parts];
    part.n_checks = 0;
    for (unsigned v = 0; v < Values::kVars; ++v) {
        const Spans::Span& span = spans_.of(v);
        if (span == before_[v]) {
            continue;
        }
        if (part.n_checks == ShortcutPath::kMaxChecks) {
            return false;
        }
        const uint32_t value = spans_.value_of(v);
        SLUICE_DCHECK(span.low <= value && value <= span.high);
        part.checks[part.n_checks++] = {span.low, span.high - span.low, span.mask,
                                        value & span.mask, v};
        before_[v] = span;
    }
    // What tells most ways apart comes first.
    std::sort(part.checks, part.checks + part.n_checks,
              [](const ShortcutCheck& a, const ShortcutCheck& b) { return a.var > b.var; });
    ++path_.n_parts;
    return true;
}

bool Learner::track(const TraceRecord& r) {
    const Instr& i = *r.instr;
    if (n_steps_ == steps_.count || n_steps_ == Values::kMaxSteps || !has_tuple()) {
        return false;
    }
    const CtReplay::Step& made = steps_.steps[n_steps_];
    if (made.op != i.op) {
        return false;
    }
    spans_.pin(kSlotInport);
    spans_.pin(kSlotOutport);
    if (i.op == Op::kCtCommit) {
        pin_marks(&i + 1, i.d);
    }
    ShortcutStep& step = path_.parts[path_.n_parts].step;
    step = {i.op,         made.nat,  made.recirculates, made.commits,
            !is_tracked_, made.zone, nullptr,           nullptr};
    if (i.op == Op::kCtLb) {
        const auto& lb = *static_cast<const CtLbArgs*>(i.p);
        if (lb.backends.size() > ShortcutBackends::kMax || lb.is_v6 ||
            (lb.hash_fields != 0 && (is_translated_ || !has_own_macs())) ||
            spans_.var(kSlotFlowHash) != kSlotFlowHash) {
            return false;
        }
        path_.balancers[n_steps_] = &lb;
    } else {
        step.args = made.commits ? &made.args : nullptr;
    }
    if (!end_part()) {
        return false;
    }
    const ShortcutOutcome after = outcome_of(made, step);
    const CtView& view = made.trail.view;
    path_.parts[path_.n_parts].after = after;
    if (after.translates) {
        if (view.is_related || view.translated.is_v6) {
            return false;
        }
        const CtTuple& to = view.translated;
        const uint32_t now[] = {to.src[3], to.dst[3], to.src_port, to.dst_port};
        for (unsigned n = 0; n < 4; ++n) {
            real_[n] = {static_cast<uint8_t>(Values::var_of(n_steps_, n)), now[n]};
        }
        is_translated_ = true;
        is_hidden_ = true;
    }
    if (step.recirculates && is_hidden_) {
        is_hidden_ = false;
        for (unsigned n = 0; n < 4; ++n) {
            tuple_[n] = real_[n].var;
            spans_.set_var(kTupleSlots[n], real_[n].var, real_[n].value);
        }
    }
    spans_.fix(kSlotCtState, kSlotEthSrc - kSlotCtState);
    if (step.recirculates) {
        spans_.fix(kSlotCtProto);
        spans_.set_var(kSlotCtTpSrc,
                       static_cast<uint8_t>(Values::var_of(n_steps_, Values::kOriginalSrc)),
                       view.original.src_port);
        spans_.set_var(kSlotCtTpDst,
                       static_cast<uint8_t>(Values::var_of(n_steps_, Values::kOriginalDst)),
                       view.original.dst_port);
    }
    is_tracked_ = true;
    is_shown_ = step.recirculates;
    ++n_steps_;
    return true;
}

bool Learner::code(const TraceRecord& r) {
    switch (r.instr->op) {
    case Op::kNext: return true;
    case Op::kOutput:  // what the stages behind it look at is not told one by one
        spans_.pin(kSlotOutport);
        spans_.pin(kSlotInport);
        spans_.pin(kSlotFlags);
        spans_.pin_words(kSlotEthSrc, kSlotIpTtl - kSlotEthSrc);
        return true;
    case Op::kDrop: return true;
    case Op::kCtNext:
    case Op::kCtCommit:
    case Op::kCtLb: return track(r);
    default: return data(r);
    }
}

bool Learner::record(const TraceRecord& r) {
    if (is_over_ || r.depth < depth_) {
        return false;  // something runs behind a copy, on what was before it
    }
    depth_ = r.depth;
    switch (r.kind) {
    case Kind::kEnter: return true;
    case Kind::kTable: {
        const Datapath* dp = pipeline_.datapath(r.datapath);
        if (!dp) {
            return false;
        }
        spans_.classify(*dp->tables[r.side][r.table], r.state);
        return true;
    }
    case Kind::kCode: return code(r);
    case Kind::kReplicate:  // fine as long as one copy comes of it
        spans_.fix(kSlotOutport);
        return true;
    case Kind::kDeliver:
        spans_.pin(kSlotInport);
        spans_.pin(kSlotOutport);
        spans_.pin(kSlotFlags);
        spans_.fix(kSlotXxreg0, kSlotPktMark - kSlotXxreg0);
        return true;
    case Kind::kReenter:
        spans_.fix(0, kSlotPktMark);
        spans_.fix(kSlotCtState, kSlotEthSrc - kSlotCtState);
        spans_.fix(kSlotCtProto, kCtOriginalWords);
        is_tracked_ = is_tracked_ && !is_shown_;
        return true;
    case Kind::kTunnel:
    case Kind::kOutput:
    case Kind::kDrop:
        spans_.pin(kSlotInport);
        spans_.pin(kSlotOutport);
        is_over_ = true;
        return true;
    default: return false;
    }
}

/// Words that are right for every packet: drops, and sets of what is the same for all.
bool Learner::plain_words(const ProgramBuffer& program) {
    const uint64_t* const end = program.words + program.n_words;
    for (const uint64_t* w = program.words; w != end; w += 1 + act::d(*w)) {
        if (act::b(*w) != 0) {
            return false;  // behind a meter
        }
        const Act first = act::d(*w) ? act::of(w[1]) : Act::kSideSection;
        if (act::of(*w) == Act::kSideSection && first != Act::kDrop) {
            return false;
        }
    }
    return true;
}

bool Learner::leaf(const ProgramBuffer& program) {
    if (!has_tuple() || !plain_words(program)) {
        return false;
    }
    ShortcutLeaf& leaf = path_.leaf;
    leaf = {};
    leaf.form = CachedProgram::Form::kAny;
    leaf.words = program.words;
    leaf.n_words = program.n_words;
    const uint64_t* w = program.words;
    const uint64_t* const end = w + program.n_words;
    if (program.n_words == 0 || act::of(*w) != Act::kPacketSection) {
        return program.n_words != 0;
    }
    if (!(*w & act::kInPlace) || act::d(*w) + 1 != program.n_words) {
        return false;
    }
    const uint64_t* last = w + 1;
    if (const uint64_t* after = collect_sets(last, end, &leaf.rewrite)) {
        leaf.is_rewritten = true;
        last = after;
    }
    leaf.rewrite.fields &= static_cast<uint16_t>(~Rewrite::kTuple);
    if (last + 1 == end && act::of(*last) == Act::kOutput) {
        leaf.form = CachedProgram::Form::kOutput;
        leaf.port = act::b(*last);
        leaf.n_words = 0;
        return true;
    }
    if (last + 2 == end && act::of(*last) == Act::kEncap) {
        leaf.form = CachedProgram::Form::kEncap;
        leaf.words = last;
        leaf.n_words = 2;
        return true;
    }
    return false;
}

bool Learner::follow(const Trace& trace, const ProgramBuffer& program) {
    path_.n_parts = 0;
    path_.parts[0].after = {};
    const TraceRecord* first = nullptr;
    for (const TraceRecord& r : trace.records) {
        if (!first) {
            first = &r;
            spans_.begin(r.state);
            for (unsigned n = 0; n < 4; ++n) {
                tuple_[n] = static_cast<uint8_t>(kTupleSlots[n]);
            }
        }
        if (!record(r)) {
            return false;
        }
    }
    return first && is_over_ && n_steps_ == steps_.count && end_part() && leaf(program);
}

}  // namespace

bool learn_path(const Pipeline& pipeline, const Trace& trace, const CtReplay& steps,
                const ProgramBuffer& program, ShortcutPath* path) {
    return !trace.is_full && Learner(pipeline, steps, path).follow(trace, program);
}

}  // namespace sluice
