// SPDX-License-Identifier: Apache-2.0
// Steps of a walk for load balancing: choosing a backend, hairpins, what a connection was made for.
#include <cstring>

#include "datapath/lb_hairpin.h"
#include "datapath/select_hash.h"
#include "datapath/walk.h"

namespace sluice {
namespace {

void copy_address(uint32_t* to, const uint32_t* from) {
    std::memcpy(to, from, 4 * sizeof *to);
}

}  // namespace

template <bool kTrace>
bool Walker<kTrace>::balance(const Instr& i, unsigned side) {
    const auto& lb = *static_cast<const CtLbArgs*>(i.p);
    const uint32_t hash = select_hash_of(f_.s, lb.hash_fields);
    const CtLbArgs::Backend& backend = lb.backends[hash % lb.backends.size()];
    CtCommitArgs args;
    args.marks = lb.marks;
    args.nat.kind = CtNat::kDst;
    args.nat.is_v6 = lb.is_v6;
    copy_address(args.nat.low, backend.address);
    copy_address(args.nat.high, backend.address);
    args.nat.port_low = args.nat.port_high = backend.port;
    return track({i.op, zone_of(i.a, side), true, true, &args});
}

template <bool kTrace>
bool Walker<kTrace>::snat_to_vip(const Instr& i, unsigned side) {
    const LbVip* const vip = hairpin_vip(f_.datapath->hairpins.get(), f_.s, original_tuple());
    if (!vip) {
        return true;
    }
    CtCommitArgs args;
    args.nat.kind = CtNat::kSrc;
    args.nat.is_v6 = vip->is_v6;
    copy_address(args.nat.low, vip->snat);
    copy_address(args.nat.high, vip->snat);
    return track({i.op, zone_of(i.a, side), true, false, &args});
}

template <bool kTrace>
void Walker<kTrace>::check_hairpin(const Instr& i) {
    const LbHairpins* const table = f_.datapath->hairpins.get();
    bool is = false;
    if (i.op == Op::kChkLbHairpin) {
        const LbHairpin* const found = chk_lb_hairpin(table, f_.s, original_tuple());
        if (found) {
            open_hairpin_session(*found, f_.s, f_.datapath->key);
        }
        is = found != nullptr;
    } else {
        const HairpinReply reply = chk_lb_hairpin_reply(table, f_.s, f_.datapath->key);
        is = reply == HairpinReply::kYes;
        out_.cacheable = out_.cacheable && reply != HairpinReply::kNotYet;
    }
    f_.write(i.e, 1u << i.f, static_cast<uint32_t>(is) << i.f);
}

/// Of the connection that flows see, if they see one.
template <bool kTrace>
const CtTuple* Walker<kTrace>::original_tuple() const {
    return f_.ct && (f_.s.w[kSlotCtState] & ct::kTrk) ? &f_.ct->view.original : nullptr;
}

/// ct_nw_dst() and its family: what the connection's first packet had, 0 when not tracked.
template <bool kTrace>
void Walker<kTrace>::original(const Instr& i) {
    uint32_t words[4] = {};
    if (const CtTuple* const found = original_tuple()) {
        const CtTuple& tuple = *found;
        switch (static_cast<CtOriginal>(i.b)) {
        case CtOriginal::kIp4Dst: words[3] = tuple.is_v6 ? 0 : tuple.dst[3]; break;
        case CtOriginal::kIp6Dst:
            if (tuple.is_v6) {
                copy_address(words, tuple.dst);
            }
            break;
        case CtOriginal::kL4Dst: words[3] = tuple.dst_port; break;
        case CtOriginal::kProto: words[3] = tuple.proto; break;
        }
    }
    const unsigned n = (i.e + 31) / 32;
    for (unsigned k = 0; k < n; ++k) {
        const uint32_t bits = i.e >= 32 ? ~0u : (1u << i.e) - 1;
        f_.write(i.a + k, bits << i.c, words[4 - n + k] << i.c);
    }
}

template bool Walker<false>::balance(const Instr&, unsigned);
template bool Walker<true>::balance(const Instr&, unsigned);
template bool Walker<false>::snat_to_vip(const Instr&, unsigned);
template bool Walker<true>::snat_to_vip(const Instr&, unsigned);
template void Walker<false>::check_hairpin(const Instr&);
template void Walker<true>::check_hairpin(const Instr&);
template void Walker<false>::original(const Instr&);
template void Walker<true>::original(const Instr&);

}  // namespace sluice
