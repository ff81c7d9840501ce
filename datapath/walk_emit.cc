// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "datapath/walk.h"
#include "lib/mailbox/mailbox.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

/// Header fields that fit one word: which slots, and the mask of the whole field.
struct Field {
    Target target;
    uint8_t slot;
    bool mac;
    uint32_t low;  ///< mask of the last slot
};
constexpr Field kFields48[] = {
    {Target::kEthDst, kSlotEthDst, true, 0xffffffff},
    {Target::kEthSrc, kSlotEthSrc, true, 0xffffffff},
    {Target::kVlanTci, kSlotVlanTci, false, 0xffff},
    {Target::kIpTtl, kSlotIpTtl, false, 0xff},
    {Target::kIpTos, kSlotIpDscp, false, 0xff},
    {Target::kIp4Src, kSlotIp4Src, false, 0xffffffff},
    {Target::kIp4Dst, kSlotIp4Dst, false, 0xffffffff},
    {Target::kIp6Label, kSlotIp6Label, false, 0xfffff},
    {Target::kL4Src, kSlotL4Src, false, 0xffff},
    {Target::kL4Dst, kSlotL4Dst, false, 0xffff},
    {Target::kArpOp, kSlotArpOp, false, 0xffff},
    {Target::kArpSpa, kSlotArpSpa, false, 0xffffffff},
    {Target::kArpTpa, kSlotArpTpa, false, 0xffffffff},
    {Target::kArpSha, kSlotArpSha, true, 0xffffffff},
    {Target::kArpTha, kSlotArpTha, true, 0xffffffff},
    {Target::kNdSll, kSlotNdSll, true, 0xffffffff},
    {Target::kNdTll, kSlotNdTll, true, 0xffffffff},
};
constexpr struct {
    Target target;
    uint8_t slot;
} kFields128[] = {
    {Target::kIp6Src, kSlotIp6Src},
    {Target::kIp6Dst, kSlotIp6Dst},
    {Target::kNdTarget, kSlotNdTarget},
};

uint32_t written(const Frame& f, unsigned slot) {
    return f.written[slot - Frame::kFirstHeaderSlot];
}

/// Two slots as the eight bytes they are on the wire.
uint64_t wire_pair(uint32_t high, uint32_t low) {
    return uint64_t{htonl(low)} << 32 | htonl(high);
}

/// ICMP's write-only fields lie where an IP packet has no ARP fields (control/compile).
Target target_of(const Frame& f, const Field& field) {
    const bool ip = f.s.w[kSlotEthType] == wire::kTypeIp4 || f.s.w[kSlotEthType] == wire::kTypeIp6;
    if (!ip) {
        return field.target;
    }
    switch (field.target) {
    case Target::kArpSpa: return Target::kIcmpMtu;
    case Target::kArpTpa: return Target::kIcmpInnerIp4Src;
    default: return field.target;
    }
}

uint32_t append_set48(const Frame& f, const Field& field, uint64_t* words) {
    const unsigned last = field.slot + (field.mac ? 1u : 0u);
    const uint64_t high_mask = field.mac ? written(f, field.slot) & 0xffff : 0;
    const uint64_t mask = high_mask << 32 | (written(f, last) & field.low);
    if (mask == 0) {
        return 0;
    }
    const uint64_t high = field.mac ? uint64_t{f.s.w[field.slot]} << 32 : 0;
    const uint64_t value = (high | f.s.w[last]) & mask;
    const uint64_t whole = (field.mac ? uint64_t{0xffff} << 32 : 0) | field.low;
    if (mask == whole) {
        words[0] = act::set(Act::kSet, target_of(f, field), value);
        return 1;
    }
    words[0] = act::set(Act::kSetMasked, target_of(f, field), value);
    words[1] = mask;
    return 2;
}

uint32_t append_set128(const Frame& f, Target target, unsigned slot, uint64_t* words) {
    uint32_t any = 0;
    uint32_t all = ~0u;
    uint32_t value[4];
    uint32_t mask[4];
    for (unsigned i = 0; i < 4; ++i) {
        mask[i] = written(f, slot + i);
        value[i] = f.s.w[slot + i] & mask[i];
        any |= mask[i];
        all &= mask[i];
    }
    if (any == 0) {
        return 0;
    }
    const bool masked = all != ~0u;
    words[0] = act::set(masked ? Act::kSet16Masked : Act::kSet16, target, 0);
    words[1] = wire_pair(value[0], value[1]);
    words[2] = wire_pair(value[2], value[3]);
    if (!masked) {
        return 3;
    }
    words[3] = wire_pair(mask[0], mask[1]);
    words[4] = wire_pair(mask[2], mask[3]);
    return 5;
}

/// Translations of what State has no words for; later fragments stay. The quoted packet comes last:
/// after it all checksums are made anew.
uint32_t append_trail(const CtTrail& ct, uint64_t* words) {
    uint32_t n = 0;
    if (ct.ports_changed) {
        words[n++] = act::set(Act::kSet, Target::kL4Src, ct.ports[0]);
        words[n++] = act::set(Act::kSet, Target::kL4Dst, ct.ports[1]);
    }
    if (ct.id_changed) {
        words[n++] = act::word(Act::kIcmpId, 0, 0, ct.icmp_id);
    }
    if (ct.inner_changed) {
        const CtTuple& t = ct.inner;
        words[n++] = act::word(Act::kInnerNat, t.is_v6, 0, uint32_t{t.src_port} << 16 | t.dst_port);
        for (const uint32_t* ip : {t.src, t.dst}) {
            words[n++] = wire_pair(ip[0], ip[1]);
            words[n++] = wire_pair(ip[2], ip[3]);
        }
    }
    return n;
}

uint32_t append_written(const Frame& f, uint64_t* words) {
    uint32_t n = 0;
    for (const Field& field : kFields48) {
        n += append_set48(f, field, words + n);
    }
    for (const auto& field : kFields128) {
        n += append_set128(f, field.target, field.slot, words + n);
    }
    if (SLUICE_UNLIKELY(f.ct && f.ct->changes_bytes())) {
        n += append_trail(*f.ct, words + n);
    }
    return n;
}

void begin_packet(const Frame& f, const Prefix& prefix, ProgramBuffer* out) {
    out->begin_section(Act::kPacketSection, f.meters());
    std::memcpy(out->words + out->n_words, prefix.words, f.n_prefix * sizeof(uint64_t));
    out->n_words += f.n_prefix;
    out->n_words += append_sets(f, out->words + out->n_words);
    if (f.queue != Frame::kNoQueue) {
        out->put(act::word(Act::kQueue, 0, 0, f.queue));
    }
}

Message::Kind kind_of(const Instr& i) {
    switch (i.op) {
    case Op::kPutArp: return Message::Kind::kPutArp;
    case Op::kPutNd: return Message::Kind::kPutNd;
    case Op::kMacCacheUse:
        return i.b == kSlotIp4Src ? Message::Kind::kMacUse4 : Message::Kind::kMacUse6;
    case Op::kLookupFdb: return Message::Kind::kFdbUse;
    default: return Message::Kind::kPutFdb;
    }
}

/// What an encapsulation carries.
uint64_t coordinates(const Frame& f) {
    return uint64_t{f.datapath->key} << 32 | uint64_t{f.s.w[kSlotInport] & 0x7fff} << 16 |
           (f.s.w[kSlotOutport] & 0xffff);
}

uint64_t place(const Frame& f) {
    return uint64_t{f.datapath->key} << 32 | f.s.w[kSlotInport];
}

}  // namespace

uint32_t append_sets(const Frame& f, uint64_t* words) {
    if (SLUICE_UNLIKELY(f.ct && f.ct->n_unseen)) {
        Frame shown = f;
        f.ct->show(&shown.s);
        return append_written(shown, words);
    }
    return append_written(f, words);
}

void emit_output(const Frame& f, const Prefix& prefix, const LogicalPort& port,
                 ProgramBuffer* out) {
    begin_packet(f, prefix, out);
    if (port.vlan_tci) {
        out->put(act::word(Act::kPushVlan, 0, 0, port.vlan_tci));
    }
    out->put(act::word(Act::kOutput, 0, port.port));
    out->end_section();
}

void emit_mirror(const Frame& f, const Prefix& prefix, const LogicalPort& port, uint32_t number,
                 ProgramBuffer* out) {
    begin_packet(f, prefix, out);
    if (port.vlan_tci) {
        out->put(act::word(Act::kPushVlan, 0, 0, port.vlan_tci));
    }
    out->put(act::word(Act::kEncap, 0, 0, MirrorSink::kTarget | number));
    out->put(coordinates(f));
    out->end_section();
}

void emit_tunnel(const Frame& f, const Prefix& prefix, uint32_t tunnel, ProgramBuffer* out) {
    begin_packet(f, prefix, out);
    out->put(act::word(Act::kEncap, 0, 0, tunnel));
    out->put(coordinates(f));
    out->end_section();
}

void emit_drop(const Frame& f, Drop reason, uint32_t flow, ProgramBuffer* out) {
    out->begin_section(Act::kSideSection, f.meters());
    out->put(act::word(Act::kDrop, static_cast<uint8_t>(reason), 0, flow));
    out->put(place(f));
    out->end_section();
}

void emit_punt(const Frame& f, const Prefix& prefix, const PuntPlace& place, const Instr& i,
               uint32_t flow, ProgramBuffer* out) {
    const auto* spec = static_cast<const PuntSpec*>(i.p);
    const uint32_t meter = spec && spec->meter != kNoMeter ? spec->meter + 1 : 0;
    begin_packet(f, prefix, out);
    out->put(act::word(Act::kPunt, i.a, static_cast<uint16_t>(meter), i.d));
    out->put(uint64_t{flow} << 32 | uint32_t{i.b == kPuntCopies} << 31 |
             uint32_t{place.side} << 24 | uint32_t{place.table} << 16 | uint32_t{place.slot} << 8 |
             place.bit);
    static_assert(kLogicalSlots % 2 == 0);
    for (unsigned slot = 0; slot < kLogicalSlots; slot += 2) {
        out->put(uint64_t{f.s.w[slot + 1]} << 32 | f.s.w[slot]);
    }
    out->put(f.ct ? f.ct->zone : 0);
    out->end_section();
}

void emit_meter(const Instr& i, uint32_t flow, Frame* f, ProgramBuffer* out) {
    const unsigned number = std::min<unsigned>(f->n_meters, Frame::kMaxMeters - 1);
    out->begin_section(Act::kSideSection, f->meters());
    out->put(act::word(Act::kMeter, static_cast<uint8_t>(number), 0, i.d));
    out->put(uint64_t{flow} << 32 | i.e);
    out->put(place(*f));
    // A packet that replaced the one received has its own length, and is never cached.
    out->put(f->n_prefix ? f->s.w[kSlotPktLen] : 0);
    out->end_section();
    f->n_meters = static_cast<uint8_t>(number + 1);
}

void emit_message(const Frame& f, const Instr& i, uint32_t flow, ProgramBuffer* out) {
    const auto kind = kind_of(i);
    const bool is_fdb = kind == Message::Kind::kPutFdb || kind == Message::Kind::kFdbUse;
    uint64_t ip[2] = {0, 0};
    if (kind == Message::Kind::kPutArp || kind == Message::Kind::kMacUse4) {
        ip[0] = htonl(f.s.w[i.b]);
    } else if (!is_fdb) {
        ip[0] = wire_pair(f.s.w[i.b], f.s.w[i.b + 1]);
        ip[1] = wire_pair(f.s.w[i.b + 2], f.s.w[i.b + 3]);
    }
    const unsigned mac_slot = is_fdb ? i.b : i.c;
    out->begin_section(Act::kSideSection, f.meters());
    out->put(act::word(Act::kMessage, static_cast<uint8_t>(kind)));
    out->put(uint64_t{f.datapath->key} << 32 | f.s.w[i.a]);
    out->put(flow);
    out->put(f.s.mac(mac_slot));
    out->put(ip[0]);
    out->put(ip[1]);
    out->end_section();
}

}  // namespace sluice
