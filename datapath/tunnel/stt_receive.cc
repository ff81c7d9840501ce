// SPDX-License-Identifier: Apache-2.0
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "datapath/edit.h"
#include "datapath/super_frame.h"
#include "datapath/trace.h"
#include "datapath/tunnel/geneve.h"
#include "datapath/tunnel/liveness.h"
#include "datapath/tunnel/stt.h"
#include "datapath/tunnel/stt_header.h"
#include "datapath/tunnel/stt_reassembly.h"
#include "datapath/worker_ctx.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"
#include "lib/program/packet_sum.h"

namespace sluice {
namespace {

using namespace wire;

/// The smallest segments that a frame may ask to be cut into: what Linux accepts of a peer.
constexpr uint16_t kLeastMss = 48;

bool segment_checksum_good(const rte_mbuf* m, const PacketKey& key, uint32_t l4_len) {
    switch (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) {
    case RTE_MBUF_F_RX_L4_CKSUM_GOOD: return true;
    case RTE_MBUF_F_RX_L4_CKSUM_BAD: return false;
    default: break;
    }
    const uint8_t* l3 = rte_pktmbuf_mtod_offset(m, const uint8_t*, key.l2_len);
    uint16_t body = 0;
    return sum_packet(m, key.l4_ofs, l4_len, &body) &&
           checksum::fold(uint64_t{body} +
                          pseudo_sum(l3, key.kinds & kind::kIp6, kProtoTcp, l4_len)) == 0xffff;
}

/// Cuts off what is behind the first `len` bytes: padding.
void trim_to(rte_mbuf* m, uint32_t len) {
    m->pkt_len = len;
    uint16_t kept = 1;
    rte_mbuf* last = m;
    for (; len > last->data_len; last = last->next) {
        len -= last->data_len;
        ++kept;
    }
    last->data_len = static_cast<uint16_t>(len);
    rte_pktmbuf_free(last->next);
    last->next = nullptr;
    m->nb_segs = kept;
}

/// Checks a segment and cuts it down to its slice of the frame.
Drop read_segment(rte_mbuf* m, const PacketKey& key, SttSegment* s) {
    if (key.ip_frag) {
        return Drop::k_outer_fragment;
    }
    if (!(key.kinds & kind::kL4)) {
        return Drop::k_stt_truncated;
    }
    const uint8_t* l3 = rte_pktmbuf_mtod_offset(m, const uint8_t*, key.l2_len);
    const uint8_t* l4 = l3 + key.l3_len;
    s->ip6 = key.kinds & kind::kIp6;
    if (!s->ip6 && !checksum::good(l3, key.l3_len)) {
        return Drop::k_outer_checksum;
    }
    const uint32_t ip_len = s->ip6 ? kIp6Len + get16(l3 + 4) : uint32_t{get16(l3 + 2)};
    const uint32_t l4_len = ip_len - key.l3_len;
    const uint32_t header = (l4[12] >> 4) * 4u;
    if (header < kTcpMinLen || header >= l4_len) {
        return Drop::k_stt_truncated;
    }
    if (!segment_checksum_good(m, key, l4_len)) {
        return Drop::k_outer_checksum;
    }
    const unsigned n = s->ip6 ? 16 : 4;
    std::memcpy(s->src, key.ip_src, n);
    std::memcpy(s->dst, key.ip_dst, n);
    s->src_port = key.l4_src;
    s->total = get16(l4 + 4);
    s->offset = get16(l4 + 6);
    s->id = get32(l4 + 8);
    s->length = l4_len - header;
    s->ecn = key.ip_tos & 3;
    if (s->total < kSttFrameLen || s->offset + s->length > s->total) {
        return Drop::k_stt_length;
    }
    const uint32_t begin = key.l4_ofs + header;
    trim_to(m, begin + s->length);
    if (!rte_pktmbuf_adj(m, static_cast<uint16_t>(begin))) {
        return Drop::k_stt_truncated;
    }
    // What the device said of checksums and cutting was about the segment.
    m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK);
    make_plain(m);
    return Drop::k_none;
}

bool push_tag(rte_mbuf* m, uint16_t tci) {
    auto* data = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(m, kVlanLen));
    if (!data) {
        return false;
    }
    std::memmove(data, data + kVlanLen, 12);
    put16(data + 12, kTypeVlan);
    put16(data + 14, tci & ~uint32_t{kVlanPresent});
    return true;
}

/// The data of a partial checksum is complete: so is the checksum.
void complete_checksum(rte_mbuf* m, const PacketKey& key, uint32_t l4_len) {
    const bool tcp = key.ip_proto == kProtoTcp;
    uint8_t* field = rte_pktmbuf_mtod_offset(m, uint8_t*, key.l4_ofs + (tcp ? 16 : 6));
    uint16_t raw = 0;
    sum_packet(m, key.l4_ofs, l4_len, &raw);
    raw = static_cast<uint16_t>(~raw);
    raw = raw == 0 && !tcp ? 0xffff : raw;
    std::memcpy(field, &raw, 2);
}

/// Does what flag P asks for, once it has been seen to fit the inner packet.
Drop take_offload(rte_mbuf* m, const PacketKey& key, const SttHeader& stt) {
    const bool ip4 = stt.flags & SttHeader::kIp4;
    const bool tcp = stt.flags & SttHeader::kTcp;
    const uint32_t shift = stt.tci ? kVlanLen : 0;
    const bool fits = stt.l4_offset >= kEthLen + (ip4 ? kIp4MinLen : kIp6Len) &&
                      (key.kinds & kind::kL4) && key.l4_ofs == stt.l4_offset + shift &&
                      key.ip_frag == 0 && key.ip_proto == (tcp ? kProtoTcp : kProtoUdp) &&
                      (key.kinds & (ip4 ? kind::kIp4 : kind::kIp6));
    if (!fits) {
        return Drop::k_stt_offload;
    }
    const uint8_t* l3 = rte_pktmbuf_mtod_offset(m, const uint8_t*, key.l2_len);
    const uint32_t l4_len = (ip4 ? get16(l3 + 2) : kIp6Len + uint32_t{get16(l3 + 4)}) - key.l3_len;
    if (tcp && stt.mss != 0) {
        make_super(m, stt.mss);
        SuperLayout layout;
        bool sound = false;
        const bool is_long = read_super(m, &layout, &sound);
        if (!sound || stt.mss < kLeastMss) {
            return Drop::k_stt_offload;
        }
        if (is_long) {
            m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
            return Drop::k_none;
        }
        make_plain(m);
    }
    complete_checksum(m, key, l4_len);
    m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    return Drop::k_none;
}

/// RFC 6040 on the inner header.
Drop merge_ecn(rte_mbuf* m, PacketKey* key, uint8_t outer) {
    const bool ip6 = key->kinds & kind::kIp6;
    if (!ip6 && !(key->kinds & kind::kIp4)) {
        return Drop::k_none;
    }
    uint8_t ecn;
    if (!decapsulate_ecn(outer, key->ip_tos, &ecn)) {
        return Drop::k_ecn_not_ect;
    }
    if (ecn != (key->ip_tos & 3)) {
        key->ip_tos = static_cast<uint8_t>((key->ip_tos & ~3) | ecn);
        edit::set_tos(rte_pktmbuf_mtod_offset(m, uint8_t*, key->l2_len), ip6, key->ip_tos);
    }
    return Drop::k_none;
}

/// From a whole STT frame to the inner frame, parsed.
Drop unwrap(rte_mbuf* m, const SttHeader& stt, uint8_t ecn) {
    if (stt.version != 0) {
        return Drop::k_stt_version;
    }
    rte_pktmbuf_adj(m, kSttFrameLen);
    if (m->pkt_len < kEthLen) {
        return Drop::k_runt_frame;
    }
    if (stt.tci != 0 && !push_tag(m, stt.tci)) {
        return Drop::k_no_headroom;
    }
    PacketKey& key = meta_of(m).key;
    const uint16_t port = key.in_port;
    if (!parse_packet(m, &key)) {
        return Drop::k_runt_frame;
    }
    key.in_port = port;
    if (stt.flags & SttHeader::kPartial) {
        const Drop reason = take_offload(m, key, stt);
        if (reason != Drop::k_none) {
            return reason;
        }
    } else if (stt.flags & SttHeader::kVerified) {
        m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    }
    return merge_ecn(m, &key, ecn);
}

/// The whole frame is here: from it to an item, without a packet if that was taken over.
Drop deliver(WorkerCtx& ctx, rte_mbuf* m, uint8_t ecn, Item* item) {
    uint8_t copy[kSttFrameLen];
    const auto* at = static_cast<const uint8_t*>(rte_pktmbuf_read(m, 0, kSttFrameLen, copy));
    const SttHeader stt = read_stt_header(at);
    const auto key_of = [&stt](unsigned shift, uint32_t mask) {
        return static_cast<uint32_t>(stt.context >> shift) & mask;
    };
    const uint32_t datapath_key = key_of(0, 0xffffff);
    const uint32_t inport = key_of(40, 0x7fff);
    const uint32_t outport = key_of(24, 0xffff);
    const OuterEnds ends =
        datapath_key == 0 ? outer_ends_of(meta_of(m).key, TunnelType::kStt) : OuterEnds{};
    const Drop reason = unwrap(m, stt, ecn);
    if (reason != Drop::k_none) {
        return reason;
    }
    if (SLUICE_UNLIKELY(datapath_key == 0)) {
        item->m = nullptr;
        return take_tunnel_bfd(ctx, m, ends) ? Drop::k_none : Drop::k_unknown_datapath;
    }
    const Pipeline& pipeline = *ctx.pipeline;
    const Datapath* const* datapath = pipeline.by_key.find(datapath_key);
    if (!datapath) {
        return Drop::k_unknown_datapath;
    }
    PacketKey& key = meta_of(m).key;
    key.context = context_of_tunnel(datapath_key, inport, outport);
    item->m = m;
    item->start = {WalkStart::Kind::kOutputLocal, *datapath, inport, outport, flag::kTunnelRx};
    item->mask = mask_for(*pipeline.tunnel_masks, key);
    if (SLUICE_UNLIKELY(ctx.trace != nullptr)) {
        TraceRecord record{.kind = TraceRecord::Kind::kDecap};
        record.datapath = datapath_key;
        record.inport = inport;
        record.outport = outport;
        record.key = key;
        ctx.trace->records.push_back(std::move(record));
    }
    return Drop::k_none;
}

/// The headers in the first mbuf, also where slices are small: a copy is dense. Null: dropped.
rte_mbuf* gather_headers(WorkerCtx& ctx, rte_mbuf* m) {
    constexpr uint16_t kSpan = kSttFrameLen + edit::kHeaderSpan;
    edit::pull_up(m, kSpan);
    if (m->data_len >= std::min<uint32_t>(kSpan, m->pkt_len)) {
        return m;
    }
    rte_mbuf* dense = ctx.copy(m);
    rte_pktmbuf_free(m);
    return dense;
}

UnderlayVerdict refuse(WorkerCtx& ctx, rte_mbuf* m, Drop reason) {
    ctx.drop_packet(m, reason);
    return UnderlayVerdict::kDropped;
}

}  // namespace

UnderlayVerdict receive_stt(WorkerCtx& ctx, rte_mbuf* m, const Underlay&, Item* item) {
    SttSegment segment{};
    Drop reason = read_segment(m, meta_of(m).key, &segment);
    if (SLUICE_UNLIKELY(reason != Drop::k_none)) {
        return refuse(ctx, m, reason);
    }
    uint8_t ecn = segment.ecn;
    if (SLUICE_UNLIKELY(segment.length != segment.total)) {
        ctx.counters->add(Counter::k_stt_segments);
        SttReassembly::Frame frame;
        switch (ctx.stt->add(m, segment, ctx.now_ms, &frame)) {
        case SttReassembly::Verdict::kHeld: return UnderlayVerdict::kDropped;
        case SttReassembly::Verdict::kRefused: return refuse(ctx, m, frame.reason);
        case SttReassembly::Verdict::kComplete: break;
        }
        m = frame.m;
        ecn = frame.ecn;
    }
    if (SLUICE_UNLIKELY(m->nb_segs > 1) && !(m = gather_headers(ctx, m))) {
        return UnderlayVerdict::kDropped;
    }
    reason = deliver(ctx, m, ecn, item);
    if (SLUICE_UNLIKELY(reason != Drop::k_none)) {
        return refuse(ctx, m, reason);
    }
    ctx.counters->add(Counter::k_tunnel_rx);
    return item->m ? UnderlayVerdict::kTunnel : UnderlayVerdict::kDropped;
}

}  // namespace sluice
