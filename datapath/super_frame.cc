// SPDX-License-Identifier: Apache-2.0
#include "datapath/super_frame.h"

#include <rte_ip.h>

#include <algorithm>
#include <cstring>

#include "datapath/stages.h"
#include "datapath/worker_ctx.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"
#include "lib/program/packet_sum.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint8_t kFin = 0x01;
constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kCwr = 0x80;
constexpr unsigned kMaxPieces = 48;  ///< of a chain that every driver takes

/// The header checksum of an IPv4 header as it stands.
void write_ip4_checksum(uint8_t* l3, uint32_t len) {
    put16(l3 + 10, 0);
    const uint16_t sum = checksum::of(l3, len);
    std::memcpy(l3 + 10, &sum, 2);
}

/// The whole checksum of a TCP packet that is not cut.
void complete_checksum(rte_mbuf* m, const SuperLayout& at) {
    uint8_t* data = rte_pktmbuf_mtod(m, uint8_t*);
    uint8_t* field = data + at.l4 + 16;
    const uint16_t pseudo = pseudo_sum(data + at.l3, at.ip6, kProtoTcp, at.end - at.l4);
    std::memcpy(field, &pseudo, 2);
    uint16_t raw = 0;
    sum_packet(m, at.l4, at.end - at.l4, &raw);
    raw = static_cast<uint16_t>(~raw);
    std::memcpy(field, &raw, 2);
}

}  // namespace

bool read_super(rte_mbuf* m, SuperLayout* layout, bool* tcp) {
    PacketKey key;
    const bool is_tcp = parse_packet(m, &key) && (key.kinds & kind::kL4) &&
                        key.ip_proto == kProtoTcp && key.ip_frag == 0;
    if (tcp) {
        *tcp = is_tcp;
    }
    if (!is_tcp) {
        return false;
    }
    const uint8_t* data = rte_pktmbuf_mtod(m, const uint8_t*);
    const uint8_t* l3 = data + key.l2_len;
    layout->ip6 = key.kinds & kind::kIp6;
    layout->l3 = key.l2_len;
    layout->l4 = key.l4_ofs;
    layout->payload = static_cast<uint16_t>(key.l4_ofs + (data[key.l4_ofs + 12] >> 4) * 4);
    layout->end = key.l2_len + (layout->ip6 ? kIp6Len + get16(l3 + 4) : uint32_t{get16(l3 + 2)});
    const bool sound = layout->payload >= layout->l4 + kTcpMinLen &&
                       layout->payload <= layout->end && layout->payload <= m->data_len;
    if (tcp) {
        *tcp = sound;
    }
    return sound && segment_of(m) != 0 && layout->end - layout->payload > segment_of(m);
}

uint32_t wire_length(const rte_mbuf* m, const PacketKey& key) {
    if (SLUICE_LIKELY(!is_super(m)) || key.l4_ofs == 0 || key.ip_proto != kProtoTcp) {
        return key.pkt_len;
    }
    const uint8_t words = *rte_pktmbuf_mtod_offset(m, const uint8_t*, key.l4_ofs + 12) >> 4;
    return std::min<uint32_t>(key.pkt_len, key.l4_ofs + words * 4u + segment_of(m));
}

uint16_t pseudo_sum(const uint8_t* l3, bool ip6, uint8_t proto, uint32_t l4_len) {
    const uint8_t tail[4] = {0, proto, static_cast<uint8_t>(l4_len >> 8),
                             static_cast<uint8_t>(l4_len)};
    const uint64_t sum = checksum::sum(l3 + (ip6 ? 8 : 12), ip6 ? 32 : 8);
    return checksum::fold(checksum::sum(tail, sizeof tail, sum));
}

bool offload_super(rte_mbuf* m, const Port& port) {
    SuperLayout at;
    if (!port.has(kPortTxTso | kPortTxMultiSeg) || m->nb_segs > kMaxPieces || !read_super(m, &at) ||
        at.end != m->pkt_len) {
        return false;
    }
    uint8_t* data = rte_pktmbuf_mtod(m, uint8_t*);
    uint8_t* l3 = data + at.l3;
    m->l2_len = at.l3 & 0x7fu;
    m->l3_len = (at.l4 - at.l3) & 0x1ffu;
    m->l4_len = (at.payload - at.l4) & 0xffu;
    m->ol_flags |= at.ip6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
    if (!at.ip6 && port.has(kPortTxIp4Cksum)) {
        m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
        put16(l3 + 10, 0);
    }
    // As DPDK wants it: without the length, which the device knows of each piece.
    const uint16_t pseudo = pseudo_sum(l3, at.ip6, kProtoTcp, 0);
    std::memcpy(data + at.l4 + 16, &pseudo, 2);
    return true;
}

SuperCutter::SuperCutter(WorkerCtx& ctx, rte_mbuf* m, const OuterHeader* outer)
    : ctx_(ctx), outer_(outer), m_(m) {
    bool is_tcp = false;
    is_cut_ = read_super(m, &layout_, &is_tcp);
    if (!is_cut_) {
        if (is_tcp) {
            complete_checksum(m, layout_);
        }
        make_plain(m);
        return;
    }
    if (layout_.payload > kMaxHeaders) {
        ctx.drop_packet(m, Drop::k_not_applicable);
        m_ = nullptr;
        return;
    }
    std::memcpy(headers_, rte_pktmbuf_mtod(m, const uint8_t*), layout_.payload);
    left_ = layout_.end - layout_.payload;
    from_ = m;
    from_offset_ = layout_.payload;
}

SuperCutter::~SuperCutter() {
    rte_pktmbuf_free(m_);
}

/// Appends the next bytes of payload, in a chain if need be, and sums them up.
bool SuperCutter::copy_payload(rte_mbuf* to, uint32_t n, uint64_t* sum) {
    rte_mbuf* tail = to;
    for (uint32_t copied = 0; copied < n;) {
        while (from_offset_ == from_->data_len) {
            from_ = from_->next;
            from_offset_ = 0;
        }
        if (rte_pktmbuf_tailroom(tail) == 0) {
            rte_mbuf* more = rte_pktmbuf_alloc(ctx_.config.copy_pool);
            if (!more) {
                return false;
            }
            tail->next = more;
            tail = more;
            ++to->nb_segs;
        }
        const uint32_t part = std::min(
            {n - copied, from_->data_len - from_offset_, uint32_t{rte_pktmbuf_tailroom(tail)}});
        uint8_t* at = rte_pktmbuf_mtod_offset(tail, uint8_t*, tail->data_len);
        const uint16_t folded = checksum::fold(checksum::copy_payload(
            at, rte_pktmbuf_mtod_offset(from_, const uint8_t*, from_offset_), part));
        *sum += copied & 1 ? __builtin_bswap16(folded) : folded;
        tail->data_len = static_cast<uint16_t>(tail->data_len + part);
        to->pkt_len += part;
        from_offset_ += part;
        copied += part;
    }
    return true;
}

/// The original's headers, made those of packet `index_` with `n` bytes of payload.
void SuperCutter::write_headers(uint8_t* to, uint32_t n, uint64_t payload_sum) const {
    std::memcpy(to, headers_, layout_.payload);
    uint8_t* l3 = to + layout_.l3;
    uint8_t* l4 = to + layout_.l4;
    const uint32_t header = layout_.payload - layout_.l4;
    if (layout_.ip6) {
        put16(l3 + 4, layout_.payload + n - layout_.l3 - kIp6Len);
    } else {
        put16(l3 + 2, layout_.payload + n - layout_.l3);
        const uint16_t id = get16(l3 + 4);
        const bool is_atomic = (get16(l3 + 6) & 0x4000) && id == 0;
        put16(l3 + 4, is_atomic ? 0u : uint32_t{id} + index_);
        write_ip4_checksum(l3, layout_.l4 - layout_.l3);
    }
    put32(l4 + 4, get32(l4 + 4) + done_);
    if (index_ != 0) {
        l4[13] &= static_cast<uint8_t>(~kCwr);
    }
    if (n < left_) {
        l4[13] &= static_cast<uint8_t>(~(kFin | kPsh));
    }
    const uint16_t pseudo = pseudo_sum(l3, layout_.ip6, kProtoTcp, header + n);
    std::memcpy(l4 + 16, &pseudo, 2);
    const auto sum = static_cast<uint16_t>(~checksum::fold(checksum::sum(l4, header, payload_sum)));
    std::memcpy(l4 + 16, &sum, 2);
}

/// The tunnel's header in front of a piece whose own headers are written.
void SuperCutter::write_outer(uint8_t* to, uint32_t n, uint64_t payload_sum) const {
    const OuterHeader& outer = *outer_;
    std::memcpy(to, outer.bytes, outer.length);
    const uint32_t inner = layout_.payload;
    const uint32_t udp_len = outer.length - outer.l4 + inner + n;
    uint8_t* l3 = to + outer.l3;
    uint8_t* udp = to + outer.l4;
    put16(udp + 4, udp_len);
    if (outer.ip6) {
        put16(l3 + 4, udp_len);
    } else {
        put16(l3 + 2, udp_len + outer.l4 - outer.l3);
        if (outer.has_id) {
            put16(l3 + 4, ctx_.next_ip_id++);
        }
        write_ip4_checksum(l3, outer.l4 - outer.l3);
    }
    if (outer.is_summed) {
        // Every header is of even length, so the payload's sum can be added as it is.
        put16(udp + 6, 0);
        const uint64_t sum = checksum::sum(udp, outer.length - outer.l4 + inner, payload_sum) +
                             pseudo_sum(l3, outer.ip6, kProtoUdp, udp_len);
        auto csum = static_cast<uint16_t>(~checksum::fold(sum));
        csum = csum ? csum : 0xffff;
        std::memcpy(udp + 6, &csum, 2);
    }
}

rte_mbuf* SuperCutter::next() {
    if (!m_) {
        return nullptr;
    }
    if (!is_cut_) {
        rte_mbuf* whole = m_;
        m_ = nullptr;
        return whole;
    }
    if (left_ == 0) {
        return nullptr;
    }
    const uint32_t n = std::min<uint32_t>(segment_of(m_), left_);
    rte_mbuf* piece = rte_pktmbuf_alloc(ctx_.config.copy_pool);
    uint64_t sum = 0;
    const uint16_t outer_length = outer_ ? outer_->length : uint16_t{0};
    const auto all = static_cast<uint16_t>(outer_length + layout_.payload);
    auto* headers = reinterpret_cast<uint8_t*>(piece ? rte_pktmbuf_append(piece, all) : nullptr);
    if (!headers || !copy_payload(piece, n, &sum)) {
        rte_pktmbuf_free(piece);
        ctx_.drop(Drop::k_no_mbuf);
        left_ = 0;
        return nullptr;
    }
    write_headers(headers + outer_length, n, sum);
    if (outer_) {
        write_outer(headers, n, sum);
    } else {
        piece->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    }
    meta_of(piece) = meta_of(m_);
    meta_of(piece).key.pkt_len = piece->pkt_len;
    left_ -= n;
    done_ += n;
    ++index_;
    ctx_.counters->add(Counter::k_super_cut);
    return piece;
}

}  // namespace sluice
