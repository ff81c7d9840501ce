// SPDX-License-Identifier: Apache-2.0
// Actions that the slow path carries out, and those that replace the packet.
#include "control/compile/actions_lowering.h"
#include "control/compile/meter_names.h"

namespace sluice::compile {

namespace {

/// ICMP's write-only fields are kept where an IP packet has no ARP fields; the walk knows them by
/// the Ethernet type.
FieldRef slot_of(const lang::FieldUse& use) {
    using enum lang::OvnField;
    const FieldId id =
        use.symbol->ovn_field == kIcmp4InnerIp4Src ? FieldId::kArpTpa : FieldId::kArpSpa;
    return {id, use.ofs, use.width};
}

}  // namespace

uint32_t ActionLowering::key_of(const lang::String& port) {
    // "" and unknown names are port 0, as in ovn-controller.
    return port.text.empty() ? 0 : binder_->port_key(port.text).value_or(0);
}

void ActionLowering::punt(PuntReason reason, PuntKind kind, const lang::ActionNode& node,
                          std::vector<uint32_t> port_keys, uint32_t probability,
                          const std::string& meter) {
    const auto args = PuntArgsTable::instance().intern(lang::print(lang::Action{node, {}}), node,
                                                       std::move(port_keys));
    PuntSpec spec{kNoMeter, probability};
    if (!meter.empty()) {
        const auto place = MeterNames::instance().intern(meter);
        spec.meter = place->index;
        code_.keep.push_back(place);
    }
    const auto kept = intern_punt_spec(spec);
    code_.keep.push_back(args);
    code_.keep.push_back(kept);
    Instr i{Op::kPunt};
    i.a = static_cast<uint8_t>(reason);
    i.b = kind;
    i.d = args->id;
    i.p = kept.get();
    code_.instrs.push_back(i);
}

/// R = name(...); the answer goes on with what follows, which has to be `next`.
void ActionLowering::resume(PuntReason reason, const lang::FieldUse& result,
                            const lang::ActionNode& node) {
    punt(reason, kPuntResumes, node);
    result_bit(&code_.instrs.back(), result);
    resumes_.push_back({code_.instrs.size() - 1, result.span});
}

/// Answers take the packet away for a while: what comes back goes on in a table.
void ActionLowering::check_resumes() {
    for (const auto& [at, span] : resumes_) {
        if (at + 1 >= code_.instrs.size() || code_.instrs[at + 1].op != Op::kNext) {
            fail("an action that the slow path answers has to be followed by next", span);
        }
    }
}

void ActionLowering::buffered(Transform what, bool v6, const lang::ActionList& body) {
    Instr hold{Op::kBuffer};
    hold.a = v6 ? 1 : 0;
    if (held_next_ != nullptr) {
        // Where a `next` of this flow would lead.
        lower(*held_next_);
        const Instr next = code_.instrs.back();
        code_.instrs.pop_back();
        hold.b = next.op == Op::kNext ? 1 : 0;
        hold.c = next.a;
        hold.d = next.d;
        held_next_ = nullptr;
    }
    code_.instrs.push_back(hold);
    transform(what, body);
}

void ActionLowering::lower(const lang::BindVport& node) {
    punt(PuntReason::kBindVport, kPuntCopies, node, {key_of(node.vport), whole(node.parent)});
}

void ActionLowering::lower(const lang::Sample& node) {
    punt(PuntReason::kSample, kPuntCopies, node, {},
         node.probability == 65535 ? 65536u : node.probability);
}

/// A copy to the mirror port, as if it had been sent there; the packet goes on.
void ActionLowering::lower(const lang::Mirror& node) {
    const size_t at = code_.instrs.size();
    emit(Op::kClone);
    Instr& load = emit(Op::kLoad);
    load.a = kSlotOutport;
    load.d = key_of(node.port);
    load.e = ~0u;
    emit(Op::kOutput).a = 1;
    code_.instrs[at].d = 2;
}

void ActionLowering::lower(const lang::OvnFieldLoad& node) {
    data_.load(slot_of(node.dst), node.value.value, ones(node.dst.width));
}

void ActionLowering::lower(const lang::OvnFieldMove& node) {
    data_.move(slot_of(node.dst), node.src.raw());
}

}  // namespace sluice::compile
