// SPDX-License-Identifier: Apache-2.0
// PacketKey: what the parser reads from a frame, packed so that the flow cache compares one line.
//
// What. Line 0 (64 bytes) holds the header fields in wire order; `context` in line 1 says where
// the packet entered (a VIF entry point, or a tunnel's datapath, inport and outport). The cache key
// is (context, line 0 & mask); the mask is a constant of the published pipeline: the bits that any
// table reachable from the entry can look at in packets of this class (key_masks_of). ND fields lie
// in line 1 and are never part of a cache key: a packet with ND fields that the pipeline reads
// walks every time. Protocol overlays: ARP and RARP keep op in l4_src, spa/tpa in the first four
// bytes of ip_src/ip_dst and sha/tha in the six bytes after. IPv4 uses the first four bytes.
// Threads: lives in the mbuf's private area, so it belongs to the worker that holds the mbuf.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/program/state.h"

namespace sluice {

/// What the key's `kinds` byte says about the packet (set by parse, read by walk and apply).
namespace kind {
inline constexpr uint8_t kIp4 = 1;
inline constexpr uint8_t kIp6 = 2;
inline constexpr uint8_t kArp = 4;    ///< ARP or RARP with Ethernet/IPv4 sizes
inline constexpr uint8_t kNd = 8;     ///< NS or NA with valid length, hop limit and code not judged
inline constexpr uint8_t kL4 = 16;    ///< l4_src/l4_dst valid (not a later fragment, not truncated)
inline constexpr uint8_t kVlan = 32;  ///< one 802.1Q tag was read into vlan_tci
}  // namespace kind

struct alignas(64) PacketKey {
    // Line 0: the maskable part. Multi-byte fields in network order unless said otherwise.
    uint8_t eth_dst[6];
    uint8_t eth_src[6];
    uint16_t eth_type;  ///< innermost after at most one 802.1Q tag
    uint16_t vlan_tci;  ///< 0x1000 set when a tag is present, else 0
    uint8_t ip_src[16];
    uint8_t ip_dst[16];
    uint8_t ip_proto;  ///< after IPv6 extension headers
    uint8_t ip_ttl;
    uint8_t ip_tos;
    uint8_t ip_frag;  ///< bit 0 any fragment, bit 1 not the first
    uint16_t l4_src;
    uint16_t l4_dst;
    uint16_t tcp_flags;  ///< 12 bits
    uint8_t len_class;   ///< how many of the pipeline's check_pkt_larger lengths the frame exceeds
    uint8_t kinds;       ///< kind:: bits, always part of the cache key
    uint32_t ip6_label;
    // Line 1: entry and what never enters a cache key.
    uint64_t context;  ///< see context_of_* below
    uint8_t nd_target[16];
    uint8_t nd_sll[6];
    uint8_t nd_tll[6];
    uint32_t pkt_len;    ///< host order, without FCS
    uint32_t flow_hash;  ///< host order; over addresses, protocol and ports; 0: not IP. Valid with
                         ///< has_flow_hash, else flow_hash_of() makes it (datapath/stages.h)
    uint32_t pkt_mark;
    uint8_t l2_len;    ///< bytes up to the L3 header, tag included
    uint16_t l3_len;   ///< IPv4 header, or IPv6 header with extension headers
    uint16_t l4_ofs;   ///< from the start of the frame; 0 when kL4 is not set
    uint16_t in_port;  ///< PortId
    uint8_t has_flow_hash;
    uint8_t pad[7];
};
static_assert(sizeof(PacketKey) == 128);
static_assert(offsetof(PacketKey, ip_src) == 16 && offsetof(PacketKey, ip_proto) == 48);
static_assert(offsetof(PacketKey, context) == 64);

/// VIF, container, localnet...: the entry point's id in the published pipeline.
constexpr uint64_t context_of_entry(uint32_t entry_id) {
    return uint64_t{1} << 63 | entry_id;
}
/// Tunnel: keys as they came. datapath 24 bits, inport 15 bits, outport 16 bits.
constexpr uint64_t context_of_tunnel(uint32_t datapath_key, uint32_t inport, uint32_t outport) {
    return uint64_t{datapath_key} << 32 | uint64_t{inport & 0x7fffu} << 16 | (outport & 0xffffu);
}

struct alignas(64) KeyMask {
    std::array<uint8_t, 64> bytes{};
    bool reads_nd = false;  ///< nd.* is looked at: packets with kind::kNd bypass the cache
    /// Conntrack is asked: only whole TCP and UDP packets may use the cache. Everything else has a
    /// connection that line 0 does not tell (ICMP identifiers, fragments).
    bool reads_ct = false;
    bool operator==(const KeyMask&) const = default;
};

/// Kinds of packets that need not look at each other's fields: what a TCP packet's program depends
/// on does not grow by a rule for ARP. A function of eth_type and ip_proto, which is why masks of
/// IP packets always have the protocol.
enum class PacketClass : uint8_t {
    kIp4Tcp,
    kIp4Udp,
    kIp4Other,
    kIp6Tcp,
    kIp6Udp,
    kIp6Other,
    kArp,
    kOther,
};
inline constexpr unsigned kPacketClasses = 8;
PacketClass class_of(uint16_t eth_type, uint8_t ip_proto);  ///< eth_type in host order

using ClassReads = std::array<SlotMask, kPacketClasses>;
inline void operator|=(ClassReads& to, const ClassReads& from) {
    for (unsigned i = 0; i < kPacketClasses; ++i) {
        to[i] |= from[i];
    }
}

/// What tables reachable from an entry look at, for each class of packets.
struct KeyMasks {
    std::array<KeyMask, kPacketClasses> of;
    const KeyMask& at(PacketClass c) const { return of[static_cast<size_t>(c)]; }
    bool operator==(const KeyMasks&) const = default;
};

/// The bits of line 0 that stand for `slots`. Fields that overlay each other mask the same bytes;
/// fields that no packet of the class has do not count.
KeyMask key_mask_of(const SlotMask& slots, PacketClass packet_class);
KeyMasks key_masks_of(const ClassReads& reads);

/// Fills every header slot of `state` from `key`; logical slots (0..21) are left alone.
void expand_key(const PacketKey& key, State* state);

}  // namespace sluice
