// SPDX-License-Identifier: Apache-2.0
// NAT inside ICMP: the identifier of an echo, and the packet that an error quotes.
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "datapath/edit.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"

namespace sluice::edit {
namespace {

using namespace wire;

constexpr uint32_t kIcmpLen = 8;

void fix(uint8_t* at, const void* before, const void* after, size_t len) {
    uint16_t sum;
    std::memcpy(&sum, at, 2);
    sum = checksum::update(sum, before, after, len);
    std::memcpy(at, &sum, 2);
}

/// The packet in an ICMP error, as much of it as there is.
struct Quote {
    uint8_t* l3 = nullptr;
    uint8_t* l4 = nullptr;  ///< null: a later fragment, or not quoted
    uint32_t l4_len = 0;    ///< bytes that are quoted
    uint8_t proto = 0;
    bool ip6 = false;

    /// Where the L4 checksum lies; null when it is not quoted or the protocol has none.
    uint8_t* checksum(bool pseudo) const {
        switch (proto) {
        case kProtoTcp: return l4_len >= 18 ? l4 + 16 : nullptr;
        case kProtoUdp: return l4_len >= 8 && get16(l4 + 6) != 0 ? l4 + 6 : nullptr;
        case kProtoIcmp6: return l4_len >= 4 ? l4 + 2 : nullptr;
        case kProtoIcmp: return l4_len >= 4 && !pseudo ? l4 + 2 : nullptr;
        default: return nullptr;
        }
    }
    void write(uint8_t* at, const uint8_t* bytes, size_t len, bool pseudo) {
        if (uint8_t* sum = l4 ? checksum(pseudo) : nullptr) {
            fix(sum, at, bytes, len);
            if (proto == kProtoUdp && get16(sum) == 0) {
                put16(sum, 0xffff);  // zero means "no checksum"
            }
        }
        if (pseudo && !ip6) {
            fix(l3 + 10, at, bytes, len);
        }
        std::memcpy(at, bytes, len);
    }
};

bool find_l4_6(Quote* q, const uint8_t* end) {
    uint8_t next = q->l3[6];
    uint8_t* at = q->l3 + kIp6Len;
    while (next == 0 || next == 43 || next == 60 || next == 44) {
        if (at + 8 > end) {
            return true;
        }
        if (next == 44 && (get16(at + 2) & 0xfff8)) {
            q->proto = at[0];
            return true;
        }
        const uint32_t len = next == 44 ? 8 : (at[1] + 1u) * 8;
        next = at[0];
        at += len;
    }
    q->proto = next;
    if (at < end) {
        q->l4 = at;
        q->l4_len = static_cast<uint32_t>(end - at);
    }
    return true;
}

bool find_quote(rte_mbuf* m, const PacketKey& key, bool ip6, Quote* q) {
    uint8_t* const data = rte_pktmbuf_mtod(m, uint8_t*);
    const uint8_t* const end = data + m->data_len;
    q->l3 = data + key.l4_ofs + kIcmpLen;
    q->ip6 = ip6;
    if (ip6) {
        return q->l3 + kIp6Len <= end && find_l4_6(q, end);
    }
    const uint32_t header = q->l3 + 20 <= end ? (q->l3[0] & 15u) * 4 : 0;
    if (header < 20) {
        return false;
    }
    q->proto = q->l3[9];
    if (!(get16(q->l3 + 6) & 0x1fff) && q->l3 + header < end) {
        q->l4 = q->l3 + header;
        q->l4_len = static_cast<uint32_t>(end - q->l4);
    }
    return true;
}

/// Makes the checksum of the ICMP error anew, over all segments.
void sum_error(rte_mbuf* m, const PacketKey& key) {
    uint8_t* const l3 = rte_pktmbuf_mtod_offset(m, uint8_t*, key.l2_len);
    uint8_t* const icmp = rte_pktmbuf_mtod_offset(m, uint8_t*, key.l4_ofs);
    const bool ip6 = key.kinds & kind::kIp6;
    const uint32_t end = key.l2_len + (ip6 ? kIp6Len + get16(l3 + 4) : get16(l3 + 2));
    const uint32_t len = std::min(end, m->pkt_len) - key.l4_ofs;
    std::memset(icmp + 2, 0, 2);
    uint16_t raw = 0;
    rte_raw_cksum_mbuf(m, key.l4_ofs, len, &raw);
    uint64_t sum = raw;
    if (ip6) {
        const uint8_t tail[4] = {static_cast<uint8_t>(len >> 8), static_cast<uint8_t>(len), 0,
                                 kProtoIcmp6};
        sum = checksum::sum(l3 + 8, 32, sum);
        sum = checksum::sum(tail, 4, sum);
    }
    const auto folded = static_cast<uint16_t>(~checksum::fold(sum));
    std::memcpy(icmp + 2, &folded, 2);
}

bool is_icmp(const PacketKey& key) {
    return (key.kinds & kind::kL4) && (key.ip_proto == kProtoIcmp || key.ip_proto == kProtoIcmp6);
}

}  // namespace

bool set_icmp_id(rte_mbuf* m, const PacketKey& key, uint16_t id) {
    if (!is_icmp(key)) {
        return true;  // a later fragment
    }
    uint8_t* const icmp = rte_pktmbuf_mtod_offset(m, uint8_t*, key.l4_ofs);
    uint8_t bytes[2];
    put16(bytes, id);
    fix(icmp + 2, icmp + 4, bytes, 2);
    std::memcpy(icmp + 4, bytes, 2);
    return true;
}

bool translate_quoted(rte_mbuf* m, const PacketKey& key, const QuotedTuple& to) {
    Quote quote;
    if (!is_icmp(key) || !find_quote(m, key, to.ip6, &quote)) {
        return false;
    }
    const uint32_t size = to.ip6 ? 16 : 4;
    const uint32_t at = to.ip6 ? 8 : 12;
    quote.write(quote.l3 + at, to.src + 16 - size, size, true);
    quote.write(quote.l3 + at + size, to.dst + 16 - size, size, true);
    uint8_t bytes[2];
    put16(bytes, to.src_port);
    if ((quote.proto == kProtoTcp || quote.proto == kProtoUdp) && quote.l4_len >= 4) {
        quote.write(quote.l4, bytes, 2, false);
        put16(bytes, to.dst_port);
        quote.write(quote.l4 + 2, bytes, 2, false);
    } else if ((quote.proto == kProtoIcmp || quote.proto == kProtoIcmp6) && quote.l4_len >= 6) {
        quote.write(quote.l4 + 4, bytes, 2, false);
    }
    sum_error(m, key);
    return true;
}

}  // namespace sluice::edit
