// SPDX-License-Identifier: Apache-2.0
#include "datapath/conntrack/facts.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "datapath/conntrack/conn.h"
#include "datapath/conntrack/glance.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint32_t kHeadMax = 256;  // of a payload, looked at for headers
constexpr uint16_t kSyn = 0x02;

/// Headers of a payload, readable in one go.
struct Head {
    uint8_t copy[kHeadMax];
    const uint8_t* p = nullptr;
    uint32_t size = 0;   ///< bytes readable
    uint32_t whole = 0;  ///< bytes of the payload

    bool read(const L4Piece* pieces, unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            whole += pieces[i].size;
        }
        size = std::min(pieces[0].size, kHeadMax);
        p = static_cast<const uint8_t*>(
            rte_pktmbuf_read(pieces[0].m, pieces[0].offset, size, copy));
        return p != nullptr;
    }
};

uint64_t sum_piece(const L4Piece& piece, uint64_t start) {
    const rte_mbuf* m = piece.m;
    uint32_t skip = piece.offset;
    uint32_t left = piece.size;
    uint64_t total = start;
    bool odd = false;
    for (; m && left; m = m->next) {
        if (skip >= m->data_len) {
            skip -= m->data_len;
            continue;
        }
        const uint32_t n = std::min<uint32_t>(left, m->data_len - skip);
        const uint16_t part =
            checksum::fold(checksum::sum(rte_pktmbuf_mtod_offset(m, const uint8_t*, skip), n));
        total += odd ? __builtin_bswap16(part) : part;
        odd ^= n & 1;
        left -= n;
        skip = 0;
    }
    return total;
}

bool l4_checksum_right(const PacketKey& key, uint8_t proto, const L4Piece* pieces, unsigned count,
                       uint32_t whole) {
    uint64_t sum = 0;
    if (proto != kProtoIcmp || key.kinds & kind::kIp6) {
        const unsigned n = key.kinds & kind::kIp4 ? 4 : 16;
        sum = checksum::sum(key.ip_src, n) + checksum::sum(key.ip_dst, n) +
              __builtin_bswap32(whole) + uint64_t{__builtin_bswap16(proto)};
    }
    for (unsigned i = 0; i < count; ++i) {
        sum = sum_piece(pieces[i], sum);
    }
    return checksum::fold(sum) == 0xffff;
}

/// The window scale option as Open vSwitch finds it: 0xff without one.
uint8_t read_scale(const uint8_t* options, int len) {
    uint8_t scale = 0xff;
    while (len >= 3 && options[0] != 0) {
        int step = 1;
        if (options[0] != 1) {
            scale = options[0] == 3 ? options[2] : scale;
            step = std::max<int>(options[1], 2);
        }
        options += step;
        len -= step;
    }
    return scale;
}

bool read_tcp(const Head& h, PacketFacts* f) {
    if (h.size < kTcpMinLen) {
        return false;
    }
    const uint32_t header = (h.p[12] >> 4) * 4u;
    if (header < kTcpMinLen || header > h.whole || header > h.size) {
        return false;
    }
    f->tcp_seq = get32(h.p + 4);
    f->tcp_ack = get32(h.p + 8);
    f->tcp_flags = get16(h.p + 12) & 0x0fff;
    f->tcp_window = get16(h.p + 14);
    f->payload_len = h.whole - header;
    if (f->tcp_flags & kSyn) {
        f->tcp_wscale = read_scale(h.p + kTcpMinLen, static_cast<int>(header - kTcpMinLen));
    }
    return get16(h.p) && get16(h.p + 2);
}

bool read_udp(const Head& h, PacketFacts* f) {
    if (h.size < kUdpLen) {
        return false;
    }
    const uint32_t length = get16(h.p + 4);
    f->payload_len = h.whole - kUdpLen;
    return length >= kUdpLen && length <= h.whole && get16(h.p) && get16(h.p + 2);
}

void read_sctp(const Head& h, PacketFacts* f) {
    if (h.size >= kSctpLen) {
        f->payload_len = h.whole - kSctpLen;
        f->sctp_vtag = get32(h.p + 4);
    }
    if (h.size >= kSctpLen + 8) {
        f->sctp_chunk = h.p[kSctpLen];
        f->sctp_init_tag = f->sctp_chunk == 1 || f->sctp_chunk == 2 ? get32(h.p + 16) : 0;
    }
}

/// Requests and replies that have an identifier.
bool has_identifier(uint8_t type, bool is_v6) {
    return is_v6 ? type == 128 || type == 129
                 : type == 0 || type == 8 || (type >= 13 && type <= 16);
}

bool is_error(uint8_t type, bool is_v6) {
    return is_v6 ? type >= 1 && type <= 4
                 : type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/// L4 of a quoted packet, of which little may be there.
bool read_inner_l4(const uint8_t* p, uint32_t size, CtTuple* t) {
    const bool icmp = ct_is_icmp(t->proto, t->is_v6);
    if (!icmp && !ct_has_ports(t->proto)) {
        return true;
    }
    const uint32_t need = t->is_v6 && t->proto == kProtoTcp ? kTcpMinLen : 8;
    if (size < need) {
        return false;
    }
    if (icmp) {
        t->icmp_type = p[0];
        t->icmp_code = p[1];
        t->src_port = t->dst_port = get16(p + 4);
        return has_identifier(p[0], t->is_v6) && p[1] == 0;
    }
    t->src_port = get16(p);
    t->dst_port = get16(p + 2);
    return t->src_port && t->dst_port;
}

bool read_inner4(const uint8_t* p, uint32_t size, CtTuple* t) {
    const uint32_t header = size < kIp4MinLen ? 0 : (p[0] & 0xfu) * 4;
    if (header < kIp4MinLen || header > size || get16(p + 6) & 0x3fff) {
        return false;
    }
    t->proto = p[9];
    t->src[3] = get32(p + 12);
    t->dst[3] = get32(p + 16);
    return read_inner_l4(p + header, size - header, t);
}

bool read_inner6(const uint8_t* p, uint32_t size, CtTuple* t) {
    if (size < kIp6Len) {
        return false;
    }
    t->is_v6 = 1;
    for (unsigned i = 0; i < 4; ++i) {
        t->src[i] = get32(p + 8 + 4 * i);
        t->dst[i] = get32(p + 24 + 4 * i);
    }
    uint8_t type = p[6];
    uint32_t at = kIp6Len;
    while (type == kProtoHopOpts || type == kProtoRouting || type == kProtoDstOpts ||
           type == kProtoAh || type == kProtoFragment) {
        if (at + 8 > size || (type == kProtoFragment && get16(p + at + 2))) {
            return false;
        }
        const uint32_t len = type == kProtoFragment ? 8
                             : type == kProtoAh     ? (p[at + 1] + 2u) * 4
                                                    : (p[at + 1] + 1u) * 8;
        type = p[at];
        at += len;
        if (at > size) {
            return false;
        }
    }
    t->proto = type;
    return read_inner_l4(p + at, size - at, t);
}

bool read_icmp(const Head& h, const PacketKey& key, PacketFacts* f) {
    const bool is_v6 = key.kinds & kind::kIp6;
    if (h.size < kIcmpLen) {
        return false;
    }
    f->icmp_type = h.p[0];
    f->icmp_code = h.p[1];
    f->payload_len = h.whole - kIcmpLen;
    if (has_identifier(f->icmp_type, is_v6)) {
        f->icmp_id = get16(h.p + 4);
        return f->icmp_code == 0;
    }
    if (!is_error(f->icmp_type, is_v6)) {
        return false;
    }
    const uint8_t* quoted = h.p + kIcmpLen;
    const uint32_t size = h.size - kIcmpLen;
    if (!(is_v6 ? read_inner6(quoted, size, &f->inner) : read_inner4(quoted, size, &f->inner))) {
        return false;
    }
    // Whom the error is sent to must have sent what it quotes.
    const bool mine = is_v6 ? std::memcmp(quoted + 8, key.ip_dst, 16) == 0
                            : std::memcmp(quoted + 12, key.ip_dst, 4) == 0;
    f->has_inner = mine;
    return mine;
}

}  // namespace

ChecksumWord l4_checksum_word(const rte_mbuf* m) {
    switch (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) {
    case RTE_MBUF_F_RX_L4_CKSUM_GOOD:
    case RTE_MBUF_F_RX_L4_CKSUM_NONE: return ChecksumWord::kGood;  // not there yet, data intact
    case RTE_MBUF_F_RX_L4_CKSUM_BAD: return ChecksumWord::kBad;
    default: return ChecksumWord::kUnknown;
    }
}

bool l3_checksum_right(const rte_mbuf* m, const PacketKey& key) {
    if (!(key.kinds & kind::kIp4)) {
        return true;
    }
    switch (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) {
    case RTE_MBUF_F_RX_IP_CKSUM_GOOD:
    case RTE_MBUF_F_RX_IP_CKSUM_NONE: return true;
    case RTE_MBUF_F_RX_IP_CKSUM_BAD: return false;
    default: break;
    }
    uint8_t copy[60];
    const uint32_t len = std::min<uint32_t>(key.l3_len, sizeof copy);
    const void* header = rte_pktmbuf_read(m, key.l2_len, len, copy);
    return header && checksum::good(header, len);
}

void read_facts(const PacketKey& key, const L4Piece* pieces, unsigned count, ChecksumWord word,
                PacketFacts* facts) {
    Head head;
    if (!head.read(pieces, count)) {
        return;
    }
    const uint8_t proto = key.ip_proto;
    const bool is_v6 = key.kinds & kind::kIp6;
    bool sums = true;  // the protocol has a checksum that counts
    if (proto == kProtoTcp) {
        facts->is_valid = read_tcp(head, facts);
    } else if (proto == kProtoUdp) {
        facts->is_valid = read_udp(head, facts);
        sums = !facts->is_valid || is_v6 || get16(head.p + 6) != 0;
    } else if (ct_is_icmp(proto, is_v6)) {
        facts->is_valid = read_icmp(head, key, facts);
    } else {
        facts->is_valid = true;
        facts->payload_len = head.whole;
        sums = false;
        if (proto == kProtoSctp) {
            read_sctp(head, facts);
        }
    }
    if (!facts->is_valid || !sums || word == ChecksumWord::kGood) {
        return;
    }
    facts->bad_checksum =
        word == ChecksumWord::kBad || !l4_checksum_right(key, proto, pieces, count, head.whole);
    facts->is_valid = !facts->bad_checksum;
}

bool read_quick_facts(const rte_mbuf* m, const PacketKey& key, QuickFacts* facts) {
    const bool ip4 = key.kinds & kind::kIp4;
    const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
    const uint8_t* l3 = data + key.l2_len;
    const uint8_t* l4 = data + key.l4_ofs;
    if (SLUICE_UNLIKELY(m->nb_segs != 1 || !(key.kinds & kind::kL4) || key.ip_frag)) {
        return false;
    }
    const uint32_t end = key.l2_len + (ip4 ? get16(l3 + 2) : kIp6Len + uint32_t{get16(l3 + 4)});
    const uint32_t size = end - key.l4_ofs;
    if (SLUICE_UNLIKELY(end > m->data_len || !l3_checksum_right(m, key))) {
        return false;
    }
    bool sums = true;
    facts->proto = key.ip_proto;
    if (SLUICE_LIKELY(key.ip_proto == kProtoTcp)) {
        const uint32_t header = (l4[12] >> 4) * 4u;
        facts->tcp_seq = get32(l4 + 4);
        facts->tcp_ack = get32(l4 + 8);
        facts->tcp_flags = get16(l4 + 12) & 0x0fff;
        facts->tcp_window = get16(l4 + 14);
        facts->payload_len = size - header;
        if (header < kTcpMinLen || header > size || (facts->tcp_flags & ~tcp::kPsh) != tcp::kAck) {
            return false;
        }
    } else if (key.ip_proto == kProtoUdp) {
        const uint32_t length = get16(l4 + 4);
        facts->payload_len = size - kUdpLen;
        sums = !ip4 || get16(l4 + 6) != 0;
        if (length < kUdpLen || length > size) {
            return false;
        }
    } else {
        return false;
    }
    if (!key.l4_src || !key.l4_dst) {
        return false;
    }
    const ChecksumWord word = l4_checksum_word(m);
    if (!sums || word == ChecksumWord::kGood) {
        return true;
    }
    const unsigned n = ip4 ? 4 : 16;
    uint64_t sum = checksum::sum(key.ip_src, n) + checksum::sum(key.ip_dst, n) +
                   __builtin_bswap32(size) + uint64_t{__builtin_bswap16(key.ip_proto)};
    sum = checksum::sum(l4, size, sum);
    return word == ChecksumWord::kUnknown && checksum::fold(sum) == 0xffff;
}

void read_facts(const rte_mbuf* m, const PacketKey& key, PacketFacts* facts) {
    *facts = PacketFacts{};
    facts->tcp_wscale = 0xff;
    if (!(key.kinds & (kind::kIp4 | kind::kIp6)) || key.ip_frag) {
        return;
    }
    uint8_t copy[6];
    const uint32_t l4 = key.l2_len + uint32_t{key.l3_len};
    const auto* l3 = static_cast<const uint8_t*>(rte_pktmbuf_read(m, key.l2_len, 6, copy));
    if (!l3) {
        return;
    }
    const uint32_t end =
        key.l2_len + (key.kinds & kind::kIp4 ? get16(l3 + 2) : kIp6Len + uint32_t{get16(l3 + 4)});
    if (end < l4 || end > m->pkt_len) {
        return;
    }
    if (!l3_checksum_right(m, key)) {
        facts->bad_checksum = true;
        return;
    }
    const L4Piece whole{m, l4, end - l4};
    read_facts(key, &whole, 1, l4_checksum_word(m), facts);
}

}  // namespace sluice
