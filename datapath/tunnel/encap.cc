// SPDX-License-Identifier: Apache-2.0
#include "datapath/tunnel/encap.h"

#include <rte_ip.h>
#include <rte_mbuf.h>

#include <cstring>

#include "datapath/worker_ctx.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using namespace wire;

/// Traffic class and TTL of the inner packet as it is about to be sent; false when it is not IP.
struct Inner {
    bool ip = false;
    uint8_t tos = 0;
    uint8_t ttl = 0;

    explicit Inner(rte_mbuf* m) {
        const PacketKey& key = meta_of(m).key;
        const uint8_t* l3 = rte_pktmbuf_mtod_offset(m, const uint8_t*, key.l2_len);
        if (key.kinds & kind::kIp4) {
            ip = true;
            tos = l3[1];
            ttl = l3[8];
        } else if (key.kinds & kind::kIp6) {
            ip = true;
            tos = static_cast<uint8_t>(get16(l3) >> 4);
            ttl = l3[7];
        }
    }
};

void patch_ip(WorkerCtx& ctx, const Tunnel& t, uint8_t* l3, const Inner& inner, uint32_t ip_len) {
    const auto tos = static_cast<uint8_t>(((t.tos_inherit && inner.ip ? inner.tos : t.tos) & 0xfc) |
                                          (inner.tos & 3));
    const uint8_t ttl = t.ttl_inherit && inner.ip ? inner.ttl : t.ttl;
    if (t.ip6) {
        put16(l3, static_cast<uint32_t>((get16(l3) & 0xf00f) | tos << 4));
        put16(l3 + 4, ip_len - kIp6Len);
        l3[7] = ttl;
        return;
    }
    l3[1] = tos;
    put16(l3 + 2, ip_len);
    put16(l3 + 4, t.df ? 0u : ctx.next_ip_id++);
    put16(l3 + 6, t.df ? 0x4000u : 0u);
    l3[8] = ttl;
    l3[10] = l3[11] = 0;
    const uint16_t sum = checksum::of(l3, kIp4MinLen);
    std::memcpy(l3 + 10, &sum, 2);
}

void patch_geneve(const Tunnel& t, uint8_t* geneve, uint64_t coordinates) {
    put24(geneve + 4, static_cast<uint32_t>(coordinates >> 32));
    const bool legacy = t.option == GeneveOption::kLegacy;
    geneve[0] = 2;
    geneve[1] = legacy ? 0 : kGeneveCritical;
    put16(geneve + 2, kTypeTeb);
    put16(geneve + 8, legacy ? kOptClassLegacy : kOptClassOvn);
    geneve[10] = legacy ? kOptTypeLegacy : kOptTypeOvn;
    geneve[11] = 1;
    put32(geneve + 12, static_cast<uint32_t>(coordinates));
}

void patch_udp_checksum(rte_mbuf* m, const Tunnel& t, const uint8_t* l3, uint8_t* udp,
                        uint32_t udp_len) {
    const uint8_t pseudo[4] = {0, kProtoUdp, udp[4], udp[5]};
    uint64_t sum = checksum::sum(l3 + (t.ip6 ? 8 : 12), t.ip6 ? 32 : 8);
    sum = checksum::sum(pseudo, sizeof pseudo, sum);
    uint16_t body = 0;
    rte_raw_cksum_mbuf(m, t.l4_ofs, udp_len, &body);
    auto csum = static_cast<uint16_t>(~checksum::fold(sum + body));
    csum = csum ? csum : 0xffff;
    std::memcpy(udp + 6, &csum, 2);
}

/// The packet with `need` bytes of headroom: itself, or a copy.
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

/// Drop::k_none when the tunnel can be used for a packet of this length now.
Drop usable(WorkerCtx& ctx, const Tunnel* t, uint32_t tunnel, uint32_t pkt_len) {
    if (!t || t->type != TunnelType::kGeneve) {
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
    return t->mtu && pkt_len + t->header_len - t->l3_ofs > t->mtu ? Drop::k_too_long : Drop::k_none;
}

}  // namespace

void send_by_tunnel(WorkerCtx& ctx, rte_mbuf* m, uint32_t tunnel, uint64_t coordinates) {
    const Tunnel* t =
        tunnel < ctx.pipeline->tunnels.size() ? ctx.pipeline->tunnels[tunnel] : nullptr;
    const Drop reason = usable(ctx, t, tunnel, m->pkt_len);
    if (SLUICE_UNLIKELY(reason != Drop::k_none)) {
        ctx.drop_packet(m, reason, static_cast<uint32_t>(coordinates >> 32),
                        static_cast<uint32_t>(coordinates >> 16) & 0x7fff);
        return;
    }
    const Inner inner(m);
    const uint32_t hash = meta_of(m).key.flow_hash;
    m = with_headroom(ctx, m, t->header_len);
    if (!m) {
        return;
    }
    auto* outer = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(m, t->header_len));
    std::memcpy(outer, t->header, t->header_len);
    patch_ip(ctx, *t, outer + t->l3_ofs, inner, m->pkt_len - t->l3_ofs);
    uint8_t* udp = outer + t->l4_ofs;
    const uint32_t udp_len = m->pkt_len - t->l4_ofs;
    put16(udp, t->src_port_base + (t->src_port_range ? hash % t->src_port_range : 0u));
    put16(udp + 4, udp_len);
    put16(udp + 6, 0);
    patch_geneve(*t, udp + kUdpLen, coordinates);
    if (t->csum || t->ip6) {
        patch_udp_checksum(m, *t, outer + t->l3_ofs, udp, udp_len);
    }
    ctx.counters->add(Counter::k_tunnel_tx);
    transmit(ctx, m, t->port);
}

}  // namespace sluice
