// SPDX-License-Identifier: Apache-2.0
// ICMP errors, TCP resets and SCTP aborts, made from the packet that they answer.
#include <nmmintrin.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "datapath/edit.h"
#include "datapath/transform.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"

namespace sluice::edit {
namespace {

using namespace wire;

constexpr uint8_t kUnreachable4 = 3;
constexpr uint8_t kUnreachable6 = 1;
constexpr uint8_t kTcpRst = 0x04;
constexpr uint8_t kTcpRstAck = 0x14;
constexpr uint8_t kSctpInit = 1;
constexpr uint8_t kSctpAbort = 6;
constexpr uint8_t kSctpReflected = 1;  // T bit: the verification tag is the sender's own
constexpr unsigned kChunkLen = 4;
constexpr unsigned kInitLen = 16;  // of an INIT chunk behind its header

bool is_ip(const PacketKey& key) {
    return key.kinds & (kind::kIp4 | kind::kIp6);
}

/// `n` bytes of the packet from `offset` on; copied to `room` when they are not in one piece, null
/// when the packet is shorter.
const uint8_t* bytes_at(const rte_mbuf* m, uint32_t offset, uint32_t n, uint8_t* room) {
    return static_cast<const uint8_t*>(rte_pktmbuf_read(m, offset, n, room));
}

/// Behind the IP header, whether or not what follows is a header (later fragments).
uint32_t l4_offset(const PacketKey& key) {
    return key.kinds & kind::kL4 ? key.l4_ofs : uint32_t{key.l2_len} + key.l3_len;
}

/// Ethernet and IP header of the new packet, from those of the old one.
class Header {
public:
    Header(const rte_mbuf* m, const PacketKey& key, bool swapped)
        : ip6_(key.kinds & kind::kIp6), swapped_(swapped) {
        const uint8_t* frame = rte_pktmbuf_mtod(m, const uint8_t*);
        const unsigned n = address_len();
        std::memcpy(macs_, frame, sizeof macs_);
        std::memcpy(addresses_, frame + key.l2_len + (ip6_ ? 8 : 12), 2 * n);
    }
    bool ip6() const { return ip6_; }

    /// Where the payload of the new packet starts, zeroed; null without room.
    uint8_t* write(rte_mbuf* m, const PacketKey& key, uint8_t proto, uint16_t payload) const {
        const bool icmp = proto == kProtoIcmp || proto == kProtoIcmp6;
        const uint8_t ttl = icmp ? kIcmpTtl : kResetTtl;
        const auto ip_len = static_cast<uint16_t>(ip6_ ? kIp6Len : kIp4MinLen);
        uint8_t* ip = reshape(m, key, icmp, ip6_ ? kTypeIp6 : kTypeIp4,
                              static_cast<uint16_t>(ip_len + payload));
        if (!ip) {
            return nullptr;
        }
        if (swapped_) {
            uint8_t* eth = rte_pktmbuf_mtod(m, uint8_t*);
            std::memcpy(eth, macs_ + 6, 6);
            std::memcpy(eth + 6, macs_, 6);
        }
        if (ip6_) {
            ip[0] = 0x60;
            put16(ip + 4, payload);
            ip[6] = proto;
            ip[7] = ttl;
            write_addresses(ip + 8);
        } else {
            ip[0] = 0x45;
            put16(ip + 2, static_cast<uint32_t>(ip_len + payload));
            put16(ip + 6, 0x4000);
            ip[8] = ttl;
            ip[9] = proto;
            write_addresses(ip + 12);
            const uint16_t sum = checksum::of(ip, kIp4MinLen);
            std::memcpy(ip + 10, &sum, 2);
        }
        return ip + ip_len;
    }

    /// The checksum of the payload with the pseudo header of this packet.
    void seal(const uint8_t* payload, uint16_t len, uint8_t proto, uint8_t* at) const {
        const uint8_t pseudo[4] = {static_cast<uint8_t>(len >> 8), static_cast<uint8_t>(len), 0,
                                   proto};
        uint64_t sum = checksum::sum(addresses_, 2 * address_len());
        sum = checksum::sum(pseudo, sizeof pseudo, sum);
        const auto csum = static_cast<uint16_t>(~checksum::fold(checksum::sum(payload, len, sum)));
        std::memcpy(at, &csum, 2);
    }

private:
    unsigned address_len() const { return ip6_ ? 16 : 4; }
    void write_addresses(uint8_t* at) const {
        const unsigned n = address_len();
        std::memcpy(at, addresses_ + (swapped_ ? n : 0), n);
        std::memcpy(at + n, addresses_ + (swapped_ ? 0 : n), n);
    }

    bool ip6_;
    bool swapped_;
    uint8_t macs_[12];
    uint8_t addresses_[32];
};

/// How many bytes from the IP header on an error quotes; 0: the packet is broken.
uint32_t quote_length(const rte_mbuf* m, const PacketKey& key, const uint8_t* ip) {
    const bool ip6 = key.kinds & kind::kIp6;
    const uint32_t total = ip6 ? kIp6Len + get16(ip + 4) : get16(ip + 2);
    if (total < kIp4MinLen) {
        return 0;
    }
    return std::min({total, ip6 ? kQuote6 : kQuote4, m->pkt_len - key.l2_len});
}

uint32_t crc32c(const uint8_t* p, unsigned n) {
    uint32_t crc = ~0u;
    for (unsigned i = 0; i < n; ++i) {
        crc = _mm_crc32_u8(crc, p[i]);
    }
    return ~crc;
}

/// Ports of the answer: those of the packet, the other way round.
void swap_ports(const PacketKey& key, const uint8_t* from, uint8_t* to) {
    if (key.kinds & kind::kL4) {
        std::memcpy(to, from + 2, 2);
        std::memcpy(to + 2, from, 2);
    }
}

}  // namespace

bool to_icmp(rte_mbuf* m, const PacketKey& key, bool reject) {
    if (!is_ip(key)) {
        return false;
    }
    const Header header(m, key, reject);
    const uint8_t* ip = rte_pktmbuf_mtod(m, const uint8_t*) + key.l2_len;
    const uint32_t n = quote_length(m, key, ip);
    if (n == 0) {
        return false;
    }
    const bool udp = ip[header.ip6() ? 6 : 9] == kProtoUdp;
    uint8_t quote[kQuote6];
    const uint8_t* quoted = bytes_at(m, key.l2_len, n, quote);
    if (quoted != quote) {
        std::memcpy(quote, quoted, n);
    }
    const auto len = static_cast<uint16_t>(kIcmpLen + n);
    uint8_t* icmp = header.write(m, key, header.ip6() ? kProtoIcmp6 : kProtoIcmp, len);
    if (!icmp) {
        return false;
    }
    icmp[0] = header.ip6() ? kUnreachable6 : kUnreachable4;
    icmp[1] = reject && udp ? (header.ip6() ? 4 : 3) : 1;
    std::memcpy(icmp + kIcmpLen, quote, n);
    if (header.ip6()) {
        header.seal(icmp, len, kProtoIcmp6, icmp + 2);
    } else {
        const uint16_t sum = checksum::of(icmp, len);
        std::memcpy(icmp + 2, &sum, 2);
    }
    return true;
}

bool to_reset(rte_mbuf* m, const PacketKey& key, bool reject) {
    uint8_t room[kTcpMinLen];
    constexpr unsigned kUpToFlags = 14;
    const uint8_t* old = is_ip(key) && key.ip_proto == kProtoTcp
                             ? bytes_at(m, l4_offset(key), kUpToFlags, room)
                             : nullptr;
    if (!old || (reject && (old[13] & kTcpRst))) {
        return false;
    }
    if (old != room) {
        std::memcpy(room, old, kUpToFlags);
    }
    const Header header(m, key, reject);
    uint8_t* tcp = header.write(m, key, kProtoTcp, kTcpMinLen);
    if (!tcp) {
        return false;
    }
    swap_ports(key, room, tcp);
    put32(tcp + 8, get32(room + 4) + 1);
    tcp[12] = 5 << 4;
    tcp[13] = kTcpRstAck;
    header.seal(tcp, kTcpMinLen, kProtoTcp, tcp + 16);
    return true;
}

/// The verification tag as RFC 9260 section 8.4 wants it (items 3 and 8).
bool to_abort(rte_mbuf* m, const PacketKey& key, bool reject) {
    uint8_t room[kSctpLen + kChunkLen + kInitLen] = {};
    const uint32_t offset = l4_offset(key);
    const uint8_t* old = is_ip(key) && key.ip_proto == kProtoSctp
                             ? bytes_at(m, offset, kSctpLen + kChunkLen, room)
                             : nullptr;
    if (!old || old[kSctpLen] == kSctpAbort) {
        return false;
    }
    const bool init = old[kSctpLen] == kSctpInit;
    if (init && !(old = bytes_at(m, offset, sizeof room, room))) {
        return false;
    }
    if (old != room) {
        std::memcpy(room, old, init ? sizeof room : kSctpLen + kChunkLen);
    }
    const Header header(m, key, reject);
    uint8_t* sctp = header.write(m, key, kProtoSctp, kSctpLen + kChunkLen);
    if (!sctp) {
        return false;
    }
    const bool reflected = !init || get32(room + 4) != 0;
    swap_ports(key, room, sctp);
    std::memcpy(sctp + 4, reflected ? room + 4 : room + kSctpLen + kChunkLen, 4);
    sctp[kSctpLen] = kSctpAbort;
    sctp[kSctpLen + 1] = reflected ? kSctpReflected : 0;
    put16(sctp + kSctpLen + 2, kChunkLen);
    const uint32_t crc = crc32c(sctp, kSctpLen + kChunkLen);
    std::memcpy(sctp + 8, &crc, 4);
    return true;
}

bool to_rejection(rte_mbuf* m, const PacketKey& key) {
    if (!is_ip(key)) {
        return false;
    }
    if (key.ip_proto == kProtoTcp) {
        return to_reset(m, key, true);
    }
    if (key.ip_proto == kProtoSctp) {
        return to_abort(m, key, true);
    }
    const bool icmp4 = (key.kinds & kind::kIp4) && key.ip_proto == kProtoIcmp;
    const bool icmp6 = (key.kinds & kind::kIp6) && key.ip_proto == kProtoIcmp6;
    if (icmp4 || icmp6) {
        uint8_t room;
        const uint8_t* type = bytes_at(m, l4_offset(key), 1, &room);
        if (!type || *type == (icmp4 ? kUnreachable4 : kUnreachable6)) {
            return false;
        }
    }
    return to_icmp(m, key, true);
}

}  // namespace sluice::edit
