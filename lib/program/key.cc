// SPDX-License-Identifier: Apache-2.0
#include "lib/program/key.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

uint32_t load_be32(const uint8_t* p) {
    uint32_t v;
    std::memcpy(&v, p, 4);
    return ntohl(v);
}

void load_mac(const uint8_t* p, uint32_t* slots) {
    slots[0] = static_cast<uint32_t>(p[0]) << 8 | p[1];
    slots[1] = load_be32(p + 2);
}

void load_ip6(const uint8_t* p, uint32_t* slots) {
    for (unsigned i = 0; i < 4; ++i) {
        slots[i] = load_be32(p + 4 * i);
    }
}

/// Ors the low `bytes` bytes of a slot's mask into the key at `offset`, most significant first.
void add(KeyMask* mask, const SlotMask& slots, unsigned slot, size_t offset, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) {
        mask->bytes[offset + i] |= static_cast<uint8_t>(slots.w[slot] >> 8 * (bytes - 1 - i));
    }
}

void add_mac(KeyMask* mask, const SlotMask& slots, unsigned slot, size_t offset) {
    add(mask, slots, slot, offset, 2);
    add(mask, slots, slot + 1, offset + 2, 4);
}

void add_ip6(KeyMask* mask, const SlotMask& slots, unsigned slot, size_t offset) {
    for (unsigned i = 0; i < 4; ++i) {
        add(mask, slots, slot + i, offset + 4 * i, 4);
    }
}

/// `slots` without what expand_key() leaves zero in packets of the class.
SlotMask fields_of(PacketClass packet_class, const SlotMask& slots) {
    SlotMask s = slots;
    const auto clear = [&](unsigned from, unsigned to) { std::fill(s.w + from, s.w + to, 0); };
    const bool ip4 = packet_class <= PacketClass::kIp4Other;
    const bool ip6 = !ip4 && packet_class <= PacketClass::kIp6Other;
    const bool tcp = packet_class == PacketClass::kIp4Tcp || packet_class == PacketClass::kIp6Tcp;
    const bool udp = packet_class == PacketClass::kIp4Udp || packet_class == PacketClass::kIp6Udp;
    if (!ip4) {
        clear(kSlotIp4Src, kSlotIp6Src);
    }
    if (!ip6) {
        clear(kSlotIp6Src, kSlotL4Src);
    }
    if (!ip4 && !ip6) {
        clear(kSlotIpProto, kSlotIp4Src);
        clear(kSlotL4Src, kSlotTcpFlags);
        s.w[kSlotFlowHash] = 0;
    }
    if (!tcp) {
        s.w[kSlotTcpFlags] = 0;
    }
    if (packet_class != PacketClass::kArp) {
        clear(kSlotArpOp, kSlotNdTarget);
    }
    if (!ip6 || tcp || udp) {
        clear(kSlotNdTarget, kSlotPktLen);
    }
    return s;
}

}  // namespace

PacketClass class_of(uint16_t eth_type, uint8_t ip_proto) {
    const bool ip6 = eth_type == 0x86dd;
    if (ip6 || eth_type == 0x0800) {
        const unsigned l4 = ip_proto == 6 ? 0 : ip_proto == 17 ? 1 : 2;
        return static_cast<PacketClass>(ip6 * 3 + l4);
    }
    return eth_type == 0x0806 || eth_type == 0x8035 ? PacketClass::kArp : PacketClass::kOther;
}

KeyMask key_mask_of(const SlotMask& slots, PacketClass packet_class) {
    const SlotMask s = fields_of(packet_class, slots);
    KeyMask m;
    add_mac(&m, s, kSlotEthDst, offsetof(PacketKey, eth_dst));
    add_mac(&m, s, kSlotEthSrc, offsetof(PacketKey, eth_src));
    add(&m, s, kSlotEthType, offsetof(PacketKey, eth_type), 2);
    add(&m, s, kSlotVlanTci, offsetof(PacketKey, vlan_tci), 2);
    add_ip6(&m, s, kSlotIp6Src, offsetof(PacketKey, ip_src));
    add_ip6(&m, s, kSlotIp6Dst, offsetof(PacketKey, ip_dst));
    add(&m, s, kSlotIp4Src, offsetof(PacketKey, ip_src), 4);
    add(&m, s, kSlotIp4Dst, offsetof(PacketKey, ip_dst), 4);
    add(&m, s, kSlotArpSpa, offsetof(PacketKey, ip_src), 4);
    add(&m, s, kSlotArpTpa, offsetof(PacketKey, ip_dst), 4);
    add_mac(&m, s, kSlotArpSha, offsetof(PacketKey, ip_src) + 4);
    add_mac(&m, s, kSlotArpTha, offsetof(PacketKey, ip_dst) + 4);
    add(&m, s, kSlotArpOp, offsetof(PacketKey, l4_src), 2);
    add(&m, s, kSlotIpProto, offsetof(PacketKey, ip_proto), 1);
    add(&m, s, kSlotIpTtl, offsetof(PacketKey, ip_ttl), 1);
    add(&m, s, kSlotIpDscp, offsetof(PacketKey, ip_tos), 1);
    add(&m, s, kSlotIpFrag, offsetof(PacketKey, ip_frag), 1);
    add(&m, s, kSlotL4Src, offsetof(PacketKey, l4_src), 2);
    add(&m, s, kSlotL4Dst, offsetof(PacketKey, l4_dst), 2);
    if (s.w[kSlotL4Src] | s.w[kSlotL4Dst]) {
        m.bytes[offsetof(PacketKey, ip_frag)] = 0xff;  // see expand_key()
    }
    add(&m, s, kSlotTcpFlags, offsetof(PacketKey, tcp_flags), 2);
    add(&m, s, kSlotIp6Label, offsetof(PacketKey, ip6_label), 4);
    if (s.w[kSlotPktLen]) {
        m.bytes[offsetof(PacketKey, len_class)] = 0xff;
    }
    if (s.w[kSlotFlowHash]) {
        // The hash is a function of these; a program that depends on it depends on them.
        std::memset(&m.bytes[offsetof(PacketKey, ip_src)], 0xff, 32);
        m.bytes[offsetof(PacketKey, ip_proto)] = 0xff;
        m.bytes[offsetof(PacketKey, ip_frag)] = 0xff;
        std::memset(&m.bytes[offsetof(PacketKey, l4_src)], 0xff, 4);
    }
    // Every program depends on what the frame is: protocol decides which fields exist at all.
    m.bytes[offsetof(PacketKey, eth_type)] = 0xff;
    m.bytes[offsetof(PacketKey, eth_type) + 1] = 0xff;
    m.bytes[offsetof(PacketKey, kinds)] = 0xff;
    if (packet_class <= PacketClass::kIp6Other) {
        m.bytes[offsetof(PacketKey, ip_proto)] = 0xff;
    }
    for (unsigned i = kSlotNdTarget; i < kSlotPktLen; ++i) {
        m.reads_nd |= s.w[i] != 0;
    }
    if (s.w[kSlotUses] & uses::kConntrack) {
        m.reads_ct = true;
    }
    return m;
}

KeyMasks key_masks_of(const ClassReads& reads) {
    KeyMasks masks;
    for (unsigned i = 0; i < kPacketClasses; ++i) {
        masks.of[i] = key_mask_of(reads[i], static_cast<PacketClass>(i));
    }
    return masks;
}

void expand_key(const PacketKey& key, State* state) {
    uint32_t* w = state->w;
    std::memset(w + kSlotEthSrc, 0, (kSlots - kSlotEthSrc) * sizeof *w);
    load_mac(key.eth_dst, w + kSlotEthDst);
    load_mac(key.eth_src, w + kSlotEthSrc);
    w[kSlotEthType] = ntohs(key.eth_type);
    w[kSlotVlanTci] = ntohs(key.vlan_tci);
    w[kSlotPktLen] = key.pkt_len;
    w[kSlotFlowHash] = key.flow_hash;
    if (key.kinds & kind::kArp) {
        w[kSlotArpOp] = ntohs(key.l4_src);
        w[kSlotArpSpa] = load_be32(key.ip_src);
        w[kSlotArpTpa] = load_be32(key.ip_dst);
        load_mac(key.ip_src + 4, w + kSlotArpSha);
        load_mac(key.ip_dst + 4, w + kSlotArpTha);
        return;
    }
    if (!(key.kinds & (kind::kIp4 | kind::kIp6))) {
        return;
    }
    w[kSlotIpProto] = key.ip_proto;
    w[kSlotIpTtl] = key.ip_ttl;
    w[kSlotIpDscp] = key.ip_tos;
    w[kSlotIpFrag] = key.ip_frag;
    // Flows see no ports in any fragment, the first one included, as in Open vSwitch ("frag
    // normal").
    w[kSlotL4Src] = key.ip_frag ? 0 : ntohs(key.l4_src);
    w[kSlotL4Dst] = key.ip_frag ? 0 : ntohs(key.l4_dst);
    w[kSlotTcpFlags] = ntohs(key.tcp_flags);
    if (key.kinds & kind::kIp4) {
        w[kSlotIp4Src] = load_be32(key.ip_src);
        w[kSlotIp4Dst] = load_be32(key.ip_dst);
        return;
    }
    load_ip6(key.ip_src, w + kSlotIp6Src);
    load_ip6(key.ip_dst, w + kSlotIp6Dst);
    w[kSlotIp6Label] = ntohl(key.ip6_label);
    if (key.kinds & kind::kNd) {
        load_ip6(key.nd_target, w + kSlotNdTarget);
        load_mac(key.nd_sll, w + kSlotNdSll);
        load_mac(key.nd_tll, w + kSlotNdTll);
    }
}

}  // namespace sluice
