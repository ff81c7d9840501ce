// SPDX-License-Identifier: Apache-2.0
// Connection tracking and load balancing: each action as the ct() that ovn-controller makes of it.
//
// Which zone, whether NAT is asked for, whether the connection is committed, and whether flows see
// the answer: "recirculates" is an action that goes on to the next table by itself, with ct_* new.
// The others leave the packet untracked for the flows that follow.
#include <fmt/format.h>

#include "control/compile/actions_lowering.h"

namespace sluice::compile {

namespace {

// OVN's bits in ct_mark, or for the older ct_lb in ct_label.
constexpr uint32_t kNatted = 1u << 1;
constexpr uint32_t kSkipSnat = 1u << 2;
constexpr uint32_t kForceSnat = 1u << 3;
constexpr unsigned kCtStateBits = 8;

void store(const lang::IpAddress& ip, uint32_t words[4]) {
    for (unsigned i = 0; i < 4; ++i) {
        words[i] = static_cast<uint32_t>(ip.value >> 32 * (3 - i));
    }
}

std::string text_of(const uint32_t words[4]) {
    return fmt::format("{:x}.{:x}.{:x}.{:x}", words[0], words[1], words[2], words[3]);
}

std::string text_of(const CtMarks& m) {
    return fmt::format("mark {:x}/{:x} label {}/{}", m.mark, m.mark_mask, text_of(m.label),
                       text_of(m.label_mask));
}

std::string text_of(const CtCommitArgs& a) {
    return fmt::format("commit nat {} v{} {}-{}:{}-{} {}", static_cast<int>(a.nat.kind),
                       a.nat.is_v6 ? 6 : 4, text_of(a.nat.low), text_of(a.nat.high), a.nat.port_low,
                       a.nat.port_high, text_of(a.marks));
}

std::string text_of(const CtLbArgs& a) {
    std::string text =
        fmt::format("lb v{} hash {:x} {}", a.is_v6 ? 6 : 4, a.hash_fields, text_of(a.marks));
    for (const CtLbArgs::Backend& b : a.backends) {
        text += fmt::format(" {}:{}", text_of(b.address), b.port);
    }
    return text;
}

/// A router's zone by name; a switch has the port's for both.
uint8_t zone_of(lang::Zone zone) {
    return static_cast<uint8_t>(zone == lang::Zone::kSnat ? CtZone::kPortSnat : CtZone::kPort);
}

}  // namespace

void ActionLowering::ct_look(uint8_t zone, bool nat) {
    Instr& i = emit(Op::kCtNext);
    i.a = zone;
    i.b = nat ? 1 : 0;
    lower(lang::Next{});
}

/// Without a block; the caller adds one.
Instr& ActionLowering::ct_commit(uint8_t zone, bool recirculates, const CtCommitArgs& args) {
    const auto kept = ArgPool::instance().intern(text_of(args), args);
    code_.keep.push_back(kept);
    Instr& i = emit(Op::kCtCommit);
    i.a = zone;
    i.b = recirculates ? 1 : 0;
    i.p = kept.get();
    return i;
}

void ActionLowering::lower(const lang::CtNext& node) {
    ct_look(zone_of(node.zone), false);
}

void ActionLowering::lower(const lang::CtCommitV1& node) {
    CtCommitArgs args;
    if (node.mark) {
        args.marks.mark_mask =
            node.mark->masked ? static_cast<uint32_t>(node.mark->mask) : ~uint32_t{0};
        args.marks.mark = static_cast<uint32_t>(node.mark->value);
    }
    if (node.label) {
        store({true, node.label->value, {}}, args.marks.label);
        store({true, node.label->masked ? node.label->mask : ~U128{0}, {}}, args.marks.label_mask);
    }
    ct_commit(static_cast<uint8_t>(CtZone::kPort), false, args);
}

/// With NAT of source to "all zero": nothing is translated, but when the answers of this connection
/// could be taken for another's, its source port changes.
void ActionLowering::lower(const lang::CtCommitV2& node) {
    CtCommitArgs args;
    args.nat.kind = CtNat::kSrc;
    ct_commit(static_cast<uint8_t>(CtZone::kPort), false, args);
    if (!node.body.actions.empty()) {
        const size_t at = code_.instrs.size();
        block(node.body);
        code_.instrs[at - 1].d = static_cast<uint32_t>(code_.instrs.size() - at);
    }
}

void ActionLowering::lower(const lang::CtCommitToZone& node) {
    ct_commit(zone_of(node.zone), true, {});
    lower(lang::Next{});
}

void ActionLowering::lower(const lang::CtCommitNat& node) {
    CtCommitArgs args;
    args.nat.kind = CtNat::kRestore;
    ct_commit(zone_of(node.zone), true, args);
    lower(lang::Next{});
}

void ActionLowering::ct_nat(CtZone zone, CtNat kind, const lang::Nat& node, lang::Span span) {
    if (node.address_template) {
        fail("template variable was not resolved", span);
        return;
    }
    if (!node.address) {
        ct_look(static_cast<uint8_t>(zone), true);
        return;
    }
    CtCommitArgs args;
    args.nat.kind = kind;
    args.nat.is_v6 = node.address->v6;
    store(*node.address, args.nat.low);
    store(*node.address, args.nat.high);
    if (node.ports) {
        args.nat.port_low = node.ports->low;
        args.nat.port_high = node.ports->high;
    }
    ct_commit(static_cast<uint8_t>(zone), true, args);
    lower(lang::Next{});
}

void ActionLowering::balance(const lang::LoadBalance& node, bool in_mark, bool only_local) {
    if (node.backends.empty()) {
        ct_look(static_cast<uint8_t>(CtZone::kPort), true);
        return;
    }
    CtLbArgs args;
    for (const auto& one : node.backends) {
        const auto* backend = std::get_if<lang::Backend>(&one);
        if (!backend) {
            fail("template variable was not resolved", std::get<lang::TemplateName>(one).span);
            return;
        }
        if (only_local && backend->port_name && !binder_->is_resident(backend->port_name->text)) {
            continue;
        }
        args.is_v6 = backend->address.v6;
        CtLbArgs::Backend& made = args.backends.emplace_back();
        store(backend->address, made.address);
        made.port = backend->port;
    }
    if (args.backends.empty()) {
        drop(Drop::k_logical_flow);  // an action without OpenFlow: the packet goes nowhere
        return;
    }
    args.hash_fields = hash_bits(node.hash_fields);
    const uint32_t bits = kNatted | (node.flag == lang::LbFlag::kSkipSnat    ? kSkipSnat
                                     : node.flag == lang::LbFlag::kForceSnat ? kForceSnat
                                                                             : 0);
    (in_mark ? args.marks.mark : args.marks.label[3]) = bits;
    (in_mark ? args.marks.mark_mask : args.marks.label_mask[3]) = bits;
    const auto kept = ArgPool::instance().intern(text_of(args), args);
    code_.keep.push_back(kept);
    Instr& i = emit(Op::kCtLb);
    i.a = static_cast<uint8_t>(CtZone::kPort);
    i.p = kept.get();
    lower(lang::Next{});
}

void ActionLowering::lower(const lang::CtSnatToVip&) {
    emit(Op::kCtSnatToVip).a = static_cast<uint8_t>(CtZone::kSnat);
}

void ActionLowering::lower(const lang::CtStateSave& node) {
    data_.move(node.dst.raw(), {FieldId::kCtState, 0, kCtStateBits});
}

void ActionLowering::ct_original(CtOriginal what, unsigned width, const lang::FieldUse& dst) {
    const FieldRef field = dst.raw();
    const Slice slice = state_slice(field);
    const unsigned bits = std::min<unsigned>(width, field.width);
    const bool words = slice.shift == 0 && bits % 32 == 0;
    if (!words && slice.shift + bits > 32) {
        fail("this operand has to lie within one register", dst.span);
        return;
    }
    Instr& i = emit(Op::kCtOriginal);
    i.a = static_cast<uint8_t>(slice.slot + slice.slots - (bits + 31) / 32);
    i.b = static_cast<uint8_t>(what);
    i.c = slice.shift;
    i.e = bits;
}

}  // namespace sluice::compile
