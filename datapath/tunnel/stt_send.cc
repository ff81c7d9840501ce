// SPDX-License-Identifier: Apache-2.0
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <cstring>

#include "datapath/edit.h"
#include "datapath/super_frame.h"
#include "datapath/tunnel/encap.h"
#include "datapath/tunnel/stt.h"
#include "datapath/tunnel/stt_header.h"
#include "datapath/worker_ctx.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"
#include "lib/program/packet_sum.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint16_t kLeastMtu = 128;

/// The one 802.1Q tag of a frame travels beside it; what has more tags keeps all of them.
void take_tag(rte_mbuf* m, SttHeader* stt) {
    uint8_t* data = rte_pktmbuf_mtod(m, uint8_t*);
    if (m->data_len < kEthLen + kVlanLen || get16(data + 12) != kTypeVlan ||
        is_tag(get16(data + 16))) {
        return;
    }
    stt->tci = static_cast<uint16_t>(get16(data + 14) | kVlanPresent);
    stt->l4_offset = static_cast<uint8_t>(stt->l4_offset ? stt->l4_offset - kVlanLen : 0);
    std::memmove(data + kVlanLen, data, 12);
    rte_pktmbuf_adj(m, kVlanLen);
}

/// Leaves checksum and cutting of an inner super-frame to whoever receives it. False: it must be
/// finished here.
bool leave_to_receiver(rte_mbuf* m, SttHeader* stt) {
    SuperLayout at;
    if (!read_super(m, &at)) {
        return false;
    }
    constexpr uint8_t kCwr = 0x80;  // only ECN-aware devices cut these right
    uint8_t* data = rte_pktmbuf_mtod(m, uint8_t*);
    if (at.l4 > UINT8_MAX || (data[at.l4 + 13] & kCwr)) {
        return false;
    }
    const uint16_t pseudo = pseudo_sum(data + at.l3, at.ip6, kProtoTcp, at.end - at.l4);
    std::memcpy(data + at.l4 + 16, &pseudo, 2);
    stt->flags = static_cast<uint8_t>(SttHeader::kPartial | SttHeader::kTcp |
                                      (at.ip6 ? 0 : SttHeader::kIp4));
    stt->l4_offset = static_cast<uint8_t>(at.l4);
    stt->mss = segment_of(m);
    make_plain(m);
    return true;
}

bool has_verified_checksum(const rte_mbuf* m, const PacketKey& key) {
    return (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD &&
           (key.kinds & kind::kL4) && key.ip_frag == 0 &&
           (key.ip_proto == kProtoTcp || key.ip_proto == kProtoUdp);
}

void patch_ip(WorkerCtx& ctx, const Tunnel& t, uint8_t* l3, const InnerIp& inner, uint32_t ip_len) {
    const auto tos = static_cast<uint8_t>(((t.tos_inherit && inner.ip ? inner.tos : t.tos) & 0xfc) |
                                          (inner.tos & 3));
    const uint8_t ttl = t.ttl_inherit && inner.ip ? inner.ttl : t.ttl;
    if (t.ip6) {
        put16(l3, static_cast<uint32_t>((get16(l3) & 0xf00f) | tos << 4));
        put16(l3 + 4, ip_len - kIp6Len);
        l3[7] = ttl;
        return;
    }
    l3[1] = tos;
    put16(l3 + 2, ip_len);
    put16(l3 + 4, t.df ? 0u : ctx.next_ip_id);
    put16(l3 + 6, t.df ? 0x4000u : 0u);
    l3[8] = ttl;
    put16(l3 + 10, 0);
    const uint16_t sum = checksum::of(l3, kIp4MinLen);
    std::memcpy(l3 + 10, &sum, 2);
    if (!t.df) {  // one for each packet that it may become
        const uint32_t step = t.mtu ? ip_len / (t.mtu - kIp4MinLen - kSttSegmentLen) + 1 : 1;
        ctx.next_ip_id = static_cast<uint16_t>(ctx.next_ip_id + step);
    }
}

void patch_segment(WorkerCtx& ctx, const Tunnel& t, uint8_t* l4, uint32_t hash, uint32_t total) {
    put16(l4, static_cast<uint32_t>(t.src_port_base + (t.src_port_range
                                                           ? uint64_t{hash} * t.src_port_range >> 32
                                                           : uint64_t{0})));
    put32(l4 + 4, total << 16);
    put32(l4 + 8, ctx.next_stt_frame++ << SttHeader::kWorkerBits | ctx.config.id);
    put32(l4 + 12, 0x5018ffff);  // no options, ACK and PSH, window
    put32(l4 + 16, 0);
}

void write_checksum(rte_mbuf* m, const Tunnel& t) {
    uint8_t* l3 = rte_pktmbuf_mtod_offset(m, uint8_t*, t.l3_ofs);
    uint8_t* field = l3 + (t.l4_ofs - t.l3_ofs) + 16;
    const uint32_t len = m->pkt_len - t.l4_ofs;
    const uint16_t pseudo = pseudo_sum(l3, t.ip6, kProtoTcp, len);
    std::memcpy(field, &pseudo, 2);
    uint16_t raw = 0;
    sum_packet(m, t.l4_ofs, len, &raw);
    raw = static_cast<uint16_t>(~raw);
    std::memcpy(field, &raw, 2);
}

}  // namespace

void send_stt(WorkerCtx& ctx, rte_mbuf* m, const Tunnel& t, uint64_t coordinates) {
    PacketKey& key = meta_of(m).key;
    SttHeader stt{};
    stt.context = stt_context(coordinates);
    if (SLUICE_UNLIKELY(is_super(m))) {
        if (!leave_to_receiver(m, &stt)) {
            SuperCutter cutter(ctx, m);
            while (rte_mbuf* piece = cutter.next()) {
                send_stt(ctx, piece, t, coordinates);
            }
            return;
        }
        ctx.counters->add(Counter::k_super_frames);
    } else if (has_verified_checksum(m, key)) {
        stt.flags = SttHeader::kVerified;
    }
    const InnerIp inner(m, key);
    const uint32_t hash = flow_hash_of(&key, ctx.config.hash_seed);
    take_tag(m, &stt);
    const uint32_t header = t.header_len;
    const uint32_t ip_len = m->pkt_len + header - t.l3_ofs;
    if (SLUICE_UNLIKELY(ip_len > UINT16_MAX || (t.mtu != 0 && t.mtu < kLeastMtu))) {
        ctx.drop_packet(m, Drop::k_too_long, static_cast<uint32_t>(coordinates >> 32),
                        static_cast<uint32_t>(coordinates >> 16) & 0x7fff);
        return;
    }
    m = with_headroom(ctx, m, t.header_len);
    if (!m) {
        return;
    }
    auto* outer = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(m, t.header_len));
    std::memcpy(outer, t.header, header);
    patch_ip(ctx, t, outer + t.l3_ofs, inner, ip_len);
    patch_segment(ctx, t, outer + t.l4_ofs, hash, m->pkt_len - t.l4_ofs - kSttSegmentLen);
    write_stt_header(outer + t.l4_ofs + kSttSegmentLen, stt);
    ctx.counters->add(Counter::k_tunnel_tx);
    if (t.mtu == 0 || ip_len <= t.mtu) {
        write_checksum(m, t);
    } else {
        make_super(m, static_cast<uint16_t>(t.mtu - (t.l4_ofs - t.l3_ofs) - kSttSegmentLen));
    }
    transmit(ctx, m, take_hop(t, hash, outer));
}

}  // namespace sluice
