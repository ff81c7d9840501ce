// SPDX-License-Identifier: Apache-2.0
// Packets for the slow path: answers asked for, copies to keep or to read.
#include <algorithm>
#include <cstring>

#include "datapath/meter.h"
#include "datapath/walk.h"
#include "lib/program/packet_meta.h"

namespace sluice {

template <bool kTrace>
bool Walker<kTrace>::punt(const Instr* i, const Instr* end) {
    const auto* spec = static_cast<const PuntSpec*>(i->p);
    out_.cacheable = false;  // what the slow path does may change with every packet
    if (spec && spec->probability < 65536 && (env_.random & 0xffff) >= spec->probability) {
        return i->b != kPuntEnds;
    }
    PuntPlace place;
    if (i->b == kPuntResumes) {
        if (i + 1 == end || i[1].op != Op::kNext) {
            drop(Drop::k_malformed_flow);
            return false;
        }
        place = {i[1].a, static_cast<uint8_t>(i[1].d), static_cast<uint8_t>(i->e),
                 static_cast<uint8_t>(i->f)};
    }
    record(TraceRecord::Kind::kPunt);
    emit_punt(f_, prefix_, place, *i, flow_, &out_);
    return i->b == kPuntCopies;
}

template <bool kTrace>
bool Walker<kTrace>::within_meter(const Instr& i) {
    const auto* spec = static_cast<const PuntSpec*>(i.p);
    if (!spec || spec->meter >= pipeline_.meters.size() || !pipeline_.meters[spec->meter]) {
        return true;
    }
    out_.cacheable = false;
    return !env_.meters ||
           env_.meters->take(*pipeline_.meters[spec->meter], f_.s.w[kSlotPktLen], env_.now_ms);
}

template <bool kTrace>
const Instr* Walker<kTrace>::hold(const Instr* i, const Instr* end) {
    if (within_meter(*i)) {
        buffer(*i);
        return i + 1;
    }
    drop(Drop::k_metered);
    ++i;
    return i != end && i->op == Op::kTransform ? std::min(i + 1 + i->d, end) : i;
}

/// The packet as it is now, for when the next hop is known.
template <bool kTrace>
void Walker<kTrace>::buffer(const Instr& i) {
    Instr punt{Op::kPunt};
    punt.a = static_cast<uint8_t>(PuntReason::kBuffer);
    punt.b = kPuntCopies;
    punt.c = i.a;
    out_.cacheable = false;
    const PuntPlace place{i.c, static_cast<uint8_t>(i.d), i.b, 0};
    emit_punt(f_, prefix_, i.b ? place : PuntPlace{}, punt, flow_, &out_);
}

template bool Walker<false>::punt(const Instr*, const Instr*);
template bool Walker<true>::punt(const Instr*, const Instr*);
template bool Walker<false>::within_meter(const Instr&);
template bool Walker<true>::within_meter(const Instr&);
template const Instr* Walker<false>::hold(const Instr*, const Instr*);
template const Instr* Walker<true>::hold(const Instr*, const Instr*);

}  // namespace sluice
