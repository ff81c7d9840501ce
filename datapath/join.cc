// SPDX-License-Identifier: Apache-2.0
#include "datapath/join.h"

#include <emmintrin.h>
#include <rte_mbuf.h>

#include <algorithm>
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
bool is_wanted(WorkerCtx& ctx, const Item& item) {
    if (item.start.kind != WalkStart::Kind::kOutputLocal) {
        return false;
    }
    Joins& joins = ctx.joins;
    if (joins.asked != item.start.datapath || joins.asked_outport != item.start.outport) {
        const LogicalPort* const* port = item.start.datapath->ports.find(item.start.outport);
        joins.asked = item.start.datapath;
        joins.asked_outport = item.start.outport;
        joins.is_wanted = port && (*port)->reach == Reach::kVif &&
                          (*ctx.ports)[(*port)->port].has(kPortTxTso | kPortTxMultiSeg);
    }
    return joins.is_wanted;
}

/// The segment's checksums are right. Said by whoever looked at it before, or summed now.
bool is_sound(rte_mbuf* m, const Segment& s) {
    if (!s.ip6 && !checksum::good(s.data + s.l3, kIp4MinLen)) {
        return false;
    }
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

/// It is the next one, and there is room for it.
bool continues(const JoinFlow& flow, const Segment& s) {
    const bool pushes = s.data[s.l4 + 13] & kPsh;
    const rte_mbuf* head = flow.item->m;
    return flow.is_open && get32(s.data + s.l4 + 4) == flow.next_seq && s.bytes <= flow.segment &&
           head->nb_segs < kMaxChain && head->pkt_len - flow.l3 + s.bytes <= kMaxIpLength &&
           !(pushes && reads_flags(*flow.item));
}

bool is_first_sound(const JoinFlow& flow) {
    return flow.pieces > 1 ||
           is_sound(flow.item->m, Segment{rte_pktmbuf_mtod(flow.item->m, const uint8_t*), flow.l3,
                                          flow.l4, flow.payload, flow.segment, flow.ip6});
}

bool may_join(const JoinFlow& flow, rte_mbuf* m, const Segment& s) {
    return continues(flow, s) && has_same_headers(flow, s) && is_sound(m, s) &&
           is_first_sound(flow);
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

/// Offset of the UDP header in an outer header of the plain kind, else 0.
uint16_t find_udp(const uint8_t* raw) {
    if (get16(raw + 12) == kTypeIp4) {
        const bool is_plain =
            raw[14] == 0x45 && raw[23] == kProtoUdp && (get16(raw + 20) & 0x3fff) == 0;
        return is_plain ? kEthLen + kIp4MinLen : 0;
    }
    return get16(raw + 12) == kTypeIp6 && raw[20] == kProtoUdp ? kEthLen + kIp6Len : 0;
}

/// Sums up what all segments of the flow have in common.
void sum_headers(JoinFlow* flow, const uint8_t* raw) {
    uint8_t same[sizeof flow->mask];
    const unsigned all = unsigned{flow->outer} + flow->payload;
    for (unsigned i = 0; i < all; ++i) {
        same[i] = raw[i] & flow->mask[i];
    }
    const unsigned l3 = unsigned{flow->outer} + flow->l3;
    const unsigned l4 = unsigned{flow->outer} + flow->l4;
    const bool outer6 = flow->udp != kEthLen + kIp4MinLen;
    flow->outer_ip_sum = checksum::sum(same + kEthLen, flow->udp - kEthLen);
    flow->udp_sum = checksum::sum(same + flow->udp, l4 - flow->udp,
                                  pseudo_sum(same + kEthLen, outer6, kProtoUdp, 0));
    flow->ip_sum = checksum::sum(same + l3, l4 - l3);
    flow->pseudo_sum = pseudo_sum(same + l3, flow->ip6, kProtoTcp, 0);
    flow->tcp_sum = checksum::sum(same + l4, all - l4, flow->pseudo_sum);
}

/// What differs between segments of one flow, from the outer Ethernet header on.
void learn_outer(JoinFlow* flow, uint16_t outer) {
    const uint8_t* raw = rte_pktmbuf_mtod(flow->item->m, const uint8_t*) - outer;
    const size_t all = size_t{outer} + flow->payload;
    flow->udp = outer >= kEthLen + kIp4MinLen + kUdpLen ? find_udp(raw) : uint16_t{0};
    if (flow->udp == 0 || flow->udp + kUdpLen > outer || all > flow->mask.size()) {
        return;
    }
    flow->outer = outer;
    flow->mask.fill(0);
    std::memset(flow->mask.data(), 0xff, all);
    const auto differs = [flow](unsigned at, unsigned n) { std::memset(&flow->mask[at], 0, n); };
    const auto ip_differs = [&differs](unsigned l3, bool ip6) {
        differs(l3 + (ip6 ? 4 : 2), ip6 ? 2 : 4);  // length, identification
        if (!ip6) {
            differs(l3 + 10, 2);
        }
    };
    ip_differs(kEthLen, flow->udp != kEthLen + kIp4MinLen);
    differs(flow->udp + 4u, 4);
    ip_differs(outer + flow->l3, flow->ip6);
    const unsigned tcp = outer + flow->l4;
    differs(tcp + 4, 4);
    flow->mask[tcp + 13] = static_cast<uint8_t>(~kPsh);
    differs(tcp + 16, 2);
    sum_headers(flow, raw);
}

/// Equal but for what may differ. Reads in steps of 16 bytes.
bool is_alike(const JoinFlow& flow, const uint8_t* a, const uint8_t* b) {
    __m128i any = _mm_setzero_si128();
    for (unsigned at = 0; at < unsigned{flow.outer} + flow.payload; at += 16) {
        const __m128i x = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a + at)),
                                        _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + at)));
        any = _mm_or_si128(
            any,
            _mm_and_si128(x, _mm_loadu_si128(reinterpret_cast<const __m128i*>(&flow.mask[at]))));
    }
    return _mm_movemask_epi8(_mm_cmpeq_epi8(any, _mm_setzero_si128())) == 0xffff;
}

/// Every length says that the frame has `n` bytes.
bool has_right_lengths(const JoinFlow& flow, const uint8_t* raw, uint32_t n) {
    const bool outer4 = flow.udp == kEthLen + kIp4MinLen;
    const uint32_t outer = outer4 ? get16(raw + 16) + kEthLen : get16(raw + 18) + kEthLen + kIp6Len;
    const uint8_t* l3 = raw + flow.outer + flow.l3;
    const uint32_t inner = flow.ip6 ? kIp6Len + get16(l3 + 4) : uint32_t{get16(l3 + 2)};
    return outer == n && get16(raw + flow.udp + 4) + uint32_t{flow.udp} == n &&
           inner + flow.outer + flow.l3 == n;
}

/// Bytes in memory as a sum over them sees them.
uint64_t words16(const uint8_t* p) {
    uint16_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
uint64_t words32(const uint8_t* p) {
    uint32_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

/// Every checksum is right, by one pass over the payload: to what the flow's segments have in
/// common comes what they have not.
bool has_right_sums(const JoinFlow& flow, const uint8_t* raw, const Segment& s) {
    const uint8_t* ip = raw + kEthLen;
    const uint8_t* udp = raw + flow.udp;
    const uint8_t* l3 = s.data + s.l3;
    const uint8_t* l4 = s.data + s.l4;
    // Length and identification, checksum. IPv6: the length, which UDP's checksum covers.
    const bool outer4 = flow.udp == kEthLen + kIp4MinLen;
    const uint64_t inner = s.ip6 ? words16(l3 + 4) : words32(l3 + 2) + words16(l3 + 10);
    if ((outer4 &&
         checksum::fold(flow.outer_ip_sum + words32(ip + 2) + words16(ip + 10)) != 0xffff) ||
        (!s.ip6 && checksum::fold(flow.ip_sum + inner) != 0xffff)) {
        return false;
    }
    const uint32_t tcp_len = uint32_t{s.payload} - s.l4 + s.bytes;
    const uint64_t own = words32(l4 + 4) + (uint64_t{l4[13]} & kPsh) * 256 + words16(l4 + 16) +
                         checksum::fold(checksum::sum_payload(s.data + s.payload, s.bytes));
    const uint64_t length = __builtin_bswap16(static_cast<uint16_t>(tcp_len));
    if (checksum::fold(flow.tcp_sum + own + length) != 0xffff) {
        return false;
    }
    if (words16(udp + 6) == 0) {  // none, as the one that was let in
        return words16(rte_pktmbuf_mtod(flow.item->m, const uint8_t*) - flow.outer + flow.udp +
                       6) == 0;
    }
    // The segment, as its checksum is right, sums up to what its pseudo header lacks.
    const auto segment = static_cast<uint16_t>(~checksum::fold(flow.pseudo_sum + length));
    return checksum::fold(flow.udp_sum + 2 * words16(udp + 4) + words16(udp + 6) + inner +
                          segment) == 0xffff;
}

void open_flow(WorkerCtx& ctx, Item* item, const Segment& s, uint16_t outer) {
    Joins& joins = ctx.joins;
    if (joins.n == Joins::kFlows) {
        return;
    }
    const uint8_t* l3 = s.data + s.l3;
    const uint16_t id = s.ip6 ? uint16_t{0} : get16(l3 + 4);
    const bool is_atomic = s.ip6 || ((get16(l3 + 6) & kDontFragment) && id == 0);
    const auto step = static_cast<uint16_t>(is_atomic ? 0 : 1);
    JoinFlow& flow = joins.flows[joins.n++];
    flow.item = item;
    flow.tail = item->m;
    flow.next_seq = get32(s.data + s.l4 + 4) + s.bytes;
    flow.l3 = s.l3;
    flow.l4 = s.l4;
    flow.payload = s.payload;
    flow.segment = s.bytes;
    flow.next_id = static_cast<uint16_t>(id + step);
    flow.id_step = step;
    flow.pieces = 1;
    flow.new_flags = 0;
    flow.is_open = !(s.data[s.l4 + 13] & kPsh);
    flow.ip6 = s.ip6;
    flow.outer = 0;
    if (flow.is_open) {
        learn_outer(&flow, outer);
    }
}

}  // namespace

void begin_joins(WorkerCtx& ctx) {
    Joins& joins = ctx.joins;
    joins.asked = nullptr;
    if (SLUICE_UNLIKELY(joins.table != ctx.ports->version())) {
        joins.table = ctx.ports->version();
        const auto ports = ctx.ports->ports();
        joins.takes_super = std::any_of(ports.begin(), ports.end(), [](const Port& port) {
            return port.has(kPortTxTso | kPortTxMultiSeg);
        });
    }
}

bool join(WorkerCtx& ctx, Item* item, uint16_t outer) {
    rte_mbuf* m = item->m;
    Segment s;
    if (!ctx.joins.takes_super || !read_segment(m, meta_of(m).key, &s) || !is_wanted(ctx, *item)) {
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
        open_flow(ctx, item, s, outer);
    }
    return false;
}

bool join_as_before(WorkerCtx& ctx, rte_mbuf* m) {
    const uint8_t* raw = rte_pktmbuf_mtod(m, const uint8_t*);
    for (unsigned i = ctx.joins.n; i-- > 0;) {
        JoinFlow& flow = ctx.joins.flows[i];
        const uint32_t headers = uint32_t{flow.outer} + flow.payload;
        if (flow.outer == 0 || !flow.is_open || m->nb_segs != 1 || is_super(m) ||
            m->data_len < headers + 16 ||
            !is_alike(flow, rte_pktmbuf_mtod(flow.item->m, const uint8_t*) - flow.outer, raw)) {
            continue;
        }
        const Segment s{raw + flow.outer,
                        flow.l3,
                        flow.l4,
                        flow.payload,
                        static_cast<uint16_t>(m->pkt_len - headers),
                        flow.ip6};
        if (!continues(flow, s) || (!s.ip6 && get16(s.data + s.l3 + 4) != flow.next_id) ||
            !has_right_lengths(flow, raw, m->pkt_len) || !has_right_sums(flow, raw, s) ||
            !is_first_sound(flow)) {
            return false;
        }
        rte_pktmbuf_adj(m, flow.outer);
        append(&flow, m, s);
        ctx.counters->add(Counter::k_tunnel_rx);
        return true;
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
