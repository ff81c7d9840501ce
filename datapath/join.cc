// SPDX-License-Identifier: Apache-2.0
#include "datapath/join.h"

#include <rte_mbuf.h>

#include <cstddef>
#include <cstring>

#include "datapath/super_frame.h"
#include "datapath/worker_ctx.h"
#include "lib/net/checksum.h"
#include "lib/net/payload_sum.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kEce = 0x40;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint32_t kMaxIpLength = 65535;
constexpr unsigned kMaxChain = 44;  ///< of which every driver takes one more for its header

/// A segment by its bytes.
struct Segment {
    const uint8_t* data;
    uint16_t l3;
    uint16_t l4;
    uint16_t payload;
    uint16_t bytes;  ///< of payload
    bool ip6;
};

/// False for what is no plain TCP packet.
bool read_segment(const rte_mbuf* m, const PacketKey& key, Segment* s) {
    const uint16_t header = key.kinds & kind::kIp6 ? kIp6Len : kIp4MinLen;
    if (key.ip_proto != kProtoTcp || !(key.kinds & kind::kL4) || key.ip_frag != 0 ||
        key.l3_len != header || m->nb_segs != 1 || is_super(m)) {
        return false;
    }
    s->data = rte_pktmbuf_mtod(m, const uint8_t*);
    s->ip6 = key.kinds & kind::kIp6;
    s->l3 = key.l2_len;
    s->l4 = key.l4_ofs;
    s->payload = static_cast<uint16_t>(key.l4_ofs + (s->data[key.l4_ofs + 12] >> 4) * 4);
    const uint8_t* l3 = s->data + s->l3;
    const uint32_t end = s->l3 + (s->ip6 ? kIp6Len + get16(l3 + 4) : uint32_t{get16(l3 + 2)});
    if (s->payload < s->l4 + kTcpMinLen || end != m->pkt_len || end < s->payload) {
        return false;
    }
    s->bytes = static_cast<uint16_t>(end - s->payload);
    return true;
}

/// Data, and nothing that a receiver must see by itself.
bool can_join(const Segment& s) {
    const uint8_t flags = s.data[s.l4 + 13];
    return s.bytes != 0 && (flags & kAck) && !(flags & ~(kAck | kPsh | kEce)) &&
           !(s.data[s.l4 + 12] & 0x0f);
}

/// The local port behind the tunnel's outport takes super-frames.
bool is_wanted(const WorkerCtx& ctx, const Item& item) {
    if (item.start.kind != WalkStart::Kind::kOutputLocal) {
        return false;
    }
    const LogicalPort* const* port = item.start.datapath->ports.find(item.start.outport);
    return port && (*port)->reach == Reach::kVif &&
           (*ctx.ports)[(*port)->port].has(kPortTxTso | kPortTxMultiSeg);
}

/// The segment's checksum is right. Said by whoever looked at it before, or summed now.
bool is_sound(rte_mbuf* m, const Segment& s) {
    const uint64_t said = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    if (said == RTE_MBUF_F_RX_L4_CKSUM_GOOD) {
        return true;
    }
    const uint32_t length = m->pkt_len - s.l4;
    const uint64_t sum = checksum::sum_payload(s.data + s.l4, length) +
                         pseudo_sum(s.data + s.l3, s.ip6, kProtoTcp, length);
    if (checksum::fold(sum) != 0xffff) {
        return false;
    }
    m->ol_flags = (m->ol_flags & ~RTE_MBUF_F_RX_L4_CKSUM_MASK) | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    return true;
}

/// Same Ethernet header, addresses and ports: the flow that `s` belongs to.
bool is_flow(const JoinFlow& flow, const Segment& s) {
    const uint8_t* head = rte_pktmbuf_mtod(flow.item->m, const uint8_t*);
    const unsigned from = s.l3 + (s.ip6 ? 8u : 12u);
    return flow.l3 == s.l3 && flow.l4 == s.l4 && flow.ip6 == s.ip6 &&
           std::memcmp(head + s.l4, s.data + s.l4, 4) == 0 &&
           std::memcmp(head + from, s.data + from, s.l4 - from) == 0 &&
           std::memcmp(head, s.data, s.l3) == 0;
}

/// All that segments of one super-frame have in common.
bool has_same_headers(const JoinFlow& flow, const Segment& s) {
    const uint8_t* head = rte_pktmbuf_mtod(flow.item->m, const uint8_t*);
    const uint8_t* a = head + s.l3;
    const uint8_t* b = s.data + s.l3;
    if (s.ip6) {
        if (std::memcmp(a, b, 4) != 0 || a[7] != b[7]) {  // class and label, hop limit
            return false;
        }
    } else {
        // Version, length and DSCP; flags; TTL. Identifications count on, or are 0 with DF.
        if (std::memcmp(a, b, 2) != 0 || std::memcmp(a + 6, b + 6, 3) != 0 ||
            get16(b + 4) != flow.next_id) {
            return false;
        }
    }
    const uint8_t* x = head + s.l4;
    const uint8_t* y = s.data + s.l4;
    return flow.payload == s.payload && std::memcmp(x + 8, y + 8, 5) == 0 &&
           ((x[13] ^ y[13]) & ~kPsh) == 0 && std::memcmp(x + 14, y + 14, 2) == 0 &&
           std::memcmp(x + 18, y + 18, static_cast<size_t>(s.payload - s.l4 - 18)) == 0;
}

/// The pipeline judges by TCP flags, or by what is in no key.
bool reads_flags(const Item& item) {
    return !item.mask || item.mask->bytes[offsetof(PacketKey, tcp_flags)] != 0 ||
           item.mask->bytes[offsetof(PacketKey, tcp_flags) + 1] != 0;
}

bool may_join(const JoinFlow& flow, rte_mbuf* m, const Segment& s) {
    const bool pushes = s.data[s.l4 + 13] & kPsh;
    const rte_mbuf* head = flow.item->m;
    return flow.is_open && get32(s.data + s.l4 + 4) == flow.next_seq && s.bytes <= flow.segment &&
           head->nb_segs < kMaxChain && head->pkt_len - flow.l3 + s.bytes <= kMaxIpLength &&
           has_same_headers(flow, s) && !(pushes && reads_flags(*flow.item)) && is_sound(m, s) &&
           (flow.pieces > 1 ||
            is_sound(flow.item->m, Segment{rte_pktmbuf_mtod(flow.item->m, const uint8_t*), flow.l3,
                                           flow.l4, flow.payload, flow.segment, flow.ip6}));
}

void append(JoinFlow* flow, rte_mbuf* m, const Segment& s) {
    const uint8_t push = s.data[s.l4 + 13] & kPsh;
    flow->next_id = static_cast<uint16_t>(flow->next_id + flow->id_step);
    rte_mbuf* head = flow->item->m;
    rte_pktmbuf_adj(m, s.payload);
    flow->tail->next = m;
    flow->tail = m;
    ++head->nb_segs;
    head->pkt_len += s.bytes;
    flow->next_seq += s.bytes;
    flow->new_flags |= push;
    flow->is_open = !push && s.bytes == flow->segment;
    ++flow->pieces;
}

void open_flow(WorkerCtx& ctx, Item* item, const Segment& s) {
    Joins& joins = ctx.joins;
    if (joins.n == Joins::kFlows) {
        return;
    }
    const uint8_t* l3 = s.data + s.l3;
    const uint16_t id = s.ip6 ? uint16_t{0} : get16(l3 + 4);
    const bool is_atomic = s.ip6 || ((get16(l3 + 6) & kDontFragment) && id == 0);
    const auto step = static_cast<uint16_t>(is_atomic ? 0 : 1);
    joins.flows[joins.n++] = {.item = item,
                              .tail = item->m,
                              .next_seq = get32(s.data + s.l4 + 4) + s.bytes,
                              .l3 = s.l3,
                              .l4 = s.l4,
                              .payload = s.payload,
                              .segment = s.bytes,
                              .next_id = static_cast<uint16_t>(id + step),
                              .id_step = step,
                              .pieces = 1,
                              .new_flags = 0,
                              .is_open = !(s.data[s.l4 + 13] & kPsh),
                              .ip6 = s.ip6};
}

}  // namespace

bool join(WorkerCtx& ctx, Item* item) {
    rte_mbuf* m = item->m;
    Segment s;
    if (!read_segment(m, meta_of(m).key, &s) || !is_wanted(ctx, *item)) {
        return false;
    }
    const bool joins_at_all = can_join(s);
    for (unsigned i = ctx.joins.n; i-- > 0;) {
        JoinFlow& flow = ctx.joins.flows[i];
        if (flow.item->start.datapath != item->start.datapath ||
            flow.item->start.inport != item->start.inport ||
            flow.item->start.outport != item->start.outport || !is_flow(flow, s)) {
            continue;
        }
        if (joins_at_all && may_join(flow, m, s)) {
            append(&flow, m, s);
            return true;
        }
        flow.is_open = false;
        break;
    }
    if (joins_at_all) {
        open_flow(ctx, item, s);
    }
    return false;
}

void end_joins(WorkerCtx& ctx) {
    for (unsigned i = 0; i < ctx.joins.n; ++i) {
        const JoinFlow& flow = ctx.joins.flows[i];
        if (flow.pieces == 1) {
            continue;
        }
        rte_mbuf* m = flow.item->m;
        uint8_t* l3 = rte_pktmbuf_mtod_offset(m, uint8_t*, flow.l3);
        if (flow.ip6) {
            put16(l3 + 4, m->pkt_len - flow.l3 - kIp6Len);
        } else {
            put16(l3 + 2, m->pkt_len - flow.l3);
            put16(l3 + 10, 0);
            const uint16_t sum = checksum::of(l3, kIp4MinLen);
            std::memcpy(l3 + 10, &sum, 2);
        }
        l3[flow.l4 - flow.l3 + 13] |= flow.new_flags;
        PacketKey& key = meta_of(m).key;
        key.pkt_len = m->pkt_len;
        make_super(m, flow.segment);
        const LogicalPort* const* port =
            flow.item->start.datapath->ports.find(flow.item->start.outport);
        ctx.counters->add((*port)->port, PortWork::k_rx_joined, flow.pieces);
    }
    ctx.joins.n = 0;
}

}  // namespace sluice
