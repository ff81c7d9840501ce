// SPDX-License-Identifier: Apache-2.0
#include "datapath/edit.h"

#include <nmmintrin.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "lib/net/checksum.h"
#include "lib/net/wire.h"

namespace sluice::edit {
namespace {

using namespace wire;

struct View {
    uint8_t* l2;
    uint8_t* l3;
    uint8_t* l4;  ///< null without
    const PacketKey* key;

    View(rte_mbuf* m, const PacketKey* k)
        : l2(rte_pktmbuf_mtod(m, uint8_t*)),
          l3(l2 + k->l2_len),
          l4(k->kinds & kind::kL4 ? l2 + k->l4_ofs : nullptr),
          key(k) {}
    bool ip4() const { return key->kinds & kind::kIp4; }
    bool ip6() const { return key->kinds & kind::kIp6; }
};

/// Where the L4 checksum that covers the pseudo header lies, or null.
uint8_t* pseudo_checksum(const View& v) {
    if (!v.l4) {
        return nullptr;
    }
    switch (v.key->ip_proto) {
    case kProtoTcp: return v.l4 + 16;
    case kProtoUdp: return get16(v.l4 + 6) == 0 ? nullptr : v.l4 + 6;
    case kProtoIcmp6: return v.l4 + 2;
    default: return nullptr;
    }
}

/// Where the checksum of the L4 header itself lies, or null.
uint8_t* l4_checksum(const View& v) {
    return v.l4 && v.key->ip_proto == kProtoIcmp ? v.l4 + 2 : pseudo_checksum(v);
}

void fix(uint8_t* at, const void* before, const void* after, size_t len, bool udp) {
    uint16_t sum;
    std::memcpy(&sum, at, 2);
    sum = checksum::update(sum, before, after, len);
    if (udp && sum == 0) {
        sum = 0xffff;  // zero means "no checksum"
    }
    std::memcpy(at, &sum, 2);
}

void fix_l4(const View& v, uint8_t* at, const void* before, const void* after, size_t len) {
    if (at) {
        fix(at, before, after, len, v.key->ip_proto == kProtoUdp);
    }
}

/// Writes `len` (even) bytes that the IPv4 header checksum covers.
void write_ip4(const View& v, uint8_t* at, const uint8_t* bytes, size_t len) {
    fix(v.l3 + 10, at, bytes, len, false);
    std::memcpy(at, bytes, len);
}

void write_address(const View& v, uint8_t* at, const uint8_t* bytes, size_t len) {
    fix_l4(v, pseudo_checksum(v), at, bytes, len);
    if (v.ip4()) {
        fix(v.l3 + 10, at, bytes, len, false);
    }
    std::memcpy(at, bytes, len);
}

void write_l4(const View& v, uint8_t* at, const uint8_t* bytes, size_t len) {
    fix_l4(v, l4_checksum(v), at, bytes, len);
    std::memcpy(at, bytes, len);
}

/// RFC 9260 checksum over a whole SCTP packet, its own field read as zero.
uint32_t sctp_crc(const rte_mbuf* m, uint32_t offset, uint32_t len) {
    uint32_t crc = ~0u;
    uint32_t at = 0;
    for (; m && len; m = m->next) {
        if (offset >= m->data_len) {
            offset -= m->data_len;
            continue;
        }
        const uint8_t* p = rte_pktmbuf_mtod_offset(m, const uint8_t*, offset);
        const uint32_t n = std::min<uint32_t>(m->data_len - offset, len);
        for (uint32_t i = 0; i < n; ++i, ++at) {
            crc = _mm_crc32_u8(crc, at >= 8 && at < 12 ? 0 : p[i]);
        }
        len -= n;
        offset = 0;
    }
    return ~crc;
}

uint32_t l4_length(const View& v) {
    const uint32_t end = v.ip4() ? get16(v.l3 + 2) : kIp6Len + get16(v.l3 + 4);
    return end - v.key->l3_len;
}

/// SCTP: a port edit moves the CRC by as much as it moves that of the packet as it should be.
void write_sctp_port(rte_mbuf* m, const View& v, uint8_t* at, const uint8_t* bytes) {
    uint32_t stored;
    std::memcpy(&stored, v.l4 + 8, 4);
    const bool whole = v.key->ip_frag == 0;
    const uint32_t before = whole ? sctp_crc(m, v.key->l4_ofs, l4_length(v)) : 0;
    std::memcpy(at, bytes, 2);
    if (whole) {
        stored ^= before ^ sctp_crc(m, v.key->l4_ofs, l4_length(v));
        std::memcpy(v.l4 + 8, &stored, 4);
    }
}

void set_l4_word(rte_mbuf* m, const View& v, bool dst, uint64_t value, uint64_t mask) {
    if (!v.l4) {
        return;  // a later or truncated fragment: OVS leaves it alone, too
    }
    const uint8_t proto = v.key->ip_proto;
    uint8_t bytes[2];
    if (proto == kProtoIcmp || proto == kProtoIcmp6) {
        std::memcpy(bytes, v.l4, 2);
        bytes[dst] = static_cast<uint8_t>((bytes[dst] & ~mask) | value);
        write_l4(v, v.l4, bytes, 2);
        return;
    }
    uint8_t* at = v.l4 + (dst ? 2 : 0);
    put16(bytes, static_cast<uint32_t>((get16(at) & ~mask) | value));
    if (proto == kProtoSctp) {
        write_sctp_port(m, v, at, bytes);
    } else {
        write_l4(v, at, bytes, 2);
    }
}

/// The MTU that an ICMP error reports.
void set_icmp_mtu(const View& v, uint64_t value, uint64_t mask) {
    const bool icmp6 = v.key->ip_proto == kProtoIcmp6;
    if (!v.l4 || (!icmp6 && v.key->ip_proto != kProtoIcmp)) {
        return;  // not an ICMP message: OVN lets it pass as it is
    }
    const unsigned len = icmp6 ? 4 : 2;
    uint8_t* at = v.l4 + kIcmpLen - len;
    uint8_t bytes[4];
    if (icmp6) {
        put32(bytes, static_cast<uint32_t>((get32(at) & ~mask) | value));
    } else {
        put16(bytes, static_cast<uint32_t>((get16(at) & ~mask) | value) & 0xffff);
    }
    write_l4(v, at, bytes, len);
}

/// The source address of the packet that an ICMPv4 error quotes, its header checksum included.
void set_icmp_inner_src(const rte_mbuf* m, const View& v, uint64_t value, uint64_t mask) {
    uint8_t* inner = v.l4 ? v.l4 + kIcmpLen : nullptr;
    if (!inner || v.key->ip_proto != kProtoIcmp ||
        v.key->l4_ofs + kIcmpLen + kIp4MinLen > m->data_len || inner[0] >> 4 != 4) {
        return;
    }
    uint8_t before[4];
    uint8_t bytes[4];
    std::memcpy(before, inner + 12, 4);
    put32(bytes, static_cast<uint32_t>((get32(before) & ~mask) | value));
    uint8_t sum[2];
    std::memcpy(sum, inner + 10, 2);
    fix(sum, before, bytes, 4, false);
    write_l4(v, inner + 10, sum, 2);
    write_l4(v, inner + 12, bytes, 4);
}

/// The address in ND option `type`, or null.
uint8_t* nd_option(const View& v, rte_mbuf* m, uint8_t type) {
    const uint32_t end = std::min<uint32_t>(m->data_len, v.key->l4_ofs + l4_length(v));
    uint32_t at = v.key->l4_ofs + kNdLen;
    while (at + 8 <= end && v.l2[at + 1] != 0) {
        if (v.l2[at] == type && v.l2[at + 1] == 1) {
            return v.l2 + at + 2;
        }
        at += v.l2[at + 1] * 8u;
    }
    return nullptr;
}

bool set_nd_lla(rte_mbuf* m, const View& v, uint8_t type, uint64_t value, uint64_t mask) {
    if (!(v.key->kinds & kind::kNd)) {
        return false;
    }
    if (uint8_t* at = nd_option(v, m, type)) {
        uint8_t bytes[6];
        put48(bytes, (get48(at) & ~mask) | value);
        write_l4(v, at, bytes, 6);
    }
    return true;
}

bool set_arp(const View& v, unsigned offset, unsigned len, uint64_t value, uint64_t mask) {
    if (!(v.key->kinds & kind::kArp)) {
        return false;
    }
    uint8_t* at = v.l3 + offset;
    switch (len) {
    case 2: put16(at, static_cast<uint32_t>((get16(at) & ~mask) | value)); break;
    case 4: put32(at, static_cast<uint32_t>((get32(at) & ~mask) | value)); break;
    default: put48(at, (get48(at) & ~mask) | value); break;
    }
    return true;
}

bool set_mac(uint8_t* at, uint64_t value, uint64_t mask) {
    put48(at, (get48(at) & ~mask) | value);
    return true;
}

bool set_ip4_address(const View& v, unsigned offset, uint64_t value, uint64_t mask) {
    if (!v.ip4()) {
        return false;
    }
    uint8_t bytes[4];
    put32(bytes, static_cast<uint32_t>((get32(v.l3 + offset) & ~mask) | value));
    write_address(v, v.l3 + offset, bytes, 4);
    return true;
}

bool set_ttl(const View& v, uint64_t value, uint64_t mask) {
    if (v.ip6()) {
        v.l3[7] = static_cast<uint8_t>((v.l3[7] & ~mask) | value);
        return true;
    }
    if (!v.ip4()) {
        return false;
    }
    const uint8_t bytes[2] = {static_cast<uint8_t>((v.l3[8] & ~mask) | value), v.l3[9]};
    write_ip4(v, v.l3 + 8, bytes, 2);
    return true;
}

bool set_ip_tos(const View& v, uint64_t value, uint64_t mask) {
    if (!v.ip4() && !v.ip6()) {
        return false;
    }
    const uint8_t old = v.ip4() ? v.l3[1] : static_cast<uint8_t>(get16(v.l3) >> 4);
    set_tos(v.l3, v.ip6(), static_cast<uint8_t>((old & ~mask) | value));
    return true;
}

bool set_vlan_tci(rte_mbuf* m, PacketKey* key, uint64_t value, uint64_t mask) {
    const bool tagged = key->kinds & kind::kVlan;
    uint8_t* at = rte_pktmbuf_mtod_offset(m, uint8_t*, 14);
    const uint32_t old = tagged ? get16(at) | kVlanPresent : 0u;
    const auto tci = static_cast<uint16_t>((old & ~mask) | value);
    if (!(tci & kVlanPresent)) {
        if (tagged) {
            pop_vlan(m, key);
        }
        return true;
    }
    if (!tagged) {
        return push_vlan(m, key, tci);
    }
    put16(at, static_cast<uint32_t>((tci & ~kVlanPresent) | (get16(at) & kVlanPresent)));
    return true;
}

}  // namespace

void pull_up(rte_mbuf* m, uint16_t want) {
    while (m->data_len < want && m->next) {
        rte_mbuf* next = m->next;
        const uint16_t missing = static_cast<uint16_t>(want - m->data_len);
        const uint16_t n = std::min({missing, next->data_len, rte_pktmbuf_tailroom(m)});
        if (n == 0 && next->data_len != 0) {
            return;
        }
        std::memcpy(rte_pktmbuf_mtod_offset(m, uint8_t*, m->data_len),
                    rte_pktmbuf_mtod(next, uint8_t*), n);
        m->data_len = static_cast<uint16_t>(m->data_len + n);
        next->data_off = static_cast<uint16_t>(next->data_off + n);
        next->data_len = static_cast<uint16_t>(next->data_len - n);
        if (next->data_len == 0) {
            m->next = next->next;
            --m->nb_segs;
            next->next = nullptr;
            next->nb_segs = 1;
            rte_pktmbuf_free_seg(next);
        }
    }
}

void set_tos(uint8_t* l3, bool ip6, uint8_t tos) {
    if (ip6) {
        put16(l3, static_cast<uint32_t>((get16(l3) & 0xf00f) | tos << 4));
        return;
    }
    const uint8_t bytes[2] = {l3[0], tos};
    fix(l3 + 10, l3, bytes, 2, false);
    l3[1] = tos;
}

bool set_field(rte_mbuf* m, PacketKey* key, Target target, uint64_t value, uint64_t mask) {
    const View v(m, key);
    switch (target) {
    case Target::kEthDst: return set_mac(v.l2, value, mask);
    case Target::kEthSrc: return set_mac(v.l2 + 6, value, mask);
    case Target::kVlanTci: return set_vlan_tci(m, key, value, mask);
    case Target::kIpTtl: return set_ttl(v, value, mask);
    case Target::kIpTos: return set_ip_tos(v, value, mask);
    case Target::kIp4Src: return set_ip4_address(v, 12, value, mask);
    case Target::kIp4Dst: return set_ip4_address(v, 16, value, mask);
    case Target::kIp6Label:
        if (!v.ip6()) {
            return false;
        }
        put32(v.l3, static_cast<uint32_t>((get32(v.l3) & ~(mask & 0xfffff)) | value));
        return true;
    case Target::kL4Src: set_l4_word(m, v, false, value, mask); return v.ip4() || v.ip6();
    case Target::kL4Dst: set_l4_word(m, v, true, value, mask); return v.ip4() || v.ip6();
    case Target::kArpOp: return set_arp(v, 6, 2, value, mask);
    case Target::kArpSha: return set_arp(v, 8, 6, value, mask);
    case Target::kArpSpa: return set_arp(v, 14, 4, value, mask);
    case Target::kArpTha: return set_arp(v, 18, 6, value, mask);
    case Target::kArpTpa: return set_arp(v, 24, 4, value, mask);
    case Target::kNdSll: return set_nd_lla(m, v, kNdOptSll, value, mask);
    case Target::kNdTll: return set_nd_lla(m, v, kNdOptTll, value, mask);
    case Target::kIcmpMtu: set_icmp_mtu(v, value, mask); return true;
    case Target::kIcmpInnerIp4Src: set_icmp_inner_src(m, v, value, mask); return true;
    case Target::kIp6Src:
    case Target::kIp6Dst:
    case Target::kNdTarget: break;
    }
    return false;
}

bool set_field16(rte_mbuf* m, PacketKey* key, Target target, const uint8_t value[16],
                 const uint8_t* mask) {
    const View v(m, key);
    uint8_t* at = target == Target::kIp6Src   ? v.l3 + 8
                  : target == Target::kIp6Dst ? v.l3 + 24
                  : v.l4                      ? v.l4 + 8
                                              : nullptr;
    const bool nd = target == Target::kNdTarget;
    if (!v.ip6() || !at || (nd && !(key->kinds & kind::kNd))) {
        return false;
    }
    uint8_t bytes[16];
    for (unsigned i = 0; i < 16; ++i) {
        bytes[i] = mask ? static_cast<uint8_t>((at[i] & ~mask[i]) | value[i]) : value[i];
    }
    if (nd) {
        write_l4(v, at, bytes, 16);
    } else {
        write_address(v, at, bytes, 16);
    }
    return true;
}

void pop_vlan(rte_mbuf* m, PacketKey* key) {
    uint8_t* data = rte_pktmbuf_mtod(m, uint8_t*);
    std::memmove(data + kVlanLen, data, 12);
    rte_pktmbuf_adj(m, kVlanLen);
    // A second tag stays in the frame but is not seen, as behind a container's tag in Open vSwitch.
    key->vlan_tci = 0;
    key->kinds &= static_cast<uint8_t>(~kind::kVlan);
    key->l2_len = static_cast<uint8_t>(key->l2_len - kVlanLen);
    key->pkt_len -= kVlanLen;
    if (key->l4_ofs) {
        key->l4_ofs = static_cast<uint16_t>(key->l4_ofs - kVlanLen);
    }
}

bool push_vlan(rte_mbuf* m, PacketKey* key, uint16_t tci) {
    uint8_t* data = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(m, kVlanLen));
    if (!data) {
        return false;
    }
    std::memmove(data, data + kVlanLen, 12);
    put16(data + 12, kTypeVlan);
    put16(data + 14, static_cast<uint32_t>(tci & ~kVlanPresent));
    key->vlan_tci = __builtin_bswap16(static_cast<uint16_t>(tci | kVlanPresent));
    key->kinds |= kind::kVlan;
    key->l2_len = static_cast<uint8_t>(key->l2_len + kVlanLen);
    key->pkt_len += kVlanLen;
    if (key->l4_ofs) {
        key->l4_ofs = static_cast<uint16_t>(key->l4_ofs + kVlanLen);
    }
    return true;
}

bool set_vlan_vid(rte_mbuf* m, PacketKey* key, uint16_t tci) {
    if (!(key->kinds & kind::kVlan)) {
        return push_vlan(m, key, tci);
    }
    uint8_t* at = rte_pktmbuf_mtod_offset(m, uint8_t*, 14);
    put16(at, static_cast<uint32_t>((get16(at) & ~kVlanVid) | (tci & kVlanVid)));
    return true;
}

}  // namespace sluice::edit
