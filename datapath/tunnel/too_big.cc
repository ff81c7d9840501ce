// SPDX-License-Identifier: Apache-2.0
#include "datapath/tunnel/too_big.h"

#include <arpa/inet.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "datapath/edit.h"
#include "datapath/stages.h"
#include "datapath/super_frame.h"
#include "datapath/transform.h"
#include "datapath/tunnel/encap.h"
#include "datapath/tunnel/liveness.h"
#include "datapath/worker_ctx.h"
#include "lib/net/checksum.h"
#include "lib/net/wire.h"
#include "lib/program/mirror_sink.h"
#include "lib/program/packet_meta.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint64_t kWindowMs = 1000;
constexpr uint32_t kAnswersPerWindow = 1000;

/// How many words an act of a packet section takes.
unsigned words_of(uint64_t word) {
    switch (act::of(word)) {
    case Act::kSetMasked:
    case Act::kEncap: return 2;
    case Act::kSet16: return 3;
    case Act::kSet16Masked:
    case Act::kInnerNat: return 5;
    default: return 1;
    }
}

/// The tunnel that a section sends the packet itself into, or null.
const Tunnel* tunnel_of(const Pipeline& pipeline, const uint64_t* w, const uint64_t* end) {
    for (; w < end; w += words_of(*w)) {
        const Act what = act::of(*w);
        if (what == Act::kTransform || what == Act::kPunt) {
            return nullptr;
        }
        const uint32_t index = act::d(*w);
        if (what == Act::kEncap && !(index & MirrorSink::kTarget)) {
            return tunnel_of_target(pipeline, index);
        }
    }
    return nullptr;
}

/// Room of the smallest tunnel that is too small for `length`; 0: all are large enough.
uint32_t room_for(const Pipeline& pipeline, const ProgramView& program, uint32_t length) {
    uint32_t room = length;
    const uint64_t* w = program.words;
    const uint64_t* const end = w + program.n_words;
    while (w != end) {
        const uint64_t head = *w++;
        const uint64_t* const next = w + act::d(head);
        if (act::of(head) == Act::kPacketSection) {
            const Tunnel* tunnel = tunnel_of(pipeline, w, next);
            if (tunnel && tunnel->state == Tunnel::State::kReady) {
                room = std::min(room, tunnel->room);
            }
        }
        w = next;
    }
    return room < length ? room : 0;
}

bool is_error(const PacketKey& key) {
    const uint16_t type = ntohs(key.l4_src);
    if (!(key.kinds & kind::kL4)) {
        return key.ip_proto == kProtoIcmp || key.ip_proto == kProtoIcmp6;
    }
    if (key.ip_proto == kProtoIcmp) {
        return type != 0 && type != 8 && (type < 13 || type > 18);  // queries and their answers
    }
    return key.ip_proto == kProtoIcmp6 && (type < 128 || type == 137);  // errors, redirects
}

bool may_be_answered(const PacketKey& key) {
    if (((key.eth_dst[0] | key.eth_src[0]) & 1) || (key.ip_frag & 2) || is_error(key)) {
        return false;
    }
    if (key.kinds & kind::kIp4) {
        return key.ip_dst[0] < 224 && key.ip_src[0] != 0 && key.ip_src[0] < 224;
    }
    return (key.kinds & kind::kIp6) && key.ip_dst[0] != 0xff && key.ip_src[0] != 0xff &&
           key.ip_src[0] != 0;
}

bool take_token(WorkerCtx& ctx) {
    if (ctx.now_ms - ctx.told_since_ms >= kWindowMs) {
        ctx.told_since_ms = ctx.now_ms;
        ctx.told_count = 0;
    }
    return ctx.told_count++ < kAnswersPerWindow;
}

/// Makes the packet the error that answers it.
bool to_too_big(rte_mbuf* m, const PacketKey& key, uint32_t mtu) {
    constexpr uint8_t kUnreachable = 3;
    constexpr uint8_t kFragmentationNeeded = 4;
    constexpr uint8_t kPacketTooBig = 2;
    if (!edit::to_icmp(m, key, true)) {
        return false;
    }
    const bool ip6 = key.kinds & kind::kIp6;
    uint8_t* ip = rte_pktmbuf_mtod_offset(m, uint8_t*, key.l2_len);
    uint8_t* icmp = ip + (ip6 ? kIp6Len : kIp4MinLen);
    const auto len = static_cast<uint16_t>(
        m->pkt_len - static_cast<uint32_t>(icmp - rte_pktmbuf_mtod(m, uint8_t*)));
    icmp[0] = ip6 ? kPacketTooBig : kUnreachable;
    icmp[1] = ip6 ? 0 : kFragmentationNeeded;
    put16(icmp + 2, 0);
    put32(icmp + 4, ip6 ? mtu : std::min(mtu, 0xffffu));
    uint64_t sum = 0;
    if (ip6) {
        const uint8_t pseudo[4] = {static_cast<uint8_t>(len >> 8), static_cast<uint8_t>(len), 0,
                                   kProtoIcmp6};
        sum = checksum::sum(pseudo, sizeof pseudo, checksum::sum(ip + 8, 32));
    }
    const auto csum = static_cast<uint16_t>(~checksum::fold(checksum::sum(icmp, len, sum)));
    std::memcpy(icmp + 2, &csum, 2);
    return true;
}

/// Sends `m` to where the packet that it answers came from; takes it over.
void send_back(WorkerCtx& ctx, rte_mbuf* m, const LogicalPort& port) {
    const WalkStart& start = ctx.long_start;
    PacketKey& key = meta_of(m).key;
    if (port.reach == Reach::kTunnel) {
        const uint32_t ports = port.is_ramp ? 0 : start.outport << 16 | start.inport;
        send_by_tunnel(ctx, m, port.tunnel, uint64_t{start.datapath->key} << 32 | ports);
        return;
    }
    if (port.vlan_tci && !edit::set_vlan_vid(m, &key, port.vlan_tci)) {
        ctx.drop_packet(m, Drop::k_no_headroom);
        return;
    }
    transmit(ctx, m, key.in_port);
}

/// The port whose sender can be told: it has the packet's sender behind it, whichever way.
const LogicalPort* port_of(const WorkerCtx& ctx, const PacketKey& key) {
    const WalkStart& start = ctx.long_start;
    const bool is_local = start.kind == WalkStart::Kind::kIngress;
    // A router's ports know no way back to the sender's MAC address.
    const bool is_remote = start.kind == WalkStart::Kind::kOutputLocal && start.datapath->is_switch;
    const LogicalPort* const* found =
        is_local || is_remote ? start.datapath->ports.find(start.inport) : nullptr;
    if (!found) {
        return nullptr;
    }
    const bool fits = (*found)->reach == Reach::kTunnel ||
                      (is_local && (*found)->reach == Reach::kVif && (*found)->port == key.in_port);
    return fits ? *found : nullptr;
}

}  // namespace

void tell_too_big(WorkerCtx& ctx, rte_mbuf* m, const ProgramView& program) {
    if (ctx.has_told) {
        return;  // a walk whose program did not fit the buffer goes on
    }
    const PacketKey& key = meta_of(m).key;
    const uint32_t room = room_for(*ctx.pipeline, program, wire_length(m, key));
    const LogicalPort* port = room != 0 && may_be_answered(key) ? port_of(ctx, key) : nullptr;
    if (!port || room <= key.l2_len || !take_token(ctx)) {
        return;
    }
    rte_mbuf* answer = ctx.copy(m);
    if (!answer) {
        return;
    }
    if (!to_too_big(answer, key, room - key.l2_len) ||
        !parse_packet(answer, &meta_of(answer).key)) {
        rte_pktmbuf_free(answer);
        return;
    }
    meta_of(answer).key.in_port = key.in_port;
    ctx.has_told = true;
    send_back(ctx, answer, *port);
}

}  // namespace sluice
