// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <cstring>

#include "datapath/edit.h"
#include "datapath/parse_plain.h"
#include "datapath/stages.h"
#include "datapath/super_frame.h"
#include "datapath/trace.h"
#include "datapath/tunnel/geneve.h"
#include "datapath/tunnel/liveness.h"
#include "datapath/tunnel/stt.h"
#include "datapath/tunnel/vxlan.h"
#include "datapath/worker_ctx.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"
#include "lib/program/packet_sum.h"

namespace sluice {
namespace {

using namespace wire;

/// Ethernet, tag, IPv6 with extensions, UDP, Geneve with all options, inner headers.
constexpr uint16_t kOuterSpan = 512;

bool is_our_address(const PacketKey& key, const Underlay& underlay) {
    if (key.kinds & kind::kIp4) {
        const uint32_t ip = get32(key.ip_dst);
        for (const Underlay::Address4& own : underlay.ip4) {
            if (own.ip == ip) {
                return true;
            }
        }
    } else if (key.kinds & kind::kIp6) {
        for (const Underlay::Address6& own : underlay.ip6) {
            if (std::memcmp(own.ip.bytes.data(), key.ip_dst, 16) == 0) {
                return true;
            }
        }
    }
    return false;
}

/// What a packet's outer header was found to be.
struct Outer {
    uint32_t udp_len = 0;
    bool is_summed = false;  ///< the UDP checksum is there and right
    uint16_t body_sum = 0;   ///< then: sum of everything from the UDP header on
};

bool udp_checksum_good(const rte_mbuf* m, const PacketKey& key, const uint8_t* udp, Outer* outer) {
    const uint8_t pseudo[4] = {0, kProtoUdp, udp[4], udp[5]};
    const unsigned n = key.kinds & kind::kIp6 ? 16 : 4;
    uint64_t sum = checksum::sum(key.ip_src, n);
    sum = checksum::sum(key.ip_dst, n, sum);
    sum = checksum::sum(pseudo, sizeof pseudo, sum);
    outer->is_summed = sum_packet(m, key.l4_ofs, outer->udp_len, &outer->body_sum) &&
                       checksum::fold(sum + outer->body_sum) == 0xffff;
    return outer->is_summed;
}

/// Everything about the outer packet that must be right before its payload is looked at. `least`:
/// bytes of the tunnel's own header; `truncated`: what a shorter packet is called.
Drop check_outer(const rte_mbuf* m, const PacketKey& key, const Underlay& underlay, unsigned least,
                 Drop truncated, Outer* outer) {
    const uint8_t* data = rte_pktmbuf_mtod(m, const uint8_t*);
    const uint8_t* l3 = data + key.l2_len;
    const uint8_t* udp = data + key.l4_ofs;
    const bool ip6 = key.kinds & kind::kIp6;
    if (!ip6 && !checksum::good(l3, key.l3_len)) {
        return Drop::k_outer_checksum;
    }
    const uint32_t ip_len = ip6 ? kIp6Len + get16(l3 + 4) : get16(l3 + 2);
    outer->udp_len = get16(udp + 4);
    if (outer->udp_len < kUdpLen + least || outer->udp_len > ip_len - key.l3_len) {
        return truncated;
    }
    if (get16(udp + 6) == 0) {
        return ip6 && !underlay.accept_zero_csum6 ? Drop::k_outer_zero_checksum6 : Drop::k_none;
    }
    return udp_checksum_good(m, key, udp, outer) ? Drop::k_none : Drop::k_outer_checksum;
}

/// The inner TCP checksum, judged by what the outer one said: what that covered less the headers in
/// front is the sum of the segment.
void judge_inner(rte_mbuf* m, const PacketKey& key, const Outer& outer, uint32_t header_len) {
    const uint8_t* data = rte_pktmbuf_mtod(m, const uint8_t*);
    const uint8_t* l3 = data + key.l2_len;
    const bool ip6 = key.kinds & kind::kIp6;
    if (m->nb_segs != 1 || !(key.kinds & kind::kL4) || key.ip_proto != kProtoTcp || key.ip_frag) {
        return;
    }
    const uint32_t end = key.l2_len + (ip6 ? kIp6Len + get16(l3 + 4) : uint32_t{get16(l3 + 2)});
    if (end != m->pkt_len) {
        return;
    }
    const uint8_t* udp = data - header_len - kUdpLen;
    const auto before = static_cast<uint16_t>(
        ~checksum::fold(checksum::sum(udp, kUdpLen + header_len + key.l4_ofs)));
    const uint32_t pseudo = pseudo_sum(l3, ip6, kProtoTcp, end - key.l4_ofs);
    if (checksum::fold(uint64_t{outer.body_sum} + before + pseudo) == 0xffff) {
        m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    }
}

/// Cuts the outer header off, parses the inner packet, brings the outer congestion mark over.
Drop unwrap(rte_mbuf* m, const Outer& outer, uint32_t header_len, Drop truncated) {
    PacketKey& key = meta_of(m).key;
    const uint8_t outer_ecn = key.ip_tos & 3;
    const uint32_t end = key.l4_ofs + outer.udp_len;
    const uint32_t cut = key.l4_ofs + kUdpLen + header_len;
    if (m->pkt_len > end) {
        rte_pktmbuf_trim(m, static_cast<uint16_t>(m->pkt_len - end));
    }
    if (!rte_pktmbuf_adj(m, static_cast<uint16_t>(cut))) {
        return truncated;
    }
    // What the device said of checksums was about the outer header; conntrack asks for the inner's.
    m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK);
    const uint16_t port = key.in_port;
    if (!parse_packet(m, &key)) {
        return Drop::k_runt_frame;
    }
    key.in_port = port;
    if (outer.is_summed) {
        judge_inner(m, key, outer, header_len);
    }
    const bool ip6 = key.kinds & kind::kIp6;
    if (!ip6 && !(key.kinds & kind::kIp4)) {
        return Drop::k_none;
    }
    uint8_t ecn;
    if (!decapsulate_ecn(outer_ecn, key.ip_tos, &ecn)) {
        return Drop::k_ecn_not_ect;
    }
    if (ecn != (key.ip_tos & 3)) {
        key.ip_tos = static_cast<uint8_t>((key.ip_tos & ~3) | ecn);
        edit::set_tos(rte_pktmbuf_mtod_offset(m, uint8_t*, key.l2_len), ip6, key.ip_tos);
    }
    return Drop::k_none;
}

void trace_decap(WorkerCtx& ctx, const Item& item) {
    TraceRecord record{.kind = TraceRecord::Kind::kDecap};
    record.datapath = item.start.datapath->key;
    record.inport = item.start.inport;
    record.outport = item.start.outport;
    record.key = meta_of(item.m).key;
    ctx.trace->records.push_back(std::move(record));
}

/// From another chassis: the packet has been through the ingress pipeline there.
Drop enter_output(WorkerCtx& ctx, rte_mbuf* m, uint32_t datapath_key, uint32_t inport,
                  uint32_t outport, Item* item) {
    const Pipeline& pipeline = *ctx.pipeline;
    const Datapath* const* datapath = pipeline.by_key.find(datapath_key);
    if (!datapath) {
        return Drop::k_unknown_datapath;
    }
    PacketKey& key = meta_of(m).key;
    key.context = context_of_tunnel(datapath_key, inport, outport);
    item->m = m;
    item->start = {WalkStart::Kind::kOutputLocal, *datapath, inport, outport, flag::kTunnelRx};
    item->mask = mask_for(*pipeline.tunnel_masks, key);
    return Drop::k_none;
}

/// From a VTEP gateway: the packet is as the gateway's port received it.
Drop enter_ingress(WorkerCtx& ctx, rte_mbuf* m, const EntryPoint& entry, Item* item) {
    const Datapath* datapath = ctx.pipeline->datapath(entry.datapath);
    if (!datapath) {
        return Drop::k_unknown_datapath;
    }
    PacketKey& key = meta_of(m).key;
    key.context = context_of_entry(entry.id);
    item->m = m;
    item->start = {WalkStart::Kind::kIngress, datapath, entry.inport, 0, entry.flags};
    item->mask = entry.masks ? mask_for(*entry.masks, key) : nullptr;
    return Drop::k_none;
}

/// Key 0 is no datapath's: BFD of the tunnel itself, or nothing that is known. What was taken over
/// leaves no packet in the item.
Drop receive_bare(WorkerCtx& ctx, rte_mbuf* m, TunnelType type, const Outer& said,
                  uint32_t header_len, Item* item) {
    const OuterEnds ends = outer_ends_of(meta_of(m).key, type);
    const Drop reason = unwrap(m, said, header_len, Drop::k_runt_frame);
    if (reason != Drop::k_none) {
        return reason;
    }
    item->m = nullptr;
    return take_tunnel_bfd(ctx, m, ends) ? Drop::k_none : Drop::k_unknown_datapath;
}

Drop receive_geneve(WorkerCtx& ctx, rte_mbuf* m, const Underlay& underlay, Item* item) {
    edit::pull_up(m, kOuterSpan);
    const PacketKey& key = meta_of(m).key;
    Outer outer;
    Drop reason = check_outer(m, key, underlay, kGeneveLen, Drop::k_geneve_truncated, &outer);
    if (reason != Drop::k_none) {
        return reason;
    }
    const uint32_t at = key.l4_ofs + kUdpLen;
    const uint32_t len = std::min<uint32_t>(outer.udp_len - kUdpLen, m->data_len - at);
    GeneveHeader geneve;
    reason = parse_geneve(rte_pktmbuf_mtod_offset(m, const uint8_t*, at), len,
                          ctx.pipeline->legacy_geneve_rx, &geneve);
    if (SLUICE_UNLIKELY(reason == Drop::k_none && geneve.vni == 0)) {
        return receive_bare(ctx, m, TunnelType::kGeneve, outer, geneve.length, item);
    }
    if (reason == Drop::k_none) {
        reason = unwrap(m, outer, geneve.length, Drop::k_geneve_truncated);
    }
    return reason == Drop::k_none
               ? enter_output(ctx, m, geneve.vni, geneve.inport, geneve.outport, item)
               : reason;
}

/// The VTEP gateway that a packet is from, when its VNI is a network that the gateway serves.
const EntryPoint* find_ramp(const Pipeline& pipeline, uint32_t vni, const PacketKey& outer) {
    const std::vector<RampEntry>* const* list = pipeline.ramps.find(vni);
    if (!list) {
        return nullptr;
    }
    uint8_t remote[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (outer.kinds & kind::kIp6) {
        std::memcpy(remote, outer.ip_src, 16);
    } else {
        std::memcpy(remote + 12, outer.ip_src, 4);
    }
    for (const RampEntry& ramp : **list) {
        if (std::memcmp(ramp.remote.bytes.data(), remote, 16) == 0) {
            return ramp.entry;
        }
    }
    return nullptr;
}

Drop receive_vxlan(WorkerCtx& ctx, rte_mbuf* m, const Underlay& underlay, Item* item) {
    edit::pull_up(m, kOuterSpan);
    const PacketKey& key = meta_of(m).key;
    Outer outer;
    Drop reason = check_outer(m, key, underlay, kVxlanLen, Drop::k_vxlan_truncated, &outer);
    if (reason != Drop::k_none) {
        return reason;
    }
    const uint32_t at = key.l4_ofs + kUdpLen;
    const uint32_t len = std::min<uint32_t>(outer.udp_len - kUdpLen, m->data_len - at);
    uint32_t vni = 0;
    reason = parse_vxlan(rte_pktmbuf_mtod_offset(m, const uint8_t*, at), len, &vni);
    if (reason != Drop::k_none) {
        return reason;
    }
    if (SLUICE_UNLIKELY(vni == 0)) {
        return receive_bare(ctx, m, TunnelType::kVxlan, outer, kVxlanLen, item);
    }
    const EntryPoint* ramp = find_ramp(*ctx.pipeline, vni, key);
    reason = unwrap(m, outer, kVxlanLen, Drop::k_vxlan_truncated);
    if (reason != Drop::k_none) {
        return reason;
    }
    if (ramp) {
        return enter_ingress(ctx, m, *ramp, item);
    }
    const VxlanCoordinates coordinates = split_vni(vni);
    return enter_output(ctx, m, coordinates.datapath, 0, coordinates.outport, item);
}

UnderlayVerdict finish(WorkerCtx& ctx, rte_mbuf* m, const Item& item, Drop reason) {
    if (SLUICE_LIKELY(reason == Drop::k_none)) {
        ctx.counters->add(Counter::k_tunnel_rx);
        if (SLUICE_UNLIKELY(!item.m)) {
            return UnderlayVerdict::kDropped;  // taken over
        }
        if (SLUICE_UNLIKELY(ctx.trace != nullptr)) {
            trace_decap(ctx, item);
        }
        return UnderlayVerdict::kTunnel;
    }
    ctx.drop_packet(m, reason);
    return UnderlayVerdict::kDropped;
}

// A plain tunnel packet up to its inner frame.
constexpr uint32_t kPlainIp = kEthLen;
constexpr uint32_t kPlainUdp = kPlainIp + kIp4MinLen;
constexpr uint32_t kPlainGeneve = kPlainUdp + kUdpLen;
constexpr uint32_t kPlainOption = kPlainGeneve + kGeneveLen;
constexpr uint32_t kOvnOptionLen = 8;
constexpr uint32_t kPlainHeader = kPlainOption + kOvnOptionLen;

/// The headers at `p`, `len` bytes with the inner frame, are those of a plain tunnel packet.
bool is_plain_outer(const uint8_t* p, uint32_t len, const PlainUnderlay& underlay) {
    constexpr uint64_t kMac = 0xffffffffffff;
    constexpr uint32_t kCritical = uint32_t{kGeneveCritical} << 8;
    constexpr uint32_t kBase = 2 | uint32_t{plain::swap(kTypeTeb)} << 16;  // 8 bytes of options
    constexpr uint32_t kOption = plain::swap(kOptClassOvn) | uint32_t{kOptTypeOvn} << 16 | 1u << 24;
    const uint32_t total = get16(p + kPlainIp + 2);
    return ((plain::load64(p) ^ underlay.mac) & kMac) == 0 &&
           plain::load16(p + 12) == plain::swap(kTypeIp4) &&
           plain::load32(p + kPlainIp + 16) == underlay.ip &&
           (plain::load16(p + kPlainIp) & plain::swap(0xff03)) == plain::swap(0x4500) &&
           (plain::load16(p + kPlainIp + 6) & plain::swap(0x3fff)) == 0 &&
           p[kPlainIp + 9] == kProtoUdp && plain::load16(p + kPlainUdp + 2) == underlay.port &&
           total == len - kPlainIp && get16(p + kPlainUdp + 4) == total - kIp4MinLen &&
           (plain::load32(p + kPlainGeneve) & ~kCritical) == kBase &&
           plain::load32(p + kPlainOption) == kOption && checksum::good(p + kPlainIp, kIp4MinLen);
}

/// The UDP checksum is absent or right.
bool is_plain_sum_good(const uint8_t* p, uint32_t len, Outer* outer) {
    const uint8_t* udp = p + kPlainUdp;
    if (plain::load16(udp + 6) == 0) {
        return true;
    }
    outer->body_sum = checksum::fold(checksum::sum(udp, len - kPlainUdp));
    outer->is_summed =
        checksum::fold(uint64_t{outer->body_sum} +
                       pseudo_sum(p + kPlainIp, false, kProtoUdp, len - kPlainUdp)) == 0xffff;
    return outer->is_summed;
}

}  // namespace

bool receive_plain_tunnel(WorkerCtx& ctx, rte_mbuf* m, const PlainUnderlay& underlay, Item* item) {
    const auto* p = rte_pktmbuf_mtod(m, const uint8_t*);
    const uint32_t len = m->data_len;
    Outer outer;
    if (SLUICE_UNLIKELY(m->nb_segs != 1 || is_super(m) || len < kPlainHeader + kEthLen ||
                        !is_plain_outer(p, len, underlay) || !is_plain_sum_good(p, len, &outer))) {
        return false;
    }
    const uint32_t datapath_key = get24(p + kPlainGeneve + 4);
    const Datapath* const* datapath = ctx.pipeline->by_key.find(datapath_key);
    PacketMeta& meta = meta_of(m);
    PacketClass packet_class;
    const uint8_t len_class = len_class_of(*ctx.pipeline, len - kPlainHeader);
    if (SLUICE_UNLIKELY(!datapath || datapath_key == 0 ||
                        !parse_plain(p + kPlainHeader, len - kPlainHeader, len_class, &meta.key,
                                     &packet_class))) {
        return false;
    }
    const uint32_t inport = get16(p + kPlainOption + 4) & 0x7fff;
    const uint32_t outport = get16(p + kPlainOption + 6);
    m->data_off = static_cast<uint16_t>(m->data_off + kPlainHeader);
    m->data_len = static_cast<uint16_t>(len - kPlainHeader);
    m->pkt_len = len - kPlainHeader;
    m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK);
    meta.queue = 0;
    meta.key.context = context_of_tunnel(datapath_key, inport, outport);
    if (outer.is_summed) {
        judge_inner(m, meta.key, outer, kGeneveLen + kOvnOptionLen);
    }
    ctx.counters->add(Counter::k_tunnel_rx);
    item->m = m;
    item->start = {WalkStart::Kind::kOutputLocal, *datapath, inport, outport, flag::kTunnelRx};
    item->mask = &ctx.pipeline->tunnel_masks->at(packet_class);
    FlowCache::mask_key(meta.key, *item->mask, len_class, &item->key);
    return true;
}

UnderlayVerdict receive_underlay(WorkerCtx& ctx, rte_mbuf* m, const Underlay& underlay,
                                 Item* item) {
    const PacketKey& key = meta_of(m).key;
    if (key.eth_dst[0] & 1) {
        return UnderlayVerdict::kBoth;
    }
    if (underlay.mac != 0 && get48(key.eth_dst) != underlay.mac) {
        return UnderlayVerdict::kOther;
    }
    if (!is_our_address(key, underlay)) {
        return UnderlayVerdict::kHost;
    }
    const uint16_t dst = ntohs(key.l4_dst);
    const bool later6 = (key.kinds & kind::kIp6) && key.ip_proto == kProtoFragment;
    if (key.ip_frag && (key.ip_proto == kProtoUdp || later6)) {
        if (underlay.exception != kNoPort) {
            return UnderlayVerdict::kHost;  // tunnels have none; the kernel's own traffic may
        }
        ctx.drop_packet(m, Drop::k_outer_fragment);
        return UnderlayVerdict::kDropped;
    }
    if (key.ip_proto == kProtoTcp && dst == underlay.stt_port && dst != 0) {
        return receive_stt(ctx, m, underlay, item);
    }
    if (key.ip_proto != kProtoUdp || !(key.kinds & kind::kL4)) {
        return UnderlayVerdict::kHost;
    }
    if (dst == underlay.geneve_port) {
        return finish(ctx, m, *item, receive_geneve(ctx, m, underlay, item));
    }
    if (dst == underlay.vxlan_port && dst != 0) {
        return finish(ctx, m, *item, receive_vxlan(ctx, m, underlay, item));
    }
    return UnderlayVerdict::kHost;
}

}  // namespace sluice
