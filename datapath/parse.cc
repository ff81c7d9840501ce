// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <nmmintrin.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "datapath/edit.h"
#include "datapath/parse_plain.h"
#include "datapath/stages.h"
#include "lib/base/check.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using namespace wire;

/// What is left of the frame: `size` by its length fields, `avail` readable here.
struct Rest {
    const uint8_t* p;
    uint32_t avail;
    uint32_t size;

    bool has(uint32_t n) const { return size >= n && avail >= n; }
    void skip(uint32_t n) {
        p += n;
        avail -= n;
        size -= n;
    }
    /// Forgets padding behind `n` bytes.
    void limit(uint32_t n) {
        size = n;
        avail = std::min(avail, n);
    }
};

constexpr unsigned kMaxTags = 2;

void parse_l2(Rest* rest, PacketKey* key) {
    std::memcpy(key->eth_dst, rest->p, 12);
    rest->skip(12);
    uint16_t type = get16(rest->p);
    // ovn-controller has Open vSwitch look behind two tags; the outer one is the packet's.
    for (unsigned i = 0; i < kMaxTags && is_tag(type) && rest->has(2 + kVlanLen); ++i) {
        if (i == 0) {
            key->vlan_tci = htons(get16(rest->p + 2) | kVlanPresent);
            key->kinds |= kind::kVlan;
        }
        rest->skip(kVlanLen);
        type = get16(rest->p);
    }
    rest->skip(2);
    if (SLUICE_UNLIKELY(type < kTypeMin)) {
        static constexpr uint8_t kSnap[6] = {0xaa, 0xaa, 3, 0, 0, 0};
        const bool snap = rest->has(8) && std::memcmp(rest->p, kSnap, sizeof kSnap) == 0 &&
                          get16(rest->p + 6) >= kTypeMin;
        type = snap ? get16(rest->p + 6) : kTypeNone;
        if (snap) {
            rest->skip(8);
        }
    }
    key->eth_type = htons(type);
}

void parse_arp(const Rest& rest, PacketKey* key) {
    static constexpr uint8_t kEthIp4[6] = {0, 1, 8, 0, 6, 4};
    if (!rest.has(kArpLen) || std::memcmp(rest.p, kEthIp4, sizeof kEthIp4) != 0) {
        return;
    }
    key->kinds |= kind::kArp;
    const uint16_t op = get16(rest.p + 6);
    key->l4_src = htons(op <= 0xff ? op : 0);
    std::memcpy(key->ip_src + 4, rest.p + 8, 6);
    std::memcpy(key->ip_src, rest.p + 14, 4);
    std::memcpy(key->ip_dst + 4, rest.p + 18, 6);
    std::memcpy(key->ip_dst, rest.p + 24, 4);
}

void parse_nd(Rest rest, PacketKey* key) {
    rest.skip(kIcmpLen);
    if (!rest.has(16)) {
        return;
    }
    const uint8_t* target = rest.p;
    rest.skip(16);
    const uint8_t* sll = nullptr;
    const uint8_t* tll = nullptr;
    while (rest.has(8)) {
        const uint32_t len = rest.p[1] * 8u;
        if (len == 0 || !rest.has(len)) {
            return;
        }
        const uint8_t** slot = rest.p[0] == kNdOptSll && len == 8   ? &sll
                               : rest.p[0] == kNdOptTll && len == 8 ? &tll
                                                                    : nullptr;
        if (slot) {
            if (*slot && get48(*slot) != 0) {
                return;  // the same option twice: nothing of it can be trusted
            }
            *slot = rest.p + 2;
        }
        rest.skip(len);
    }
    key->kinds |= kind::kNd;
    std::memcpy(key->nd_target, target, 16);
    if (sll) {
        std::memcpy(key->nd_sll, sll, 6);
    }
    if (tll) {
        std::memcpy(key->nd_tll, tll, 6);
    }
}

void parse_l4(const Rest& rest, const uint8_t* frame, PacketKey* key) {
    uint32_t need;
    switch (key->ip_proto) {
    case kProtoTcp: need = kTcpMinLen; break;
    case kProtoUdp: need = kUdpLen; break;
    case kProtoSctp: need = kSctpLen; break;
    case kProtoIcmp: need = key->kinds & kind::kIp4 ? kIcmpLen : ~0u; break;
    case kProtoIcmp6: need = key->kinds & kind::kIp6 ? kIcmpLen : ~0u; break;
    default: return;
    }
    if (!rest.has(need)) {
        return;
    }
    key->kinds |= kind::kL4;
    key->l4_ofs = static_cast<uint16_t>(rest.p - frame);
    if (key->ip_proto == kProtoIcmp || key->ip_proto == kProtoIcmp6) {
        key->l4_src = htons(rest.p[0]);
        key->l4_dst = htons(rest.p[1]);
        if (key->ip_proto == kProtoIcmp6 && (rest.p[0] == kNdNs || rest.p[0] == kNdNa) &&
            rest.p[1] == 0) {
            parse_nd(rest, key);
        }
        return;
    }
    std::memcpy(&key->l4_src, rest.p, 4);
    if (key->ip_proto == kProtoTcp) {
        key->tcp_flags = htons(get16(rest.p + 12) & 0x0fff);
    }
}

/// False when nothing behind the IP header may be looked at.
bool parse_ip4(Rest* rest, PacketKey* key) {
    if (!rest->has(kIp4MinLen)) {
        return false;
    }
    const uint8_t* ip = rest->p;
    const uint32_t header = (ip[0] & 0xfu) * 4;
    const uint32_t total = get16(ip + 2);
    if (header < kIp4MinLen || !rest->has(header) || total > rest->size || total < header) {
        return false;
    }
    key->kinds |= kind::kIp4;
    key->l3_len = static_cast<uint16_t>(header);
    key->ip_tos = ip[1];
    key->ip_ttl = ip[8];
    key->ip_proto = ip[9];
    std::memcpy(key->ip_src, ip + 12, 4);
    std::memcpy(key->ip_dst, ip + 16, 4);
    const uint16_t frag = get16(ip + 6);
    key->ip_frag = static_cast<uint8_t>((frag & 0x3fff ? 1 : 0) | (frag & 0x1fff ? 2 : 0));
    rest->limit(total);
    rest->skip(header);
    return true;
}

/// Walks extension headers; false when they are cut off.
bool parse_ip6_ext(Rest* rest, uint8_t* proto, uint8_t* frag) {
    for (;;) {
        uint32_t len;
        const uint8_t type = *proto;
        if (type != kProtoHopOpts && type != kProtoRouting && type != kProtoDstOpts &&
            type != kProtoAh && type != kProtoFragment) {
            return true;
        }
        if (!rest->has(8)) {
            return false;
        }
        len = type == kProtoFragment ? 8
              : type == kProtoAh     ? (rest->p[1] + 2u) * 4
                                     : (rest->p[1] + 1u) * 8;
        if (!rest->has(len)) {
            return false;
        }
        *proto = rest->p[0];
        const uint16_t ofs = get16(rest->p + 2);
        rest->skip(len);
        if (type == kProtoFragment && ofs != 0) {
            *frag = 1;
            if (ofs & 0xfff8) {
                *frag = 3;
                *proto = kProtoFragment;
                return true;
            }
        }
    }
}

bool parse_ip6(Rest* rest, PacketKey* key) {
    if (!rest->has(kIp6Len)) {
        return false;
    }
    const uint8_t* ip = rest->p;
    const uint32_t payload = get16(ip + 4);
    if (payload > rest->size - kIp6Len) {
        return false;
    }
    key->kinds |= kind::kIp6;
    key->l3_len = kIp6Len;
    std::memcpy(key->ip_src, ip + 8, 16);
    std::memcpy(key->ip_dst, ip + 24, 16);
    rest->limit(kIp6Len + payload);
    rest->skip(kIp6Len);
    uint8_t proto = ip[6];
    uint8_t frag = 0;
    const uint8_t* ext = rest->p;
    if (!parse_ip6_ext(rest, &proto, &frag)) {
        return false;
    }
    const uint32_t flow = get32(ip);
    key->ip6_label = htonl(flow & 0xfffff);
    key->ip_tos = static_cast<uint8_t>(flow >> 20);
    key->ip_ttl = ip[7];
    key->ip_proto = proto;
    key->ip_frag = frag;
    key->l3_len = static_cast<uint16_t>(kIp6Len + (rest->p - ext));
    return true;
}

uint64_t load64(const uint8_t* p) {
    uint64_t v;
    std::memcpy(&v, p, 8);
    return v;
}

uint32_t hash_addresses(const PacketKey& key, uint64_t seed) {
    uint64_t h = static_cast<uint32_t>(seed);
    h = _mm_crc32_u64(h, load64(key.ip_src));
    h = _mm_crc32_u64(h, load64(key.ip_dst));
    if (key.kinds & kind::kIp6) {
        h = _mm_crc32_u64(h, load64(key.ip_src + 8));
        h = _mm_crc32_u64(h, load64(key.ip_dst + 8));
    }
    uint64_t last = key.ip_proto;
    const bool ports =
        (key.kinds & kind::kL4) && key.ip_frag == 0 &&
        (key.ip_proto == kProtoTcp || key.ip_proto == kProtoUdp || key.ip_proto == kProtoSctp);
    if (ports) {
        last |= uint64_t{key.l4_src} << 32 | uint64_t{key.l4_dst} << 48;
    } else if (key.ip_frag) {
        last = 0;  // IPv6: a later fragment does not say its protocol
    }
    h = _mm_crc32_u64(h, last);
    // CRC is linear: spread it, so that taking it modulo a small range is fair.
    auto v = static_cast<uint32_t>(h);
    v ^= v >> 16;
    v *= 0x85ebca6bu;
    v ^= v >> 13;
    v *= 0xc2b2ae35u;
    return v ^ v >> 16;
}

/// Any frame, field by field.
bool parse_any(const uint8_t* data, uint32_t avail, uint32_t len, PacketKey* key) {
    std::memset(static_cast<void*>(key), 0, sizeof *key);
    key->pkt_len = len;
    Rest rest{data, std::min(avail, len), len};
    if (!rest.has(kEthLen)) {
        return false;
    }
    parse_l2(&rest, key);
    key->l2_len = static_cast<uint8_t>(rest.p - data);
    const uint16_t type = ntohs(key->eth_type);
    bool l4 = false;
    if (type == kTypeIp4) {
        l4 = parse_ip4(&rest, key);
    } else if (type == kTypeIp6) {
        l4 = parse_ip6(&rest, key);
    } else if (type == kTypeArp || type == kTypeRarp) {
        parse_arp(rest, key);
    }
    if (l4 && !(key->ip_frag & 2)) {
        parse_l4(rest, data, key);
    }
    return true;
}

}  // namespace

bool parse_frame(const uint8_t* data, uint32_t avail, uint32_t len, PacketKey* key) {
    PacketClass ignored;
    return (avail >= len && parse_plain(data, len, 0, key, &ignored)) ||
           parse_any(data, avail, len, key);
}

bool parse_frame_slowly(const uint8_t* data, uint32_t avail, uint32_t len, PacketKey* key) {
    return parse_any(data, avail, len, key);
}

bool parse_packet(rte_mbuf* m, PacketKey* key) {
    if (SLUICE_UNLIKELY(m->nb_segs > 1)) {
        edit::pull_up(m, edit::kHeaderSpan);
    }
    return parse_frame(rte_pktmbuf_mtod(m, const uint8_t*), m->data_len, m->pkt_len, key);
}

uint32_t flow_hash_of(PacketKey* key, uint64_t seed) {
    if (!key->has_flow_hash) {
        key->has_flow_hash = 1;
        key->flow_hash = key->kinds & (kind::kIp4 | kind::kIp6) ? hash_addresses(*key, seed) : 0;
    }
    return key->flow_hash;
}

uint8_t len_class_of(const Pipeline& pipeline, uint32_t pkt_len) {
    unsigned n = 0;
    for (const uint32_t limit : pipeline.pkt_lens) {
        n += pkt_len > limit;
    }
    return static_cast<uint8_t>(std::min(n, 255u));
}

}  // namespace sluice
