// SPDX-License-Identifier: Apache-2.0
#include "pmd/vnet.h"

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstring>

#include "lib/base/check.h"
#include "lib/net/checksum.h"
#include "lib/net/payload_sum.h"
#include "lib/program/packet_sum.h"

namespace sluice::pmd {
namespace {

constexpr size_t kMacs = 12;  // bytes in front of the first VLAN tag or the EtherType
constexpr size_t kTag = 4;
constexpr uint16_t kGenevePort = 6081;
constexpr uint16_t kVxlanPort = 4789;
constexpr uint8_t kTcpFin = 0x01;
constexpr uint8_t kTcpPsh = 0x08;
constexpr uint8_t kTcpCwr = 0x80;
constexpr size_t kUdpCsumOffset = 6;

uint16_t load16(const uint8_t* p) {
    return static_cast<uint16_t>(p[0] << 8 | p[1]);
}
void store16(uint8_t* p, uint16_t v) {
    p[0] = static_cast<uint8_t>(v >> 8);
    p[1] = static_cast<uint8_t>(v);
}

void write_tag(uint8_t* p, const RxHints& hints) {
    store16(p, hints.tpid);
    store16(p + 2, hints.tci);
}

/// Copies pieces one after the other into a chain of mbufs.
class ChainWriter {
public:
    explicit ChainWriter(rte_mempool* pool) : pool_(pool), head_(rte_pktmbuf_alloc(pool)) {
        tail_ = head_;
    }
    bool write(const uint8_t* bytes, size_t length) {
        while (head_ && length) {
            size_t room = rte_pktmbuf_tailroom(tail_);
            if (room == 0 && !(room = extend())) {
                return false;
            }
            const size_t n = std::min(room, length);
            std::memcpy(rte_pktmbuf_mtod_offset(tail_, uint8_t*, tail_->data_len), bytes, n);
            tail_->data_len = static_cast<uint16_t>(tail_->data_len + n);
            head_->pkt_len += static_cast<uint32_t>(n);
            bytes += n;
            length -= n;
        }
        return head_;
    }
    rte_mbuf* head() { return head_; }

private:
    size_t extend() {
        rte_mbuf* more = rte_pktmbuf_alloc(pool_);
        if (!more) {
            rte_pktmbuf_free(head_);
            head_ = nullptr;
            return 0;
        }
        more->data_off = 0;  // only the first of a chain needs headroom
        tail_->next = more;
        tail_ = more;
        ++head_->nb_segs;
        return rte_pktmbuf_tailroom(more);
    }

    rte_mempool* pool_;
    rte_mbuf* head_;
    rte_mbuf* tail_;
};

/// Writes a 16-bit field that may not lie in the first segment.
void store16_in_chain(rte_mbuf* m, size_t offset, uint16_t v) {
    for (const uint8_t byte : {static_cast<uint8_t>(v >> 8), static_cast<uint8_t>(v)}) {
        rte_mbuf* seg = m;
        size_t at = offset++;
        while (at >= seg->data_len) {
            at -= seg->data_len;
            seg = seg->next;
        }
        *rte_pktmbuf_mtod_offset(seg, uint8_t*, at) = byte;
    }
}

/// The L4 checksum of headers (from l4 on) and payload, both parts of one packet.
uint16_t l4_checksum(const uint8_t* headers, size_t l3, size_t l4, size_t headers_length,
                     bool is_ip6, uint8_t protocol, const uint8_t* payload, size_t length) {
    const size_t l4_length = headers_length - l4 + length;
    uint64_t s = checksum::sum(headers + l3 + (is_ip6 ? 8 : 12), is_ip6 ? 32 : 8);
    s += rte_cpu_to_be_16(static_cast<uint16_t>(l4_length));
    s += rte_cpu_to_be_16(protocol);
    // Both parts are summed from an even offset: every header in front of the payload is even.
    s = checksum::sum(headers + l4, headers_length - l4, s);
    return static_cast<uint16_t>(~checksum::fold(s + checksum::sum_payload(payload, length)));
}

}  // namespace

void RxFrame::start(const uint8_t* frame, size_t length, const RxHints& hints) {
    frame_ = frame;
    length_ = length;
    hints_ = hints;
    active_ = true;
    is_gso_ = hints.vnet.gso_type != kVnetGsoNone;
    is_parsed_ = false;
    index_ = 0;
}

RxStep RxFrame::next(rte_mempool* pool, rte_mbuf** packet) {
    if (!active_) {
        return RxStep::kNone;
    }
    const RxStep step = is_gso_ ? next_segment(pool, packet) : next_whole(pool, packet);
    if (step != RxStep::kPacket) {
        active_ = false;
    }
    return step;
}

RxStep RxFrame::next_whole(rte_mempool* pool, rte_mbuf** packet) {
    active_ = false;
    const VnetHeader& vnet = hints_.vnet;
    const bool is_partial = vnet.flags & kVnetNeedsCsum;
    const size_t field = size_t{vnet.csum_start} + vnet.csum_offset;
    if (length_ < RTE_ETHER_HDR_LEN || (is_partial && field + 2 > length_)) {
        return RxStep::kMalformed;
    }
    ChainWriter writer(pool);
    bool ok = writer.write(frame_, kMacs);
    if (hints_.has_tag) {
        uint8_t tag[kTag];
        write_tag(tag, hints_);
        ok = ok && writer.write(tag, kTag);
    }
    if (!ok || !writer.write(frame_ + kMacs, length_ - kMacs)) {
        return RxStep::kNoBuffer;
    }
    rte_mbuf* m = writer.head();
    if (is_partial) {
        const size_t shift = hints_.has_tag ? kTag : 0;
        // The field already holds the pseudo-header's sum; data from csum_start on completes it.
        uint16_t raw = 0;
        if (!sum_packet(m, static_cast<uint32_t>(vnet.csum_start + shift),
                        static_cast<uint32_t>(length_ - vnet.csum_start), &raw)) {
            rte_pktmbuf_free(m);
            return RxStep::kMalformed;
        }
        uint16_t checksum = rte_be_to_cpu_16(static_cast<uint16_t>(~raw));
        if (checksum == 0 && vnet.csum_offset == kUdpCsumOffset) {
            checksum = 0xffff;  // RFC 768: zero would say "none"
        }
        store16_in_chain(m, field + shift, checksum);
        m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    } else if (vnet.flags & kVnetDataValid) {
        m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    }
    *packet = m;
    return RxStep::kPacket;
}

/// Finds the IP headers between the start of the frame and the transport header to be cut, which
/// the hints point at, and copies the headers aside with the VLAN tag put back.
bool RxFrame::parse_layers() {
    const VnetHeader& vnet = hints_.vnet;
    const uint8_t type = vnet.gso_type & static_cast<uint8_t>(~kVnetGsoEcn);
    const bool is_tcp = type == kVnetGsoTcp4 || type == kVnetGsoTcp6;
    if ((!is_tcp && type != kVnetGsoUdpL4) || !(vnet.flags & kVnetNeedsCsum) ||
        vnet.gso_size == 0) {
        return false;
    }
    const size_t l4_at = vnet.csum_start;
    if (l4_at + sizeof(rte_tcp_hdr) > length_ || l4_at + 8 > kMaxGsoHeaders) {
        return false;
    }
    const size_t least = is_tcp ? sizeof(rte_tcp_hdr) : sizeof(rte_udp_hdr);
    const size_t l4_size = is_tcp ? size_t{frame_[l4_at + 12]} >> 4 << 2 : least;
    const size_t all = l4_at + l4_size;
    if (all > length_ || all > kMaxGsoHeaders || l4_size < least) {
        return false;
    }
    const size_t shift = hints_.has_tag ? kTag : 0;
    std::memcpy(headers_.data(), frame_, kMacs);
    if (hints_.has_tag) {
        write_tag(&headers_[kMacs], hints_);
    }
    std::memcpy(&headers_[kMacs + shift], frame_ + kMacs, all - kMacs);
    headers_length_ = all + shift;
    offset_ = all;

    size_t ether = kMacs;
    for (n_layers_ = 0; n_layers_ < layers_.size();) {
        Layer& layer = layers_[n_layers_];
        uint8_t protocol = 0;
        if (!read_layer(ether, l4_at + shift, &layer, &protocol)) {
            return false;
        }
        ++n_layers_;
        if (layer.l4 == l4_at + shift) {
            return true;
        }
        if (protocol != IPPROTO_UDP || !enter_tunnel(l4_at + shift, &layer, &ether)) {
            return false;
        }
    }
    return false;
}

/// Reads the IP header behind the EtherType at `ether`; nothing at or behind `end` is looked at.
bool RxFrame::read_layer(size_t ether, size_t end, Layer* layer, uint8_t* protocol) const {
    const uint8_t* h = headers_.data();
    uint16_t type = load16(h + ether);
    while ((type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ) &&
           ether + kTag + 2 <= end) {
        ether += kTag;
        type = load16(h + ether);
    }
    size_t at = ether + 2;
    *layer = Layer{.l3 = static_cast<uint16_t>(at)};
    if (type == RTE_ETHER_TYPE_IPV4 && at + sizeof(rte_ipv4_hdr) <= end) {
        *protocol = h[at + 9];
        at += size_t{h[at] & 0xfu} << 2;
    } else if (type == RTE_ETHER_TYPE_IPV6 && at + sizeof(rte_ipv6_hdr) <= end) {
        layer->is_ip6 = true;
        *protocol = h[at + 6];
        at += sizeof(rte_ipv6_hdr);
        while ((*protocol == IPPROTO_HOPOPTS || *protocol == IPPROTO_ROUTING ||
                *protocol == IPPROTO_DSTOPTS) &&
               at + 8 <= end) {
            *protocol = h[at];
            at += (size_t{h[at + 1]} + 1) << 3;
        }
    } else {
        return false;
    }
    layer->l4 = static_cast<uint16_t>(at);
    return at <= end;
}

/// From an outer UDP header to the EtherType of the frame it carries.
bool RxFrame::enter_tunnel(size_t end, Layer* outer, size_t* ether) const {
    const uint8_t* udp = headers_.data() + outer->l4;
    size_t at = outer->l4 + sizeof(rte_udp_hdr);
    if (at + 8 > end) {
        return false;
    }
    outer->udp_summed = load16(udp + kUdpCsumOffset) != 0;
    const uint16_t port = load16(udp + 2);
    if (port == kGenevePort) {
        at += 8 + (size_t{headers_[at] & 0x3fu} << 2);
    } else if (port == kVxlanPort) {
        at += 8;
    } else {
        return false;
    }
    *ether = at + kMacs;
    return *ether + 2 <= end;
}

void RxFrame::write_headers(uint8_t* headers, const uint8_t* payload, size_t payload_length,
                            bool last) {
    std::memcpy(headers, headers_.data(), headers_length_);
    const bool is_tcp = hints_.vnet.gso_type != kVnetGsoUdpL4;
    uint8_t* l4 = headers + layers_[n_layers_ - 1].l4;
    if (is_tcp) {
        uint32_t seq;
        std::memcpy(&seq, l4 + 4, sizeof seq);
        seq = rte_cpu_to_be_32(rte_be_to_cpu_32(seq) + index_ * hints_.vnet.gso_size);
        std::memcpy(l4 + 4, &seq, sizeof seq);
        if (!last) {
            l4[13] &= static_cast<uint8_t>(~(kTcpFin | kTcpPsh));
        }
        if (index_ > 0) {
            l4[13] &= static_cast<uint8_t>(~kTcpCwr);
        }
    }
    // Inside out: an outer checksum covers all that is inside.
    for (unsigned i = n_layers_; i-- > 0;) {
        const Layer& layer = layers_[i];
        const bool innermost = i + 1 == n_layers_;
        const size_t l4_length = headers_length_ - layer.l4 + payload_length;
        uint8_t* l3 = headers + layer.l3;
        if (layer.is_ip6) {
            store16(l3 + 4, static_cast<uint16_t>(l4_length + layer.l4 - layer.l3 - 40u));
        } else {
            store16(l3 + 2, static_cast<uint16_t>(l4_length + layer.l4 - layer.l3));
            store16(l3 + 4, static_cast<uint16_t>(load16(l3 + 4) + index_));
            store16(l3 + 10, 0);
            const uint16_t c = static_cast<uint16_t>(~rte_raw_cksum(l3, layer.l4 - layer.l3));
            std::memcpy(l3 + 10, &c, sizeof c);
        }
        uint8_t* field = headers + layer.l4 + (innermost && is_tcp ? 16 : kUdpCsumOffset);
        if (!(innermost && is_tcp)) {
            store16(headers + layer.l4 + 4, static_cast<uint16_t>(l4_length));
            if (!innermost && !layer.udp_summed) {
                continue;
            }
        }
        store16(field, 0);
        uint16_t c =
            l4_checksum(headers, layer.l3, layer.l4, headers_length_, layer.is_ip6,
                        innermost && is_tcp ? IPPROTO_TCP : IPPROTO_UDP, payload, payload_length);
        if (c == 0 && !(innermost && is_tcp)) {
            c = 0xffff;
        }
        std::memcpy(field, &c, sizeof c);
    }
}

RxStep RxFrame::next_segment(rte_mempool* pool, rte_mbuf** packet) {
    if (!is_parsed_) {
        if (!parse_layers()) {
            return RxStep::kMalformed;
        }
        is_parsed_ = true;
        if (keeps_super_ && is_super()) {
            return next_super(pool, packet);
        }
    }
    const size_t n = std::min<size_t>(hints_.vnet.gso_size, length_ - offset_);
    const bool last = offset_ + n == length_;
    std::array<uint8_t, kMaxGsoHeaders + 4> headers;
    write_headers(headers.data(), frame_ + offset_, n, last);
    ChainWriter writer(pool);
    if (!writer.write(headers.data(), headers_length_) || !writer.write(frame_ + offset_, n)) {
        return RxStep::kNoBuffer;
    }
    *packet = writer.head();
    (*packet)->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    offset_ += n;
    ++index_;
    active_ = !last;
    return RxStep::kPacket;
}

/// A TCP packet that says its own length, of more than one segment, and that any device can cut:
/// not in a tunnel, no congestion window reduced.
bool RxFrame::is_super() const {
    const uint8_t* h = headers_.data();
    const Layer& layer = layers_[0];
    const size_t shift = hints_.has_tag ? kTag : 0;
    const size_t l3_length =
        layer.is_ip6 ? load16(h + layer.l3 + 4) + sizeof(rte_ipv6_hdr) : load16(h + layer.l3 + 2);
    return (hints_.vnet.gso_type == kVnetGsoTcp4 || hints_.vnet.gso_type == kVnetGsoTcp6) &&
           n_layers_ == 1 && (h[layer.l4 + 13] & kTcpCwr) == 0 &&
           l3_length + layer.l3 == length_ + shift && length_ - offset_ > hints_.vnet.gso_size;
}

RxStep RxFrame::next_super(rte_mempool* pool, rte_mbuf** packet) {
    active_ = false;
    ChainWriter writer(pool);
    if (!writer.write(headers_.data(), headers_length_) ||
        !writer.write(frame_ + offset_, length_ - offset_)) {
        return RxStep::kNoBuffer;
    }
    rte_mbuf* m = writer.head();
    m->ol_flags |=
        RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    m->tso_segsz = hints_.vnet.gso_size;
    *packet = m;
    return RxStep::kPacket;
}

bool make_vnet_tx(const rte_mbuf* m, VnetTx* out) {
    out->vnet = VnetHeader{};
    out->copied = 0;
    const uint64_t l4 = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
    const bool is_tso = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
    if (l4 == 0 && !is_tso) {
        return true;
    }
    const size_t start = size_t{m->l2_len} + m->l3_len;
    const bool is_tcp = is_tso || l4 == RTE_MBUF_F_TX_TCP_CKSUM;
    out->vnet.flags = kVnetNeedsCsum;
    out->vnet.csum_start = static_cast<uint16_t>(start);
    out->vnet.csum_offset = is_tcp ? 16 : kUdpCsumOffset;
    if (!is_tso) {
        return start + out->vnet.csum_offset + 2 <= m->pkt_len;
    }
    const size_t all = start + m->l4_len;
    if (all > m->data_len || all > out->headers.size() || m->tso_segsz == 0) {
        return false;
    }
    const bool is_ip6 = m->ol_flags & RTE_MBUF_F_TX_IPV6;
    out->vnet.gso_type = is_ip6 ? kVnetGsoTcp6 : kVnetGsoTcp4;
    out->vnet.gso_size = m->tso_segsz;
    out->vnet.hdr_len = static_cast<uint16_t>(all);
    // DPDK leaves the length out of a TSO packet's pseudo-header sum, the kernel wants it in. The
    // mbuf may be shared, so the correction goes into a copy of the headers.
    out->copied = static_cast<uint16_t>(all);
    std::memcpy(out->headers.data(), rte_pktmbuf_mtod(m, const uint8_t*), all);
    uint8_t* field = &out->headers[start + 16];
    uint16_t partial;
    std::memcpy(&partial, field, sizeof partial);
    const uint32_t l4_length = static_cast<uint32_t>(m->pkt_len - start);
    partial =
        checksum::fold(uint64_t{partial} + rte_cpu_to_be_16(static_cast<uint16_t>(l4_length)));
    std::memcpy(field, &partial, sizeof partial);
    return true;
}

}  // namespace sluice::pmd
