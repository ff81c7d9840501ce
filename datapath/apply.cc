// SPDX-License-Identifier: Apache-2.0
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <cstring>

#include "datapath/edit.h"
#include "datapath/stages.h"
#include "datapath/trace.h"
#include "datapath/tunnel/encap.h"
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

Step meter(WorkerCtx& ctx, rte_mbuf* m, const uint64_t* w) {
    const uint32_t flow = static_cast<uint32_t>(w[1] >> 32);
    if (ctx.meters.take(flow, act::d(w[0]), act::d(w[1]), m->pkt_len, ctx.now, rte_get_tsc_hz())) {
        return Step::kGoOn;
    }
    ctx.counters->drop(Drop::k_metered);
    ctx.drops.add(ctx.now, Drop::k_metered, flow, 0, 0);
    rte_pktmbuf_free(m);
    return Step::kGone;
}

void punt(WorkerCtx& ctx, rte_mbuf* m, const uint64_t* w) {
    PuntMeta& meta = meta_of(m).punt;
    const auto place = static_cast<uint32_t>(w[1]);
    meta.side = static_cast<uint8_t>(place >> 24);
    meta.table = static_cast<uint8_t>(place >> 16);
    meta.result_slot = static_cast<uint8_t>(place >> 8);
    meta.result_bit = static_cast<uint8_t>(place);
    meta.flow = static_cast<uint32_t>(w[1] >> 32);
    meta.args = act::d(w[0]);
    meta.reason = static_cast<PuntReason>(act::a(w[0]));
    meta.port = meta_of(m).key.in_port;
    std::memcpy(meta.logical, w + 2, sizeof meta.logical);
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
        case Act::kPushVlan:
            if (!edit::set_vlan_vid(m, key, static_cast<uint16_t>(*w))) {
                return refuse(ctx, m, Drop::k_no_headroom);
            }
            ++w;
            break;
        case Act::kQueue:
            rte_mbuf_sched_queue_set(m, act::d(*w));
            ++w;
            break;
        case Act::kMeter:
            if (meter(ctx, m, w) == Step::kGone) {
                return Step::kGone;
            }
            w += 2;
            break;
        case Act::kEncap: send_by_tunnel(ctx, m, act::d(w[0]), w[1]); return Step::kGone;
        case Act::kOutput: transmit(ctx, m, act::b(*w)); return Step::kGone;
        case Act::kPunt: punt(ctx, m, w); return Step::kGone;
        case Act::kPacketSection:
        case Act::kSideSection:
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
    message.datapath = static_cast<uint32_t>(w[1] >> 32);
    message.port = static_cast<uint32_t>(w[1]);
    message.flow = static_cast<uint32_t>(w[2]);
    message.mac = w[3];
    std::memcpy(message.ip, w + 4, 16);
    const bool sent = ctx.config.mailbox && ctx.config.mailbox->send(message);
    ctx.counters->add(sent ? Counter::k_messages : Counter::k_messages_lost);
}

void run_side(WorkerCtx& ctx, const uint64_t* w) {
    if (act::of(*w) == Act::kDrop) {
        ctx.drop(static_cast<Drop>(act::a(w[0])), act::d(w[0]), static_cast<uint32_t>(w[1] >> 32),
                 static_cast<uint32_t>(w[1]));
    } else {
        send_message(ctx, w);
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
    bool mine = true;
    while (w != end) {
        const uint64_t head = *w++;
        const uint64_t* const next = w + act::d(head);
        if (act::of(head) == Act::kSideSection) {
            run_side(ctx, w);
        } else if (last && (head & act::kInPlace)) {
            mine = false;
            run_section(ctx, m, w, next);
        } else if (rte_mbuf* copy = copy_packet(ctx, m)) {
            run_section(ctx, copy, w, next);
        }
        w = next;
    }
    if (mine && last) {
        rte_pktmbuf_free(m);
    }
}

}  // namespace sluice
