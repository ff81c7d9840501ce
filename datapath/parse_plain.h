// SPDX-License-Identifier: Apache-2.0
// The quick parser: frames as nearly all are, read by a few wide loads.
//
// parse_plain() reads untagged Ethernet with IPv4 without options or IPv6 without extensions, no
// fragment, TCP or UDP, in one piece. Of such a frame it makes the very key that parse_frame()
// makes; everything else it leaves to that. The flow hash is left for when somebody asks
// (flow_hash_of()).
// Threads: pure.
#pragma once

#include <emmintrin.h>

#include <cstdint>
#include <cstring>

#include "lib/base/check.h"
#include "lib/net/wire.h"
#include "lib/program/key.h"

namespace sluice {
namespace plain {

inline uint16_t load16(const uint8_t* p) {
    uint16_t v;
    std::memcpy(&v, p, 2);
    return v;
}
inline uint32_t load32(const uint8_t* p) {
    uint32_t v;
    std::memcpy(&v, p, 4);
    return v;
}
inline uint64_t load64(const uint8_t* p) {
    uint64_t v;
    std::memcpy(&v, p, 8);
    return v;
}
inline __m128i load(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline constexpr uint16_t swap(uint32_t v) {
    return __builtin_bswap16(static_cast<uint16_t>(v));
}

/// Line 1 of the key but for context, in_port and pkt_mark.
inline void store_lengths(PacketKey* key, uint32_t len, uint8_t l2, uint8_t l3) {
    auto* line = reinterpret_cast<__m128i*>(&key->context);
    const __m128i zero = _mm_setzero_si128();
    _mm_store_si128(line, zero);
    _mm_store_si128(line + 1, zero);
    _mm_store_si128(line + 2, zero);
    _mm_store_si128(line + 3, zero);
    key->pkt_len = len;
    key->l2_len = l2;
    key->l3_len = l3;
    key->l4_ofs = static_cast<uint16_t>(l2 + l3);
}

/// Words 6 and 7 of the key: `low` has protocol, TTL, TOS, 0 and the ports. In one store, because
/// it is read back as a whole at once.
inline void store_l4(PacketKey* key, uint64_t low, uint16_t tcp_flags, uint8_t len_class,
                     uint8_t kinds, uint32_t label) {
    const uint64_t high =
        tcp_flags | uint64_t{len_class} << 16 | uint64_t{kinds} << 24 | uint64_t{label} << 32;
    _mm_store_si128(reinterpret_cast<__m128i*>(&key->ip_proto),
                    _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low)));
}

inline constexpr uint16_t kTcpFlagBits = swap(0x0fff);

inline bool parse_ip4(const uint8_t* p, uint32_t len, uint8_t len_class, PacketKey* key,
                      PacketClass* packet_class) {
    constexpr uint32_t kL4 = wire::kEthLen + wire::kIp4MinLen;
    if (SLUICE_UNLIKELY(len < kL4 + wire::kUdpLen || p[14] != 0x45 ||
                        (load16(p + 20) & swap(0x3fff)))) {
        return false;
    }
    const uint32_t total = swap(load16(p + 16));
    const bool tcp = p[23] == wire::kProtoTcp;
    const uint32_t need = wire::kIp4MinLen + (tcp ? wire::kTcpMinLen : wire::kUdpLen);
    if (SLUICE_UNLIKELY((!tcp && p[23] != wire::kProtoUdp) || total < need ||
                        total > len - wire::kEthLen)) {
        return false;
    }
    auto* line = reinterpret_cast<__m128i*>(key);
    const auto ip = [&](unsigned at) {
        return _mm_cvtsi32_si128(static_cast<int>(load32(p + at)));
    };
    _mm_store_si128(line + 1, ip(26));
    _mm_store_si128(line + 2, ip(30));
    const uint64_t low =
        p[23] | uint64_t{p[22]} << 8 | uint64_t{p[15]} << 16 | uint64_t{load32(p + kL4)} << 32;
    const auto flags = static_cast<uint16_t>(tcp ? load16(p + kL4 + 12) & kTcpFlagBits : 0);
    store_l4(key, low, flags, len_class, kind::kIp4 | kind::kL4, 0);
    store_lengths(key, len, wire::kEthLen, wire::kIp4MinLen);
    *packet_class = tcp ? PacketClass::kIp4Tcp : PacketClass::kIp4Udp;
    return true;
}

inline bool parse_ip6(const uint8_t* p, uint32_t len, uint8_t len_class, PacketKey* key,
                      PacketClass* packet_class) {
    constexpr uint32_t kL4 = wire::kEthLen + wire::kIp6Len;
    if (SLUICE_UNLIKELY(len < kL4 + wire::kUdpLen)) {
        return false;
    }
    const uint32_t payload = swap(load16(p + 18));
    const bool tcp = p[20] == wire::kProtoTcp;
    const uint32_t need = tcp ? wire::kTcpMinLen : wire::kUdpLen;
    if (SLUICE_UNLIKELY((!tcp && p[20] != wire::kProtoUdp) || payload < need ||
                        payload > len - kL4)) {
        return false;
    }
    auto* line = reinterpret_cast<__m128i*>(key);
    _mm_store_si128(line + 1, load(p + 22));
    _mm_store_si128(line + 2, load(p + 38));
    const uint32_t first = load32(p + 14);
    const auto tos = static_cast<uint8_t>(__builtin_bswap32(first) >> 20);
    const uint64_t low =
        p[20] | uint64_t{p[21]} << 8 | uint64_t{tos} << 16 | uint64_t{load32(p + kL4)} << 32;
    const auto flags = static_cast<uint16_t>(tcp ? load16(p + kL4 + 12) & kTcpFlagBits : 0);
    store_l4(key, low, flags, len_class, kind::kIp6 | kind::kL4,
             first & __builtin_bswap32(0xfffff));
    store_lengths(key, len, wire::kEthLen, wire::kIp6Len);
    *packet_class = tcp ? PacketClass::kIp6Tcp : PacketClass::kIp6Udp;
    return true;
}

/// The Ethernet header as the first 16 bytes of the key; there are at least 16 bytes to read.
inline void store_ethernet(const uint8_t* p, PacketKey* key) {
    const __m128i keep = _mm_setr_epi32(-1, -1, -1, 0xffff);
    _mm_store_si128(reinterpret_cast<__m128i*>(key), _mm_and_si128(load(p), keep));
}

}  // namespace plain

/// `len` bytes that all lie at `p`. False: not such a frame, `key` is undefined.
/// `packet_class` is what class_of() says.
inline bool parse_plain(const uint8_t* p, uint32_t len, uint8_t len_class, PacketKey* key,
                        PacketClass* packet_class) {
    if (SLUICE_UNLIKELY(len < wire::kEthLen + wire::kIp4MinLen)) {
        return false;
    }
    plain::store_ethernet(p, key);
    const uint16_t type = plain::load16(p + 12);
    if (SLUICE_LIKELY(type == plain::swap(wire::kTypeIp4))) {
        return plain::parse_ip4(p, len, len_class, key, packet_class);
    }
    return type == plain::swap(wire::kTypeIp6) &&
           plain::parse_ip6(p, len, len_class, key, packet_class);
}

}  // namespace sluice
