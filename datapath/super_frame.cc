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

/// A field as a sum over bytes in memory sees it.
uint32_t word(uint32_t v) {
    return __builtin_bswap16(static_cast<uint16_t>(v));
}

/// Stores the checksum of what sums up to `sum`; returns it.
uint16_t store_checksum(uint8_t* field, uint64_t sum) {
    const auto checksum = static_cast<uint16_t>(~checksum::fold(sum));
    std::memcpy(field, &checksum, 2);
    return checksum;
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
    make_template();
    left_ = layout_.end - layout_.payload;
    from_ = m;
    from_offset_ = layout_.payload;
}

SuperCutter::~SuperCutter() {
    rte_pktmbuf_free_bulk(buffers_, n_buffers_);
    rte_pktmbuf_free(m_);
}

void SuperCutter::make_template() {
    Template& t = template_;
    const unsigned before = outer_ ? outer_->length : 0u;
    t.length = static_cast<uint16_t>(before + layout_.payload);
    uint8_t* inner = t.bytes + before;
    std::memcpy(inner, rte_pktmbuf_mtod(m_, const uint8_t*), layout_.payload);
    uint8_t* l3 = inner + layout_.l3;
    uint8_t* l4 = inner + layout_.l4;
    t.seq = get32(l4 + 4);
    t.flags = l4[13];
    put32(l4 + 4, 0);
    l4[13] = 0;
    put16(l4 + 16, 0);
    t.id = get16(l3 + 4);
    t.is_atomic = (get16(l3 + 6) & 0x4000) && t.id == 0;
    if (layout_.ip6) {
        put16(l3 + 4, 0);
    } else {
        put16(l3 + 2, 0);
        put16(l3 + 4, 0);
        put16(l3 + 10, 0);
        t.ip = checksum::fold(checksum::sum(l3, static_cast<size_t>(layout_.l4 - layout_.l3)));
    }
    t.pseudo = pseudo_sum(l3, layout_.ip6, kProtoTcp, 0);
    t.tcp = checksum::sum(l4, static_cast<size_t>(layout_.payload - layout_.l4), t.pseudo);
    if (outer_) {
        make_outer_template();
    }
}

void SuperCutter::make_outer_template() {
    Template& t = template_;
    const OuterHeader& outer = *outer_;
    std::memcpy(t.bytes, outer.bytes, outer.length);
    uint8_t* l3 = t.bytes + outer.l3;
    uint8_t* udp = t.bytes + outer.l4;
    t.outer_id = get16(l3 + 4);
    if (outer.ip6) {
        put16(l3 + 4, 0);
    } else {
        put16(l3 + 2, 0);
        put16(l3 + 4, 0);
        put16(l3 + 10, 0);
        t.outer_ip = checksum::fold(checksum::sum(l3, static_cast<size_t>(outer.l4 - outer.l3)));
    }
    put16(udp + 4, 0);
    put16(udp + 6, 0);
    // The inner IPv4 header sums up to nothing, as its own checksum is right.
    const size_t inner = layout_.ip6 ? layout_.l4 : layout_.l3;
    t.outer_udp = checksum::sum(udp, outer.length - outer.l4 + inner,
                                pseudo_sum(l3, outer.ip6, kProtoUdp, 0));
}

/// All that the pieces to come need, as far as there are so many at once.
rte_mbuf* SuperCutter::take_buffer() {
    if (n_buffers_ == 0) {
        const uint32_t wanted = (left_ + segment_of(m_) - 1) / segment_of(m_);
        const unsigned n = std::min(wanted, kBuffers);
        if (rte_pktmbuf_alloc_bulk(ctx_.config.copy_pool, buffers_, n) != 0) {
            return rte_pktmbuf_alloc(ctx_.config.copy_pool);
        }
        n_buffers_ = n;
    }
    return buffers_[--n_buffers_];
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

/// The template, made the headers of packet `index_` with `n` bytes of payload.
void SuperCutter::write_headers(uint8_t* to, uint32_t n, uint64_t payload_sum) const {
    const Template& t = template_;
    std::memcpy(to, t.bytes, t.length);
    uint8_t* inner = to + t.length - layout_.payload;
    uint8_t* l3 = inner + layout_.l3;
    uint8_t* l4 = inner + layout_.l4;
    const uint32_t l4_len = layout_.payload - layout_.l4 + n;
    if (layout_.ip6) {
        put16(l3 + 4, layout_.l4 - layout_.l3 - kIp6Len + l4_len);
    } else {
        const uint32_t length = layout_.l4 - layout_.l3 + l4_len;
        const uint32_t id = t.is_atomic ? 0u : uint32_t{t.id} + index_;
        put16(l3 + 2, length);
        put16(l3 + 4, id);
        store_checksum(l3 + 10, uint64_t{t.ip} + word(length) + word(id));
    }
    const uint32_t seq = t.seq + done_;
    uint8_t flags = t.flags;
    if (index_ != 0) {
        flags &= static_cast<uint8_t>(~kCwr);
    }
    if (n < left_) {
        flags &= static_cast<uint8_t>(~(kFin | kPsh));
    }
    put32(l4 + 4, seq);
    l4[13] = flags;
    store_checksum(l4 + 16, t.tcp + payload_sum + word(l4_len) + __builtin_bswap32(seq) +
                                (uint32_t{flags} << 8));
}

/// What differs from piece to piece in the tunnel's header.
void SuperCutter::write_outer(uint8_t* to, uint32_t n) const {
    const Template& t = template_;
    const OuterHeader& outer = *outer_;
    const uint32_t l4_len = layout_.payload - layout_.l4 + n;
    const uint32_t udp_len = t.length - outer.l4 + n;
    uint8_t* l3 = to + outer.l3;
    uint8_t* udp = to + outer.l4;
    put16(udp + 4, udp_len);
    if (outer.ip6) {
        put16(l3 + 4, udp_len);
    } else {
        const uint32_t length = udp_len + outer.l4 - outer.l3;
        const uint32_t id = outer.has_id ? ctx_.next_ip_id++ : t.outer_id;
        put16(l3 + 2, length);
        put16(l3 + 4, id);
        store_checksum(l3 + 10, uint64_t{t.outer_ip} + word(length) + word(id));
    }
    if (outer.is_summed) {
        // Every header is of even length. The segment sums up to what its pseudo header lacks.
        const auto segment =
            static_cast<uint16_t>(~checksum::fold(uint64_t{t.pseudo} + word(l4_len)));
        const uint32_t inner_length =
            layout_.ip6 ? word(layout_.l4 - layout_.l3 - kIp6Len + l4_len) : 0;
        const uint64_t sum = t.outer_udp + 2 * word(udp_len) + inner_length + segment;
        if (store_checksum(udp + 6, sum) == 0) {
            put16(udp + 6, 0xffff);
        }
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
    rte_mbuf* piece = take_buffer();
    uint64_t sum = 0;
    auto* headers =
        reinterpret_cast<uint8_t*>(piece ? rte_pktmbuf_append(piece, template_.length) : nullptr);
    if (!headers || !copy_payload(piece, n, &sum)) {
        rte_pktmbuf_free(piece);
        ctx_.drop(Drop::k_no_mbuf);
        left_ = 0;
        return nullptr;
    }
    write_headers(headers, n, sum);
    if (outer_) {
        write_outer(headers, n);
        // It is on its way out: what transmit, captures and drops ask for.
        const PacketMeta& whole = meta_of(m_);
        PacketMeta& meta = meta_of(piece);
        meta.queue = whole.queue;
        meta.key.context = whole.key.context;
        meta.key.in_port = whole.key.in_port;
    } else {
        piece->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
        meta_of(piece) = meta_of(m_);
        meta_of(piece).key.pkt_len = piece->pkt_len;
    }
    left_ -= n;
    done_ += n;
    ++index_;
    ctx_.counters->add(Counter::k_super_cut);
    return piece;
}

}  // namespace sluice
