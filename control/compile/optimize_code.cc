// SPDX-License-Identifier: Apache-2.0
// What code does to known bits and what it looks at.
#include "control/compile/optimize_code.h"

#include "lib/program/ct_args.h"
#include "lib/stats/counters.h"

namespace sluice::compile {

namespace {

uint32_t word_mask(unsigned bit, unsigned width) {
    return static_cast<uint32_t>(ones(width)) << bit;
}

void forget_header(Known* known) {
    for (unsigned slot = kSlotEthSrc; slot < kSlots; ++slot) {
        known->forget(slot, ~0u);
    }
}

void copy_bits(const Known& from, unsigned src, unsigned src_bit, Known* to, unsigned dst,
               unsigned dst_bit, unsigned width) {
    const uint32_t m = from.mask[src] >> src_bit & word_mask(0, width);
    const uint32_t v = from.value[src] >> src_bit & word_mask(0, width);
    to->forget(dst, word_mask(dst_bit, width));
    to->set(dst, m << dst_bit, v << dst_bit);
}

void written(unsigned slot, Known* known) {
    if (slot == kSlotInport) {
        known->inport_is_entry = false;
    } else if (slot == kSlotOutport) {
        known->outport_is_local = false;
    }
}

/// What a look at the connection table writes: ct_*, and by NAT addresses and ports.
void forget_ct(Known* known) {
    for (unsigned slot = kSlotCtState; slot < kSlotEthSrc; ++slot) {
        known->forget(slot, ~0u);
    }
    for (unsigned slot = kSlotIp4Src; slot < kSlotIp6Label; ++slot) {
        known->forget(slot, ~0u);
    }
    known->forget(kSlotL4Src, ~0u);
    known->forget(kSlotL4Dst, ~0u);
    for (unsigned slot = kSlotCtProto; slot <= kSlotCtTpDst; ++slot) {
        known->forget(slot, ~0u);
    }
}

/// A field of up to 128 bits that starts at slot a.
void forget_field(const Instr& i, Known* known) {
    for (unsigned n = 0; n < (i.e + 31u) / 32u; ++n) {
        known->forget(i.a + n, ~0u);
        written(i.a + n, known);
    }
}

/// What asks the connection table and the memories beside it, or the slow path.
void step_stateful(const Instr& i, Known* known) {
    switch (i.op) {
    case Op::kCtClear:
        for (unsigned slot = kSlotCtState; slot < kSlotEthSrc; ++slot) {
            known->set(slot, ~0u, 0);
        }
        for (unsigned slot = kSlotCtProto; slot <= kSlotCtTpDst; ++slot) {
            known->set(slot, ~0u, 0);
        }
        break;
    case Op::kCtNext:
    case Op::kCtCommit:
    case Op::kCtLb:
    case Op::kCtSnatToVip: forget_ct(known); break;
    case Op::kCtOriginal: forget_field(i, known); break;
    case Op::kChkLbHairpin:
    case Op::kChkLbHairpinReply:
    case Op::kChkEcmpNh:
    case Op::kChkEcmpNhMac: known->forget(i.e, 1u << i.f); break;
    case Op::kChkLbAff:
        known->forget(i.e, 1u << i.f);
        for (unsigned slot = kSlotXxreg0; slot < kSlotPktMark; ++slot) {
            known->forget(slot, ~0u);
        }
        break;
    case Op::kFwdGroup:
        known->forget(kSlotOutport, ~0u);
        written(kSlotOutport, known);
        break;
    case Op::kGetRemoteFdb:
        known->forget(i.a, ~0u);
        written(i.a, known);
        break;
    case Op::kChkEvpnArp:
        known->forget(i.e, 1u << i.f);
        known->forget(kSlotEthDst, ~0u);
        known->forget(kSlotEthDst + 1, ~0u);
        break;
    case Op::kPunt:
        if (i.b == kPuntResumes) {
            forget_header(known);  // the answer is another packet
            known->forget(i.e, 1u << i.f);
        }
        break;
    default: break;  // the others write nothing
    }
}

/// What looks something up in what is published.
void step_lookup(const Instr& i, bool port_security, Known* known) {
    switch (i.op) {
    case Op::kGetArp:
    case Op::kGetNd:
        known->forget(kSlotEthDst, ~0u);
        known->forget(kSlotEthDst + 1, ~0u);
        break;
    case Op::kGetFdb:
        known->forget(i.a, ~0u);
        written(i.a, known);
        break;
    case Op::kLookupArp:
    case Op::kLookupNd:
    case Op::kLookupArpIp:
    case Op::kLookupNdIp:
    case Op::kLookupFdb:
    case Op::kCheckPktLarger: known->forget(i.e, 1u << i.f); break;
    case Op::kCheckInPortSec:
    case Op::kCheckOutPortSec:
        known->forget(i.e, 1u << i.f);
        if (!port_security) {
            known->set(i.e, 1u << i.f, 0);
        }
        break;
    default: step_stateful(i, known); break;
    }
}

/// Instructions that only write State.
void step(const Instr& i, bool port_security, Known* known) {
    switch (i.op) {
    case Op::kLoad:
        known->set(i.a, i.e, i.d);
        written(i.a, known);
        break;
    case Op::kMove: {
        const Known before = *known;
        copy_bits(before, i.b, i.d, known, i.a, i.c, i.e);
        written(i.a, known);
        break;
    }
    case Op::kExchange: {
        const Known before = *known;
        copy_bits(before, i.b, i.d, known, i.a, i.c, i.e);
        copy_bits(before, i.a, i.c, known, i.b, i.d, i.e);
        written(i.a, known);
        written(i.b, known);
        break;
    }
    case Op::kPop:
    case Op::kSelect:
        known->forget(i.a, word_mask(i.c, i.e));
        written(i.a, known);
        break;
    case Op::kDecTtl: known->forget(kSlotIpTtl, ~0u); break;
    default: step_lookup(i, port_security, known); break;
    }
}

void add(unsigned slot, uint32_t mask, SlotMask* reads) {
    reads->w[slot] |= mask;
}

void add_words(unsigned slot, unsigned n, SlotMask* reads) {
    for (unsigned i = 0; i < n; ++i) {
        add(slot + i, ~0u, reads);
    }
}

void add_mac(unsigned slot, SlotMask* reads) {
    add(slot, 0xffffu, reads);
    add(slot + 1, ~0u, reads);
}

void add_field(FieldId id, SlotMask* reads);

/// Everything that names a connection.
void add_connection(SlotMask* reads) {
    using enum FieldId;
    for (const FieldId id :
         {kIp4Src, kIp4Dst, kIp6Src, kIp6Dst, kIpProto, kIpFrag, kL4Src, kL4Dst, kFlowHash}) {
        add_field(id, reads);
    }
    add_mac(kSlotEthSrc, reads);
    reads->w[kSlotUses] |= uses::kConntrack;
}

/// What a choice by these select_hash bits looks at.
void add_choice(uint16_t fields, SlotMask* reads) {
    using enum FieldId;
    static constexpr std::pair<uint16_t, FieldId> kHashed[] = {
        {select_hash::kEthSrc, kEthSrc},   {select_hash::kEthDst, kEthDst},
        {select_hash::kIpProto, kIpProto}, {select_hash::kIpSrc, kIp4Src},
        {select_hash::kIpSrc, kIp6Src},    {select_hash::kIpDst, kIp4Dst},
        {select_hash::kIpDst, kIp6Dst},    {select_hash::kL4Src, kL4Src},
        {select_hash::kL4Dst, kL4Dst}};
    for (const auto& [bit, id] : kHashed) {
        if (fields & bit) {
            add_field(id, reads);
        }
    }
    if (fields == 0) {
        add_field(kFlowHash, reads);
    }
}

/// Addresses by which a sender makes itself known.
void add_sender(SlotMask* reads) {
    using enum FieldId;
    for (const FieldId id : {kEthSrc, kIp4Src, kIp6Src, kArpSpa, kArpSha}) {
        add_field(id, reads);
    }
}

void add_field(FieldId id, SlotMask* reads) {
    for_each_word({id, 0, field_info(id).bits},
                  [&](unsigned slot, uint32_t mask) { add(slot, mask, reads); });
}

/// All that port security looks at, in either direction.
void add_port_security(bool in, SlotMask* reads) {
    using enum FieldId;
    add_field(in ? kEthSrc : kEthDst, reads);
    for (const FieldId id : {kEthType, kIp4Dst, kIp6Dst}) {
        add_field(id, reads);
    }
    if (in) {
        for (const FieldId id : {kIp4Src, kIp6Src, kIpProto, kIpTtl, kL4Src, kL4Dst, kArpOp,
                                 kArpSpa, kArpSha, kNdTarget, kNdSll, kNdTll}) {
            add_field(id, reads);
        }
    }
}

/// The neighbour and FDB instructions: port at a, address at b, MAC at c.
void add_lookup(const Instr& i, SlotMask* reads) {
    const bool v6 = i.op == Op::kGetNd || i.op == Op::kLookupNd || i.op == Op::kLookupNdIp ||
                    i.op == Op::kPutNd;
    const bool has_mac = i.op == Op::kLookupArp || i.op == Op::kLookupNd || i.op == Op::kPutArp ||
                         i.op == Op::kPutNd;
    add(i.a, ~0u, reads);
    add_words(i.b, v6 ? 4 : 1, reads);
    if (has_mac) {
        add_mac(i.c, reads);
    }
}

}  // namespace

uint8_t port_writes(const Code& code) {
    Known known;
    known.inport_is_entry = known.outport_is_local = true;
    uint8_t writes = 0;
    for (const Instr& i : code.instrs) {
        if (i.op == Op::kNext) {
            writes |= i.a == kEgress ? port_write::kToEgress : uint8_t{0};
        } else {
            step(i, false, &known);
        }
    }
    writes |= known.inport_is_entry ? uint8_t{0} : port_write::kInport;
    writes |= known.outport_is_local ? uint8_t{0} : port_write::kOutport;
    return writes;
}

void transfer(const Code& code, size_t begin, size_t end, const TransferContext& context,
              Known* state, Exits* out) {
    Known& known = *state;
    for (size_t at = begin; at < end; ++at) {
        const Instr& i = code.instrs[at];
        switch (i.op) {
        case Op::kNext:
            out->jump(i.a, static_cast<uint8_t>(i.d), known);
            if (at + 1 < end) {
                known.forget_all();  // what the called tables write stays
            }
            break;
        case Op::kOutput:
            if (context.side == kIngress || i.a != 0) {
                out->output(known);
            }
            break;
        case Op::kClone:
        case Op::kTransform: {
            Known inner = known;
            if (i.op == Op::kTransform) {  // an untracked packet without a mark
                forget_header(&inner);
                for (unsigned slot = kSlotPktMark; slot < kSlotEthSrc; ++slot) {
                    inner.set(slot, ~0u, 0);
                }
            }
            transfer(code, at + 1, at + 1 + i.d, context, &inner, out);
            at += i.d;
            break;
        }
        case Op::kDrop: return;
        case Op::kBuffer:
            if (i.b != 0) {
                Known held = known;
                held.forget(kSlotEthDst, ~0u);
                held.forget(kSlotEthDst + 1, ~0u);
                out->jump(i.c, static_cast<uint8_t>(i.d), held);
            }
            break;
        case Op::kCtCommit:  // the nested block writes the connection, not the packet
            step(i, context.port_security, &known);
            at += i.d;
            break;
        default: step(i, context.port_security, &known); break;
        }
    }
}

KindConds kind_conds(std::span<const LiveCond> conds) {
    KindConds out;
    for (const LiveCond& cond : conds) {
        if (cond.slice == FieldRef{FieldId::kEthType, 0, 16}) {
            out.type = cond.values;
        } else if (cond.slice == FieldRef{FieldId::kIpProto, 0, 8}) {
            out.proto = cond.values;
        }
    }
    return out;
}

unsigned classes_of(const KindConds& conds) {
    static constexpr U128 kTypes[] = {0x0800, 0x86dd, 0x0806, 0x8035};
    const auto& type = conds.type;
    const auto& proto = conds.proto;
    const auto is_type = [&](U128 v) { return !type || type->contains(v); };
    const auto is_proto = [&](U128 v) { return !proto || proto->contains(v); };
    const bool l4[3] = {
        is_proto(6), is_proto(17),
        !proto || !proto->complement(8).unite(ValueSet({{6, 6}, {17, 17}})).is_all(8)};
    unsigned classes = 0;
    for (unsigned i = 0; i < 6; ++i) {
        classes |= static_cast<unsigned>(is_type(kTypes[i / 3]) && l4[i % 3]) << i;
    }
    std::vector<ValueRange> known;
    for (const U128 v : kTypes) {
        known.push_back({v, v});
    }
    const bool arp = (is_type(0x0806) || is_type(0x8035)) && is_proto(0);
    const bool other =
        is_proto(0) && (!type || !type->complement(16).unite(ValueSet(known)).is_all(16));
    return classes | static_cast<unsigned>(arp) << static_cast<unsigned>(PacketClass::kArp) |
           static_cast<unsigned>(other) << static_cast<unsigned>(PacketClass::kOther);
}

void add_reads(std::span<const LiveCond> conds, SlotMask* reads) {
    for (const LiveCond& cond : conds) {
        bool is_known = true;
        for_each_word(cond.slice, [&](unsigned slot, uint32_t mask) {
            is_known = is_known && (reads->w[slot] & mask) == mask;
        });
        if (is_known) {
            continue;
        }
        // Bits below a set's granularity are not looked at: a prefix reads its prefix only.
        const U128 all = ones(cond.slice.width);
        U128 varying = 0;
        for (const ValueRange& r : cond.values->ranges()) {
            const U128 free = r.lo ^ r.hi;
            const bool is_prefix = (free & (free + 1)) == 0 && (r.lo & free) == 0;
            varying |= is_prefix ? all & ~free : all;
            if (varying == all) {
                break;
            }
        }
        const Slice s = state_slice(cond.slice);
        const U128 mask = varying << s.shift;
        for (unsigned i = 0; i < s.slots; ++i) {
            add(s.slot + i, static_cast<uint32_t>(mask >> 32 * (s.slots - 1u - i)), reads);
        }
    }
}

void add_reads(const Code& code, bool port_security, SlotMask* reads) {
    for (const Instr& i : code.instrs) {
        switch (i.op) {
        case Op::kMove: add(i.b, word_mask(i.d, i.e), reads); break;
        case Op::kExchange:
            add(i.a, word_mask(i.c, i.e), reads);
            add(i.b, word_mask(i.d, i.e), reads);
            break;
        case Op::kPush: add(i.b, word_mask(i.d, i.e), reads); break;
        case Op::kDecTtl: add_field(FieldId::kIpTtl, reads); break;
        case Op::kGetArp:
        case Op::kGetNd:
        case Op::kLookupArp:
        case Op::kLookupNd:
        case Op::kLookupArpIp:
        case Op::kLookupNdIp:
        case Op::kPutArp:
        case Op::kPutNd: add_lookup(i, reads); break;
        case Op::kLookupFdb:
        case Op::kPutFdb: add(i.a, ~0u, reads); [[fallthrough]];
        case Op::kGetFdb: add_mac(i.b, reads); break;
        case Op::kCheckInPortSec:
        case Op::kCheckOutPortSec:
            if (port_security) {
                add_port_security(i.op == Op::kCheckInPortSec, reads);
            }
            break;
        case Op::kCheckPktLarger: add_field(FieldId::kPktLen, reads); break;
        case Op::kSelect: add_choice(static_cast<uint16_t>(i.d), reads); break;
        case Op::kFwdGroup: add_choice(0, reads); break;
        case Op::kCtNext:
        case Op::kCtCommit:
        case Op::kCtLb:
        case Op::kCtSnatToVip:
        case Op::kChkLbHairpin:
        case Op::kChkLbHairpinReply:
        case Op::kCommitLbAff:
        case Op::kChkLbAff:
        case Op::kCommitEcmpNh:
        case Op::kChkEcmpNh:
        case Op::kChkEcmpNhMac: add_connection(reads); break;
        case Op::kGetRemoteFdb: add_mac(i.b, reads); break;
        case Op::kChkEvpnArp: add_words(i.b, i.c ? 4 : 1, reads); break;
        case Op::kMacCacheUse: add_sender(reads); break;
        case Op::kPunt:  // walks that punt are never cached
        case Op::kBuffer:
        case Op::kFloodRemote:
        case Op::kCtOriginal:  // of the connection, which some step before has asked for
        case Op::kNext:
        case Op::kOutput:
        case Op::kLoad:
        case Op::kPop:
        case Op::kClone:
        case Op::kTransform:  // walks that replace the packet are never cached
        case Op::kSetQueue:
        case Op::kSetMeter:
        case Op::kCtClear:
        case Op::kDrop: break;
        }
    }
}

void add_pkt_lens(const Code& code, std::vector<uint32_t>* lens) {
    for (const Instr& i : code.instrs) {
        if (i.op == Op::kCheckPktLarger) {
            lens->push_back(i.d);
        }
    }
}

}  // namespace sluice::compile
