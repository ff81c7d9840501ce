// SPDX-License-Identifier: Apache-2.0
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <cstring>

#include "datapath/capture.h"
#include "datapath/edit.h"
#include "datapath/stages.h"
#include "datapath/trace.h"
#include "datapath/tunnel/encap.h"
#include "datapath/tunnel/too_big.h"
#include "datapath/worker_ctx.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

/// What a section's acts may say about their packet.
enum class Step : uint8_t { kGoOn, kGone };

Step refuse(WorkerCtx& ctx, rte_mbuf* m, Drop reason) {
    ctx.drop_packet(m, reason);
    return Step::kGone;
}

bool set16(rte_mbuf* m, const uint64_t* w, bool masked) {
    return edit::set_field16(m, &meta_of(m).key, static_cast<Target>(act::a(*w)),
                             reinterpret_cast<const uint8_t*>(w + 1),
                             masked ? reinterpret_cast<const uint8_t*>(w + 3) : nullptr);
}

bool inner_nat(rte_mbuf* m, const uint64_t* w) {
    edit::QuotedTuple to;
    to.ip6 = act::a(*w);
    to.src_port = static_cast<uint16_t>(act::d(*w) >> 16);
    to.dst_port = static_cast<uint16_t>(act::d(*w));
    std::memcpy(to.src, w + 1, 16);
    std::memcpy(to.dst, w + 3, 16);
    return edit::translate_quoted(m, meta_of(m).key, to);
}

/// What stands behind a meter without tokens is not done for this packet.
/// The walk has taken tokens for its own packet already.
void pass_meter(WorkerCtx& ctx, uint32_t pkt_len, const uint64_t* w, bool is_walked) {
    const auto bit = static_cast<uint16_t>(1u << act::a(w[0]));
    ctx.closed_meters &= static_cast<uint16_t>(~bit);
    const uint32_t flow = static_cast<uint32_t>(w[1] >> 32);
    const uint32_t length = w[3] ? static_cast<uint32_t>(w[3]) : pkt_len;
    if (!is_walked &&
        !ctx.meters->take_flow(flow, act::d(w[0]), act::d(w[1]), length, ctx.now_ms)) {
        ctx.closed_meters |= bit;
        ctx.drop(Drop::k_metered, flow, static_cast<uint32_t>(w[2] >> 32),
                 static_cast<uint32_t>(w[2]));
    }
}

/// The meter of a logical flow's controller_meter, or of the action itself.
bool may_punt(WorkerCtx& ctx, const rte_mbuf* m, const uint64_t* w) {
    const auto& meters = ctx.pipeline->meters;
    const unsigned meter = act::b(w[0]);
    return meter == 0 || meter > meters.size() || !meters[meter - 1] ||
           ctx.meters->take(*meters[meter - 1], m->pkt_len, ctx.now_ms);
}

void punt(WorkerCtx& ctx, rte_mbuf* m, const uint64_t* w) {
    PuntMeta& meta = meta_of(m).punt;
    const auto place = static_cast<uint32_t>(w[1]);
    if (SLUICE_UNLIKELY(!may_punt(ctx, m, w))) {
        ctx.counters->add(Counter::k_punts_metered);
        if (place >> 31) {
            rte_pktmbuf_free(m);  // a copy: the packet itself goes on
        } else {
            ctx.drop_packet(m, Drop::k_metered, static_cast<uint32_t>(w[2]));
        }
        return;
    }
    meta.side = static_cast<uint8_t>(place >> 24 & 1);
    meta.table = static_cast<uint8_t>(place >> 16);
    meta.result_slot = static_cast<uint8_t>(place >> 8);
    meta.result_bit = static_cast<uint8_t>(place);
    meta.flow = static_cast<uint32_t>(w[1] >> 32);
    meta.args = act::d(w[0]);
    meta.reason = static_cast<PuntReason>(act::a(w[0]));
    meta.port = meta_of(m).key.in_port;
    std::memcpy(meta.logical, w + 2, sizeof meta.logical);
    meta.ct_zone = static_cast<uint16_t>(w[2 + kLogicalSlots / 2]);
    ctx.hand_up(m);
}

Step run_section(WorkerCtx& ctx, rte_mbuf* m, const uint64_t* w, const uint64_t* end) {
    while (w != end) {
        const Act what = act::of(*w);
        PacketKey* key = &meta_of(m).key;
        bool done = true;
        switch (what) {
        case Act::kSet:
        case Act::kSetMasked: {
            const bool masked = what == Act::kSetMasked;
            done = edit::set_field(m, key, static_cast<Target>(act::a(*w)), act::value48(*w),
                                   masked ? w[1] : ~uint64_t{0});
            w += masked ? 2 : 1;
            break;
        }
        case Act::kSet16:
            done = set16(m, w, false);
            w += 3;
            break;
        case Act::kSet16Masked:
            done = set16(m, w, true);
            w += 5;
            break;
        case Act::kTransform:
            done = edit::transform(m, key, static_cast<Transform>(act::a(*w)));
            ++w;
            break;
        case Act::kIcmpId:
            done = edit::set_icmp_id(m, *key, static_cast<uint16_t>(act::d(*w)));
            ++w;
            break;
        case Act::kInnerNat:
            done = inner_nat(m, w);
            w += 5;
            break;
        case Act::kPushVlan:
            if (!edit::set_vlan_vid(m, key, static_cast<uint16_t>(*w))) {
                return refuse(ctx, m, Drop::k_no_headroom);
            }
            ++w;
            break;
        case Act::kQueue:
            meta_of(m).queue = act::d(*w);
            ++w;
            break;
        case Act::kEncap: send_by_tunnel(ctx, m, act::d(w[0]), w[1]); return Step::kGone;
        case Act::kOutput: transmit(ctx, m, act::b(*w)); return Step::kGone;
        case Act::kPunt: punt(ctx, m, w); return Step::kGone;
        case Act::kPacketSection:
        case Act::kSideSection:
        case Act::kMeter:
        case Act::kDrop:
        case Act::kMessage: SLUICE_DCHECK(false); return refuse(ctx, m, Drop::k_not_applicable);
        }
        if (SLUICE_UNLIKELY(!done)) {
            return refuse(ctx, m, Drop::k_not_applicable);
        }
    }
    return Step::kGoOn;
}

void send_message(WorkerCtx& ctx, const uint64_t* w) {
    Message message{};
    message.kind = static_cast<Message::Kind>(act::a(w[0]));
    const bool is_use = message.kind == Message::Kind::kMacUse4 ||
                        message.kind == Message::Kind::kMacUse6 ||
                        message.kind == Message::Kind::kFdbUse;
    if (is_use && !ctx.mac_uses.is_news(w, ctx.now_ms)) {
        return;
    }
    message.datapath = static_cast<uint32_t>(w[1] >> 32);
    message.port = static_cast<uint32_t>(w[1]);
    message.flow = static_cast<uint32_t>(w[2]);
    message.mac = w[3];
    std::memcpy(message.ip, w + 4, 16);
    const bool sent = ctx.config.mailbox && ctx.config.mailbox->send(message);
    ctx.counters->add(sent ? Counter::k_messages : Counter::k_messages_lost);
}

/// May come after the section that has sent the packet: so it is given the length alone.
void run_side(WorkerCtx& ctx, uint32_t pkt_len, const uint64_t* w, bool is_walked) {
    if (act::of(*w) == Act::kMeter) {
        pass_meter(ctx, pkt_len, w, is_walked);
    } else if (act::of(*w) == Act::kDrop) {
        ctx.drop(static_cast<Drop>(act::a(w[0])), act::d(w[0]), static_cast<uint32_t>(w[1] >> 32),
                 static_cast<uint32_t>(w[1]));
    } else {
        send_message(ctx, w);
    }
}

/// What a side section has dropped, while the packet is still there.
void capture_side(WorkerCtx& ctx, rte_mbuf* m, const uint64_t* w) {
    const auto datapath = [](uint64_t word) { return static_cast<uint32_t>(word >> 32); };
    if (act::of(*w) == Act::kDrop) {
        capture_drop(ctx, m, static_cast<Drop>(act::a(w[0])), act::d(w[0]), datapath(w[1]),
                     static_cast<uint32_t>(w[1]));
    } else if (act::of(*w) == Act::kMeter && (ctx.closed_meters & 1u << act::a(w[0]))) {
        capture_drop(ctx, m, Drop::k_metered, static_cast<uint32_t>(w[1] >> 32), datapath(w[2]),
                     static_cast<uint32_t>(w[2]));
    }
}

/// The packet is about to go: what the sections behind say of it is captured now.
void capture_rest(WorkerCtx& ctx, rte_mbuf* m, const uint64_t* w, const uint64_t* end) {
    while (w != end) {
        const uint64_t head = *w++;
        if (act::of(head) == Act::kSideSection && act::of(*w) == Act::kDrop &&
            !(act::b(head) & ctx.closed_meters)) {
            capture_side(ctx, m, w);
        }
        w += act::d(head);
    }
}

rte_mbuf* copy_packet(WorkerCtx& ctx, rte_mbuf* m) {
    rte_mbuf* copy = rte_pktmbuf_copy(m, ctx.config.copy_pool, 0, UINT32_MAX);
    if (!copy) {
        ctx.drop(Drop::k_no_mbuf);
        return nullptr;
    }
    ctx.counters->add(Counter::k_copies);
    meta_of(copy).key = meta_of(m).key;
    meta_of(copy).queue = 0;
    if (copy->nb_segs > 1) {
        edit::pull_up(copy, edit::kHeaderSpan);
    }
    return copy;
}

}  // namespace

rte_mbuf* WorkerCtx::copy(rte_mbuf* m) {
    return copy_packet(*this, m);
}

void apply(WorkerCtx& ctx, rte_mbuf* m, const ProgramView& program, bool last) {
    const uint64_t* w = program.words;
    const uint64_t* const end = w + program.n_words;
    const bool is_walked = program.words == ctx.program.words;
    const uint32_t pkt_len = m->pkt_len;
    bool mine = true;
    if (SLUICE_UNLIKELY(pkt_len > ctx.pipeline->tunnel_room)) {
        tell_too_big(ctx, m, program);
    }
    while (w != end) {
        const uint64_t head = *w++;
        const uint64_t* const next = w + act::d(head);
        if (SLUICE_UNLIKELY(act::b(head) & ctx.closed_meters)) {
            w = next;
            continue;
        }
        if (act::of(head) == Act::kSideSection) {
            run_side(ctx, pkt_len, w, is_walked);
            if (SLUICE_UNLIKELY(ctx.capture != nullptr) && mine) {
                capture_side(ctx, m, w);
            }
        } else if (last && (head & act::kInPlace)) {
            mine = false;
            if (SLUICE_UNLIKELY(ctx.capture != nullptr)) {
                capture_rest(ctx, m, next, end);
            }
            run_section(ctx, m, w, next);
        } else if (rte_mbuf* copy = copy_packet(ctx, m)) {
            run_section(ctx, copy, w, next);
        }
        w = next;
    }
    if (mine && last) {
        rte_pktmbuf_free(m);
    }
    if (last) {
        ctx.closed_meters = 0;
        ctx.has_told = false;
    }
}

}  // namespace sluice
