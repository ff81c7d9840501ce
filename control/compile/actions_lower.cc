// SPDX-License-Identifier: Apache-2.0
#include "control/compile/actions_lower.h"

#include <type_traits>

#include "control/compile/actions_lowering.h"

namespace sluice::compile {

namespace {

using lang::Parsed;

}  // namespace

void ActionLowering::block(const lang::ActionList& list) {
    if (list.actions.empty()) {
        drop(Drop::k_logical_flow);
        return;
    }
    for (size_t n = 0; n < list.actions.size(); ++n) {
        const lang::ActionNode& node = list.actions[n].node;
        const bool asks =
            std::holds_alternative<lang::Arp>(node) || std::holds_alternative<lang::NdNs>(node);
        held_next_ = asks && n + 1 < list.actions.size()
                         ? std::get_if<lang::Next>(&list.actions[n + 1].node)
                         : nullptr;
        const bool waits = held_next_ != nullptr;
        std::visit([&](const auto& one) { lower(one); }, node);
        if (waits) {
            return;  // the packet itself goes on when its next hop is known
        }
    }
}

void ActionLowering::nested(Instr head, const lang::ActionList& body) {
    const size_t at = code_.instrs.size();
    code_.instrs.push_back(head);
    block(body);
    code_.instrs[at].d = static_cast<uint32_t>(code_.instrs.size() - at - 1);
}

uint8_t ActionLowering::whole(const lang::FieldUse& use) {
    const FieldRef field = use.raw();
    const FieldInfo& info = field_info(field.id);
    const Slice slice = state_slice(field);
    // A field that does not fill its first slot (a MAC) has to be the whole field.
    if (slice.shift != 0 || (field.width % 32 != 0 && field.width != info.bits)) {
        fail("this operand has to be a whole field or register", use.span);
    }
    return slice.slot;
}

void ActionLowering::lower(const lang::Next& node) {
    PipelineSide side = side_;
    if (node.pipeline) {
        side = *node.pipeline == lang::Pipeline::kIngress ? kIngress : kEgress;
    }
    const unsigned table = node.table ? *node.table : table_ + 1;
    if (table >= limits::kMaxTables) {
        // Past the last table nothing can match.
        drop(Drop::k_no_match);
        return;
    }
    Instr& i = emit(Op::kNext);
    i.a = side;
    i.d = table;
}

void ActionLowering::lower(const lang::Load& node) {
    const FieldRef dst = node.dst.raw();
    if (const auto* number = std::get_if<lang::Integer>(&node.value)) {
        data_.load(dst, number->value, number->masked ? number->mask : ones(dst.width));
        return;
    }
    if (const auto* port = std::get_if<lang::String>(&node.value)) {
        // "" and unknown names are port 0, as in ovn-controller.
        const auto key =
            port->text.empty() ? std::optional<uint32_t>(0) : binder_->port_key(port->text);
        data_.load(dst, key.value_or(0), ones(dst.width));
        return;
    }
    fail("only a number or a port name can be assigned", node.dst.span);
}

void ActionLowering::lower(const lang::Select& node) {
    const FieldRef dst = node.dst.raw();
    const BitLocation at = locate(dst.id, dst.ofs);
    if (at.bit + dst.width > 32u) {
        fail("select needs a destination within one register", node.dst.span);
        return;
    }
    std::vector<SelectGroup::Entry> group;
    uint32_t total = 0;
    for (const lang::Select::Member& member : node.members) {
        total += member.weight;
        group.push_back({member.id, total});
    }
    Instr i{Op::kSelect};
    i.a = at.slot;
    i.c = at.bit;
    i.d = hash_bits(node.hash_fields);
    i.e = dst.width;
    i.f = static_cast<uint32_t>(code_.selects.size());
    code_.instrs.push_back(i);
    code_.selects.push_back(std::move(group));
    lower(lang::Next{});  // as in OVN, select() goes on to the next table by itself
}

void ActionLowering::lower(const lang::SetMeter& node) {
    Instr& i = emit(Op::kSetMeter);
    i.d = static_cast<uint32_t>(node.rate_kbps);
    i.e = static_cast<uint32_t>(node.burst_kbps.value_or(0));
}

void ActionLowering::lower(const lang::CheckPktLarger& node) {
    Instr i{Op::kCheckPktLarger};
    i.d = node.length;
    result_bit(&i, node.dst);
    code_.instrs.push_back(i);
}

void ActionLowering::lower(const lang::PutFdb& node) {
    Instr i{Op::kPutFdb};
    i.a = whole(node.port);
    i.b = whole(node.mac);
    code_.instrs.push_back(i);
}

void ActionLowering::lower(const lang::GetFdb& node) {
    Instr i{Op::kGetFdb};
    i.a = whole(node.dst);
    i.b = whole(node.mac);
    code_.instrs.push_back(i);
}

void ActionLowering::lower(const lang::LookupFdb& node) {
    Instr i{Op::kLookupFdb};
    i.a = whole(node.port);
    i.b = whole(node.mac);
    result_bit(&i, node.dst);
    code_.instrs.push_back(i);
}

Parsed<Code> lower_actions(const lang::ActionList& list, PipelineSide side, unsigned table,
                           Binder* binder) {
    return ActionLowering(side, table, binder).run(list);
}

CodePtr malformed_code() {
    static const CodePtr code = [] {
        auto made = std::make_shared<Code>();
        Instr drop{Op::kDrop};
        drop.a = static_cast<uint8_t>(Drop::k_malformed_flow);
        made->instrs.push_back(drop);
        return made;
    }();
    return code;
}

}  // namespace sluice::compile
