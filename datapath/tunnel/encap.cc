// SPDX-License-Identifier: Apache-2.0
#include "datapath/tunnel/encap.h"

#include <rte_ip.h>
#include <rte_mbuf.h>

#include <cstring>

#include "datapath/super_frame.h"
#include "datapath/tunnel/liveness.h"
#include "datapath/tunnel/mirror.h"
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

/// Copies the prebuilt header in front of the packet. What lies behind `to + len` is the packet.
void copy_header(uint8_t* to, const uint8_t* from, unsigned len) {
    constexpr unsigned kHalf = 32;
    static_assert(Tunnel::kMaxHeader == 3 * kHalf);
    if (SLUICE_LIKELY(len >= kHalf && len <= 2 * kHalf)) {
        std::memcpy(to, from, kHalf);
        std::memcpy(to + len - kHalf, from + len - kHalf, kHalf);
        return;
    }
    std::memcpy(to, from, len);
}

constexpr uint16_t swap16(uint32_t v) {
    return __builtin_bswap16(static_cast<uint16_t>(v));
}

template <typename T>
T load(const uint8_t* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <typename T>
void store(uint8_t* p, T v) {
    std::memcpy(p, &v, sizeof v);
}

// Headers are put together in registers and written once: reading back what was just written in
// smaller pieces costs more than all the rest. `from` is the prebuilt header, `l3` its copy.
void patch_ip(WorkerCtx& ctx, const Tunnel& t, const uint8_t* from, uint8_t* l3,
              const InnerIp& inner, uint32_t ip_len) {
    const auto tos = static_cast<uint8_t>(((t.tos_inherit && inner.ip ? inner.tos : t.tos) & 0xfc) |
                                          (inner.tos & 3));
    const uint8_t ttl = t.ttl_inherit && inner.ip ? inner.ttl : t.ttl;
    if (t.ip6) {
        put16(l3, static_cast<uint32_t>((get16(from) & 0xf00f) | tos << 4));
        put16(l3 + 4, ip_len - kIp6Len);
        l3[7] = ttl;
        return;
    }
    const uint32_t first = from[0] | uint32_t{tos} << 8 | uint32_t{swap16(ip_len)} << 16;
    const uint32_t second = t.df ? uint32_t{swap16(0x4000)} << 16 : swap16(ctx.next_ip_id++);
    const uint32_t third = ttl | uint32_t{from[9]} << 8;
    const uint64_t sum =
        uint64_t{first} + second + third + load<uint32_t>(from + 12) + load<uint32_t>(from + 16);
    const auto csum = static_cast<uint16_t>(~checksum::fold(sum));
    store(l3, uint64_t{first} | uint64_t{second} << 32);
    store(l3 + 8, third | uint32_t{csum} << 16);
}

void patch_udp(const Tunnel& t, uint8_t* udp, uint32_t hash, uint32_t udp_len) {
    const uint32_t port =
        t.src_port_base + (t.src_port_range ? uint64_t{hash} * t.src_port_range >> 32 : 0u);
    store(udp, swap16(port));
    store(udp + 4, uint32_t{swap16(udp_len)});
}

void patch_geneve(const Tunnel& t, uint8_t* geneve, uint64_t coordinates) {
    const bool legacy = t.option == GeneveOption::kLegacy;
    const uint32_t vni = __builtin_bswap32(static_cast<uint32_t>(coordinates >> 32) << 8);
    const uint32_t first =
        2 | (legacy ? 0u : kGeneveCritical << 8) | uint32_t{swap16(kTypeTeb)} << 16;
    const uint32_t option = swap16(legacy ? kOptClassLegacy : kOptClassOvn) |
                            (legacy ? kOptTypeLegacy : kOptTypeOvn) << 16 | 1u << 24;
    store(geneve, first | uint64_t{vni} << 32);
    store(geneve + 8,
          option | uint64_t{__builtin_bswap32(static_cast<uint32_t>(coordinates))} << 32);
}

void patch_vxlan(uint8_t* vxlan, uint64_t coordinates) {
    store(vxlan, uint64_t{__builtin_bswap32(0x08000000)} |
                     uint64_t{__builtin_bswap32(make_vni(coordinates) << 8)} << 32);
}

void patch_udp_checksum(rte_mbuf* m, const Tunnel& t, const uint8_t* l3, uint8_t* udp,
                        uint32_t udp_len) {
    const uint8_t pseudo[4] = {0, kProtoUdp, udp[4], udp[5]};
    uint64_t sum = checksum::sum(l3 + (t.ip6 ? 8 : 12), t.ip6 ? 32 : 8);
    sum = checksum::sum(pseudo, sizeof pseudo, sum);
    uint16_t body = 0;
    if (SLUICE_LIKELY(m->nb_segs == 1)) {
        // The inner frame lies as it came; its header was just put together and is read once more.
        const unsigned header = t.header_len - t.l4_ofs;
        body = checksum::fold(checksum::sum_payload(udp + header, udp_len - header) +
                              checksum::sum(udp, header));
    } else {
        sum_packet(m, t.l4_ofs, udp_len, &body);
    }
    auto csum = static_cast<uint16_t>(~checksum::fold(sum + body));
    csum = csum ? csum : 0xffff;
    std::memcpy(udp + 6, &csum, 2);
}

/// All of the outer header but its UDP checksum, for a packet of `total` bytes with it. Returns the
/// port to send by.
inline uint16_t write_outer(WorkerCtx& ctx, const Tunnel& t, const InnerIp& inner, uint32_t hash,
                            uint64_t coordinates, uint32_t total, uint8_t* outer) {
    copy_header(outer, t.header, t.header_len);
    patch_ip(ctx, t, t.header + t.l3_ofs, outer + t.l3_ofs, inner, total - t.l3_ofs);
    uint8_t* udp = outer + t.l4_ofs;
    patch_udp(t, udp, hash, total - t.l4_ofs);
    if (SLUICE_LIKELY(t.type == TunnelType::kGeneve)) {
        patch_geneve(t, udp + kUdpLen, coordinates);
    } else {
        patch_vxlan(udp + kUdpLen, coordinates);
    }
    return take_hop(t, hash, outer);
}

void count_work(WorkerCtx& ctx, uint16_t port, PortWork work, uint64_t n) {
    if (SLUICE_LIKELY(port < kMaxPorts)) {
        ctx.counters->add(port, work, n);
    }
}

/// Encapsulates a super-frame once and cuts it behind the outer header.
void send_super(WorkerCtx& ctx, rte_mbuf* m, const Tunnel& t, uint64_t coordinates) {
    const InnerIp inner(m, meta_of(m).key);
    const uint32_t hash = flow_hash_of(&meta_of(m).key, ctx.config.hash_seed);
    uint8_t bytes[Tunnel::kMaxHeader];
    const uint16_t port =
        write_outer(ctx, t, inner, hash, coordinates, t.header_len + segment_of(m), bytes);
    const OuterHeader outer{.bytes = bytes,
                            .length = t.header_len,
                            .l3 = t.l3_ofs,
                            .l4 = t.l4_ofs,
                            .ip6 = t.ip6,
                            .is_summed = t.csum || t.ip6,
                            .has_id = !t.df};
    SuperCutter cutter(ctx, m, &outer);
    while (rte_mbuf* piece = cutter.next()) {
        transmit(ctx, piece, port);
    }
    ctx.counters->add(Counter::k_tunnel_tx, cutter.pieces());
    count_work(ctx, port, PortWork::k_tx_soft_tunnel_cut, cutter.pieces());
    if (outer.is_summed) {
        count_work(ctx, port, PortWork::k_tx_soft_outer_checksum, cutter.pieces());
    }
}

/// Mirrors carry packets of wire size, and so do UDP tunnels when there is nothing to cut.
void send_pieces(WorkerCtx& ctx, rte_mbuf* m, uint32_t tunnel, uint64_t coordinates) {
    SuperCutter cutter(ctx, m);
    while (rte_mbuf* piece = cutter.next()) {
        send_by_tunnel(ctx, piece, tunnel, coordinates);
    }
}

/// Drop::k_none when the tunnel can be used for a packet of this length now.
Drop usable(WorkerCtx& ctx, const Tunnel* t, uint32_t tunnel, uint32_t pkt_len) {
    if (!t) {
        return Drop::k_remote_no_tunnel;
    }
    if (t->state == Tunnel::State::kNoRoute) {
        return Drop::k_tunnel_no_route;
    }
    if (t->state == Tunnel::State::kUnresolved) {
        Message message{};
        message.kind = Message::Kind::kTunnelMiss;
        message.port = tunnel;
        message.flow = kNoFlow;
        const bool sent = ctx.config.mailbox && ctx.config.mailbox->send(message);
        ctx.counters->add(sent ? Counter::k_messages : Counter::k_messages_lost);
        return Drop::k_tunnel_unresolved;
    }
    if (SLUICE_UNLIKELY(pkt_len > t->room)) {
        return ctx.has_told ? Drop::k_too_big : Drop::k_too_long;
    }
    return Drop::k_none;
}

}  // namespace

rte_mbuf* with_headroom(WorkerCtx& ctx, rte_mbuf* m, uint16_t need) {
    if (SLUICE_LIKELY(rte_pktmbuf_headroom(m) >= need)) {
        return m;
    }
    rte_mbuf* copy = ctx.copy(m);
    rte_pktmbuf_free(m);
    if (copy && rte_pktmbuf_headroom(copy) < need) {
        ctx.drop_packet(copy, Drop::k_no_headroom);
        return nullptr;
    }
    return copy;
}

void send_by_tunnel(WorkerCtx& ctx, rte_mbuf* m, uint32_t tunnel, uint64_t coordinates) {
    if (SLUICE_UNLIKELY(tunnel & MirrorSink::kTarget)) {
        if (is_super(m)) {
            send_pieces(ctx, m, tunnel, coordinates);
            return;
        }
        send_to_mirror(ctx, m, tunnel & ~MirrorSink::kTarget, coordinates);
        return;
    }
    if (SLUICE_UNLIKELY(tunnel & TunnelSet::kTarget) &&
        !choose_live(ctx, m, &tunnel, coordinates)) {
        return;
    }
    const Tunnel* t =
        tunnel < ctx.pipeline->tunnels.size() ? ctx.pipeline->tunnels[tunnel] : nullptr;
    SuperLayout at;
    uint32_t length = m->pkt_len;
    const bool is_cut = SLUICE_UNLIKELY(is_super(m)) && !(t && t->type == TunnelType::kStt);
    if (SLUICE_UNLIKELY(is_cut)) {
        if (!read_super(m, &at) || at.payload > SuperCutter::kMaxHeaders) {
            send_pieces(ctx, m, tunnel, coordinates);
            return;
        }
        length = at.payload + segment_of(m);
    }
    const Drop reason = usable(ctx, t, tunnel, length);
    if (SLUICE_UNLIKELY(reason != Drop::k_none)) {
        ctx.drop_packet(m, reason, static_cast<uint32_t>(coordinates >> 32),
                        static_cast<uint32_t>(coordinates >> 16) & 0x7fff);
        return;
    }
    if (SLUICE_UNLIKELY(t->type == TunnelType::kStt)) {
        send_stt(ctx, m, *t, coordinates);
        return;
    }
    if (SLUICE_UNLIKELY(is_cut)) {
        send_super(ctx, m, *t, coordinates);
        return;
    }
    const InnerIp inner(m, meta_of(m).key);
    const uint32_t hash = flow_hash_of(&meta_of(m).key, ctx.config.hash_seed);
    m = with_headroom(ctx, m, t->header_len);
    if (!m) {
        return;
    }
    auto* outer = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(m, t->header_len));
    const uint16_t port = write_outer(ctx, *t, inner, hash, coordinates, m->pkt_len, outer);
    if (t->csum || t->ip6) {
        patch_udp_checksum(m, *t, outer + t->l3_ofs, outer + t->l4_ofs, m->pkt_len - t->l4_ofs);
        count_work(ctx, port, PortWork::k_tx_soft_outer_checksum, 1);
    }
    ctx.counters->add(Counter::k_tunnel_tx);
    transmit(ctx, m, port);
}

}  // namespace sluice
