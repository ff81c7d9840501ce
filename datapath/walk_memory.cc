// SPDX-License-Identifier: Apache-2.0
// Steps that remember something for later packets or recall it, meters, and what EVPN knows.
//
// What is remembered changes with packets and time, so walks that ask for it are not cached.
#include <arpa/inet.h>

#include <cstring>

#include "datapath/ecmp_memory.h"
#include "datapath/lb_affinity.h"
#include "datapath/meter.h"
#include "datapath/walk.h"
#include "lib/mailbox/mailbox.h"
#include "lib/net/wire.h"

namespace sluice {
namespace {

bool is_ip6(const State& s) {
    return s.w[kSlotEthType] == wire::kTypeIp6;
}

bool is_ip(const State& s) {
    return s.w[kSlotEthType] == wire::kTypeIp4 || is_ip6(s);
}

/// An address as lib/program/ct_args.h writes it.
void copy_address(const State& s, unsigned slot4, unsigned slot6, uint32_t out[4]) {
    if (is_ip6(s)) {
        std::memcpy(out, s.w + slot6, 4 * sizeof out[0]);
    } else {
        out[0] = out[1] = out[2] = 0;
        out[3] = s.w[slot4];
    }
}

Ip6 ip6_at(const State& s, unsigned slot) {
    Ip6 ip;
    for (unsigned i = 0; i < 4; ++i) {
        const uint32_t v = htonl(s.w[slot + i]);
        std::memcpy(ip.bytes.data() + 4 * i, &v, 4);
    }
    return ip;
}

LbClient client_of(const Frame& f) {
    LbClient client;
    client.datapath = f.datapath->key;
    client.is_v6 = is_ip6(f.s);
    client.proto = static_cast<uint8_t>(f.s.w[kSlotIpProto]);
    client.port = static_cast<uint16_t>(f.s.w[kSlotL4Dst]);
    copy_address(f.s, kSlotIp4Src, kSlotIp6Src, client.src);
    copy_address(f.s, kSlotIp4Dst, kSlotIp6Dst, client.dst);
    return client;
}

EcmpPacket ecmp_packet_of(const Frame& f) {
    EcmpPacket p;
    p.datapath = f.datapath->key;
    p.is_v6 = is_ip6(f.s);
    p.proto = static_cast<uint8_t>(f.s.w[kSlotIpProto]);
    p.src_port = static_cast<uint16_t>(f.s.w[kSlotL4Src]);
    p.dst_port = static_cast<uint16_t>(f.s.w[kSlotL4Dst]);
    p.eth_src = f.s.mac(kSlotEthSrc);
    copy_address(f.s, kSlotIp4Src, kSlotIp6Src, p.src);
    copy_address(f.s, kSlotIp4Dst, kSlotIp6Dst, p.dst);
    return p;
}

/// Whether a port answers, by all that is known here. `is_watched`: that may change any time.
bool is_up(const Pipeline& pipeline, const LogicalPort& port, bool* is_watched) {
    if (port.reach != Reach::kTunnel || port.tunnel & TunnelSet::kTarget) {
        return port.reach != Reach::kUnbound && port.reach != Reach::kNoTunnel;
    }
    const Tunnel* tunnel =
        port.tunnel < pipeline.tunnels.size() ? pipeline.tunnels[port.tunnel] : nullptr;
    *is_watched |= tunnel && sluice::is_watched(tunnel->life);
    return tunnel && is_live(tunnel->life);
}

}  // namespace

/// Tokens are taken here for the packet that is walked, by apply for those that hit the program.
template <bool kTrace>
bool Walker<kTrace>::set_meter(const Instr& i) {
    if (env_.meters && !env_.meters->take_flow(flow_, i.d, i.e, f_.s.w[kSlotPktLen], env_.now_ms)) {
        out_.cacheable = false;
        drop(Drop::k_metered);
        return false;
    }
    emit_meter(i, flow_, &f_, &out_);
    return true;
}

/// reg4 or the network's 128-bit register get the backend's address, reg8[0..15] its port.
template <bool kTrace>
void Walker<kTrace>::check_affinity(const Instr& i) {
    LbBackend backend;
    const bool found =
        is_ip(f_.s) && env_.affinity && env_.affinity->find(client_of(f_), env_.now_ms, &backend);
    if (found && is_ip6(f_.s)) {
        const unsigned slot = f_.datapath->is_switch ? kSlotXxreg0 : kSlotXxreg1;
        std::memcpy(f_.s.w + slot, backend.address, sizeof backend.address);
    } else if (found) {
        f_.s.w[kSlotXxreg1] = backend.address[3];
    }
    if (found && backend.port) {
        f_.write(kSlotXreg4, 0xffff, backend.port);
    }
    memory_bit(i, found);
}

template <bool kTrace>
void Walker<kTrace>::check_evpn_arp(const Instr& i) {
    const Evpn* evpn = f_.datapath->evpn.get();
    uint64_t mac = 0;
    if (evpn && i.c) {
        const auto found = evpn->ip6.find({0, ip6_at(f_.s, i.b)});
        mac = found == evpn->ip6.end() ? 0 : found->second;
    } else if (evpn) {
        const auto found = evpn->ip4.find(f_.s.w[i.b]);
        mac = found == evpn->ip4.end() ? 0 : found->second;
    }
    if (mac) {
        f_.write(kSlotEthDst, 0xffff, static_cast<uint32_t>(mac >> 32));
        f_.write(kSlotEthDst + 1, ~0u, static_cast<uint32_t>(mac));
    }
    memory_bit(i, mac != 0);
}

template <bool kTrace>
void Walker<kTrace>::choose_forward(const Instr& i) {
    const auto& group = *static_cast<const FwdGroupArgs*>(i.p);
    f_.s.w[kSlotOutport] = 0;
    bool is_watched = false;
    for (uint32_t n = 0; n < group.count; ++n) {
        const uint32_t key = group.ports[(f_.s.w[kSlotFlowHash] + n) % group.count];
        const LogicalPort* const* port = f_.datapath->ports.find(key);
        if (!i.a || (port && is_up(pipeline_, **port, &is_watched))) {
            f_.s.w[kSlotOutport] = key;
            break;
        }
    }
    if (is_watched) {
        out_.cacheable = false;  // the next packet asks again
    }
}

template <bool kTrace>
void Walker<kTrace>::flood_remote() {
    const Evpn* evpn = f_.datapath->evpn.get();
    if (evpn && !from_localport()) {
        output_members(evpn->vteps, true);
    }
}

/// Says that a binding is in use, if it is known as the packet has it.
template <bool kTrace>
void Walker<kTrace>::use_mac(const Instr& i) {
    const Neighbors& known = *f_.datapath->neighbors;
    const uint32_t port = f_.s.w[kSlotInport];
    const uint64_t mac = f_.s.mac(kSlotEthSrc);
    uint64_t bound = 0;
    if (f_.s.w[kSlotEthType] == wire::kTypeIp4) {
        const auto found = known.ip4.find({port, f_.s.w[kSlotIp4Src]});
        bound = found == known.ip4.end() ? 0 : found->second;
    } else if (is_ip6(f_.s)) {
        const auto found = known.ip6.find({port, ip6_at(f_.s, kSlotIp6Src)});
        bound = found == known.ip6.end() ? 0 : found->second;
    }
    if (bound != 0 && bound == mac) {
        Instr use = i;
        use.a = kSlotInport;
        use.b = is_ip6(f_.s) ? kSlotIp6Src : kSlotIp4Src;
        use.c = kSlotEthSrc;
        emit_message(f_, use, flow_, &out_);
    }
}

template <bool kTrace>
bool Walker<kTrace>::exec_memory(const Instr& i) {
    switch (i.op) {
    case Op::kSetMeter: return set_meter(i);
    case Op::kFwdGroup: choose_forward(i); return true;
    case Op::kChkEvpnArp: check_evpn_arp(i); return true;
    case Op::kFloodRemote: flood_remote(); return true;
    case Op::kMacCacheUse: use_mac(i); return true;
    case Op::kGetRemoteFdb: {
        const Evpn* evpn = f_.datapath->evpn.get();
        const auto found = evpn ? evpn->fdb.find(f_.s.mac(i.b)) : decltype(evpn->fdb.end()){};
        f_.write(i.a, ~0u, evpn && found != evpn->fdb.end() ? found->second : 0);
        return true;
    }
    default: break;
    }
    out_.cacheable = false;
    switch (i.op) {
    case Op::kChkLbAff: check_affinity(i); break;
    case Op::kCommitLbAff:
        if (env_.affinity) {
            env_.affinity->remember(client_of(f_), *static_cast<const LbAffinityArgs*>(i.p),
                                    env_.now_ms);
        }
        break;
    case Op::kCommitEcmpNh:
        if (env_.ecmp && is_ip6(f_.s) == (i.a != 0) && f_.s.w[kSlotIpProto] == i.b) {
            env_.ecmp->commit(ecmp_packet_of(f_), env_.now_ms);
        }
        break;
    case Op::kChkEcmpNh:
        memory_bit(i, env_.ecmp && env_.ecmp->has(ecmp_packet_of(f_), env_.now_ms));
        break;
    case Op::kChkEcmpNhMac:
        memory_bit(i, env_.ecmp && env_.ecmp->has_mac(ecmp_packet_of(f_), env_.now_ms));
        break;
    default: break;
    }
    return true;
}

template bool Walker<false>::exec_memory(const Instr&);
template bool Walker<true>::exec_memory(const Instr&);

}  // namespace sluice
