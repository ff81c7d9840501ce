// SPDX-License-Identifier: Apache-2.0
#include "datapath/tunnel/liveness.h"

#include <arpa/inet.h>
#include <rte_mbuf.h>

#include <cstring>

#include "datapath/tunnel/encap.h"
#include "datapath/worker_ctx.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint16_t kBfdPort = 3784;  // RFC 5881, 4

const Tunnel* tunnel_at(const Pipeline& pipeline, uint32_t index) {
    return index < pipeline.tunnels.size() ? pipeline.tunnels[index] : nullptr;
}

/// The set and the place of its first live member; null when there is none.
const TunnelSet* set_of(const Pipeline& pipeline, uint32_t target, size_t* place) {
    const uint32_t number = target & ~TunnelSet::kTarget;
    const auto& sets = pipeline.tunnel_sets;
    const TunnelSet* set = number < sets.size() ? sets[number] : nullptr;
    for (*place = 0; set && *place < set->tunnels.size(); ++*place) {
        const Tunnel* t = tunnel_at(pipeline, set->tunnels[*place]);
        if (t && is_live(t->life)) {
            return set;
        }
    }
    return nullptr;
}

void finish_ip(const Tunnel& t, uint8_t* l3, uint8_t inner_tos, uint32_t ip_len) {
    const uint8_t tos = t.tos_inherit ? inner_tos : t.tos;
    if (t.ip6) {
        put16(l3, static_cast<uint32_t>((get16(l3) & 0xf00f) | tos << 4));
        put16(l3 + 4, ip_len - kIp6Len);
        return;
    }
    l3[1] = tos;
    put16(l3 + 2, ip_len);
    put16(l3 + 4, 0);  // never fragmented
    put16(l3 + 6, t.df ? 0x4000 : 0);
    put16(l3 + 10, 0);
    const uint16_t sum = checksum::of(l3, kIp4MinLen);
    std::memcpy(l3 + 10, &sum, 2);
}

void finish_udp(const Tunnel& t, const uint8_t* l3, uint8_t* udp, uint32_t hash, uint32_t len) {
    put16(udp, t.src_port_base + static_cast<uint32_t>(uint64_t{hash} * t.src_port_range >> 32));
    put16(udp + 4, len);
    put16(udp + 6, 0);
    if (!t.csum && !t.ip6) {
        return;
    }
    const uint8_t pseudo[4] = {0, kProtoUdp, udp[4], udp[5]};
    uint64_t sum = checksum::sum(l3 + (t.ip6 ? 8 : 12), t.ip6 ? 32 : 8);
    sum = checksum::sum(pseudo, sizeof pseudo, sum);
    const auto csum = static_cast<uint16_t>(~checksum::fold(checksum::sum(udp, len, sum)));
    const uint16_t sent = csum ? csum : 0xffff;
    std::memcpy(udp + 6, &sent, 2);
}

/// Geneve without the option that carries ports.
void send_bare_geneve(WorkerCtx& ctx, rte_mbuf* m, const Tunnel& t) {
    const uint32_t hash = flow_hash_of(&meta_of(m).key, ctx.config.hash_seed);
    const uint8_t* inner = rte_pktmbuf_mtod_offset(m, const uint8_t*, meta_of(m).key.l2_len);
    const bool is_ip4 = meta_of(m).key.kinds & kind::kIp4;
    const uint8_t inner_tos = is_ip4 ? inner[1] : static_cast<uint8_t>(get16(inner) >> 4);
    const auto length = static_cast<uint16_t>(t.l4_ofs + kUdpLen + kGeneveLen);
    m = with_headroom(ctx, m, length);
    if (!m) {
        return;
    }
    auto* outer = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(m, length));
    std::memcpy(outer, t.header, length);
    uint8_t* geneve = outer + t.l4_ofs + kUdpLen;
    std::memset(geneve, 0, kGeneveLen);
    put16(geneve + 2, kTypeTeb);
    finish_ip(t, outer + t.l3_ofs, inner_tos, m->pkt_len - t.l3_ofs);
    finish_udp(t, outer + t.l3_ofs, outer + t.l4_ofs, hash, m->pkt_len - t.l4_ofs);
    ctx.counters->add(Counter::k_tunnel_tx);
    transmit(ctx, m, t.port);
}

}  // namespace

const Tunnel* tunnel_of_target(const Pipeline& pipeline, uint32_t target) {
    if (!(target & TunnelSet::kTarget)) {
        return tunnel_at(pipeline, target);
    }
    size_t place;
    const TunnelSet* set = set_of(pipeline, target, &place);
    return set ? tunnel_at(pipeline, set->tunnels[place]) : nullptr;
}

bool choose_live(WorkerCtx& ctx, rte_mbuf* m, uint32_t* tunnel, uint64_t coordinates) {
    size_t place;
    const TunnelSet* set = set_of(*ctx.pipeline, *tunnel, &place);
    if (!set) {
        ctx.drop_packet(m, Drop::k_no_live_chassis, static_cast<uint32_t>(coordinates >> 32),
                        static_cast<uint32_t>(coordinates >> 16) & 0x7fff);
        return false;
    }
    *tunnel = set->tunnels[place];
    if (place != 0) {
        ctx.counters->add(Counter::k_tunnel_standby);
    }
    return true;
}

OuterEnds outer_ends_of(const PacketKey& key, TunnelType type) {
    OuterEnds ends{};
    ends.type = type;
    ends.port = key.in_port;
    if (key.kinds & kind::kIp4) {
        ends.source[2] = ends.target[2] = 0xffff;
        ends.source[3] = get32(key.ip_src);
        ends.target[3] = get32(key.ip_dst);
        return ends;
    }
    for (unsigned i = 0; i < 4; ++i) {
        ends.source[i] = get32(key.ip_src + 4 * i);
        ends.target[i] = get32(key.ip_dst + 4 * i);
    }
    return ends;
}

bool take_tunnel_bfd(WorkerCtx& ctx, rte_mbuf* m, const OuterEnds& ends) {
    const PacketKey& key = meta_of(m).key;
    const bool is_bfd = (key.kinds & kind::kL4) && key.ip_proto == kProtoUdp && key.ip_frag == 0 &&
                        key.l4_dst == htons(kBfdPort);
    if (!is_bfd) {
        return false;
    }
    PuntMeta& punt = meta_of(m).punt;
    punt = PuntMeta{};
    punt.reason = PuntReason::kTunnelBfd;
    punt.port = ends.port;
    punt.flow = kNoFlow;
    std::memcpy(punt.logical + TunnelBfdWords::kSource, ends.source, sizeof ends.source);
    std::memcpy(punt.logical + TunnelBfdWords::kTarget, ends.target, sizeof ends.target);
    punt.logical[TunnelBfdWords::kType] = static_cast<uint32_t>(ends.type);
    ctx.counters->add(Counter::k_tunnel_bfd);
    ctx.hand_up(m);
    return true;
}

void send_with_key_zero(WorkerCtx& ctx, rte_mbuf* m, uint32_t tunnel) {
    const Tunnel* t = tunnel_at(*ctx.pipeline, tunnel);
    if (t && t->type == TunnelType::kGeneve && t->state == Tunnel::State::kReady) {
        send_bare_geneve(ctx, m, *t);
    } else {
        send_by_tunnel(ctx, m, tunnel, 0);
    }
}

}  // namespace sluice
