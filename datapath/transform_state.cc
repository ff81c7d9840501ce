// SPDX-License-Identifier: Apache-2.0
// Packet-replacing actions, State side: what the fields of the new packet are.
//
// The new packet enters the pipeline as one that the controller sends: logical fields stay, what
// conntrack said about the old packet and its mark do not.
#include <algorithm>
#include <cstring>

#include "datapath/transform.h"
#include "datapath/walk.h"
#include "lib/net/wire.h"

namespace sluice {
namespace {

constexpr uint32_t kUnreachable4 = 3;
constexpr uint32_t kUnreachable6 = 1;
constexpr uint32_t kTcpRst = 0x004;
constexpr uint32_t kTcpRstAck = 0x014;

bool is_ip4(const State& s) {
    return s.w[kSlotEthType] == wire::kTypeIp4;
}

bool is_ip6(const State& s) {
    return s.w[kSlotEthType] == wire::kTypeIp6;
}

void store6(State* s, unsigned slot, const uint32_t words[4]) {
    std::memcpy(s->w + slot, words, 4 * sizeof *words);
}

/// Everything behind the link layer; lengths and hash stay.
void clear_network(State* s) {
    std::memset(s->w + kSlotIpProto, 0, (kSlotPktLen - kSlotIpProto) * sizeof s->w[0]);
}

void set_length(State* s, uint32_t l3_len) {
    s->w[kSlotPktLen] = wire::kEthLen + (s->w[kSlotVlanTci] ? wire::kVlanLen : 0) + l3_len;
}

bool to_arp(State* s) {
    if (!is_ip4(*s)) {
        return false;
    }
    const uint32_t src = s->w[kSlotIp4Src];
    const uint32_t dst = s->w[kSlotIp4Dst];
    clear_network(s);
    s->w[kSlotEthType] = wire::kTypeArp;
    s->w[kSlotArpOp] = 1;
    s->w[kSlotArpSpa] = src;
    s->w[kSlotArpTpa] = dst;
    s->set_mac(kSlotArpSha, s->mac(kSlotEthSrc));
    set_length(s, wire::kArpLen);
    return true;
}

void nd_header(State* s, uint32_t type, const uint32_t src[4], const uint32_t dst[4],
               const uint32_t target[4]) {
    clear_network(s);
    s->w[kSlotEthType] = wire::kTypeIp6;
    s->w[kSlotVlanTci] = 0;
    s->w[kSlotIpProto] = wire::kProtoIcmp6;
    s->w[kSlotIpTtl] = 255;
    s->w[kSlotL4Src] = type;
    store6(s, kSlotIp6Src, src);
    store6(s, kSlotIp6Dst, dst);
    store6(s, kSlotNdTarget, target);
    set_length(s, wire::kIp6Len + wire::kNdLen + 8);
}

bool to_ns(State* s) {
    if (!is_ip6(*s)) {
        return false;
    }
    uint32_t target[4];
    std::memcpy(target, s->w + kSlotIp6Dst, sizeof target);
    const uint64_t mac = s->mac(kSlotEthSrc);
    const uint32_t src[4] = {0xfe800000, 0,
                             static_cast<uint32_t>((mac >> 24 ^ 0x020000) << 8 | 0xff),
                             0xfe000000u | static_cast<uint32_t>(mac & 0xffffff)};
    const uint32_t dst[4] = {0xff020000, 0, 1, 0xff000000u | (target[3] & 0xffffff)};
    nd_header(s, wire::kNdNs, src, dst, target);
    s->set_mac(kSlotNdSll, mac);
    s->set_mac(kSlotEthDst, uint64_t{0x3333} << 32 | dst[3]);
    return true;
}

bool to_na(State* s) {
    const uint32_t type = s->w[kSlotL4Src];
    if (!is_ip6(*s) || s->w[kSlotIpProto] != wire::kProtoIcmp6 ||
        (type != wire::kNdNs && type != wire::kNdNa)) {
        return false;
    }
    uint32_t asker[4];
    uint32_t target[4];
    std::memcpy(asker, s->w + kSlotIp6Src, sizeof asker);
    std::memcpy(target, s->w + kSlotNdTarget, sizeof target);
    const uint64_t own = s->mac(kSlotEthDst);
    s->set_mac(kSlotEthDst, s->mac(kSlotEthSrc));
    s->set_mac(kSlotEthSrc, own);
    nd_header(s, wire::kNdNa, target, asker, target);
    s->set_mac(kSlotNdTll, own);
    return true;
}

/// Link and network layer of an answer.
void answer_header(State* s, bool swapped, uint32_t proto, uint32_t ttl) {
    uint32_t addresses[10];  // ip4.src, ip4.dst, ip6.src, ip6.dst, as they lie in State
    static_assert(kSlotIp6Dst + 4 - kSlotIp4Src == 10);
    std::memcpy(addresses, s->w + kSlotIp4Src, sizeof addresses);
    clear_network(s);
    s->w[kSlotIpProto] = proto;
    s->w[kSlotIpTtl] = ttl;
    if (swapped) {
        const uint64_t mac = s->mac(kSlotEthDst);
        s->set_mac(kSlotEthDst, s->mac(kSlotEthSrc));
        s->set_mac(kSlotEthSrc, mac);
        std::swap(addresses[0], addresses[1]);
        std::swap_ranges(addresses + 2, addresses + 6, addresses + 6);
    }
    std::memcpy(s->w + kSlotIp4Src, addresses, sizeof addresses);
}

bool to_icmp(State* s, bool reject) {
    if (!is_ip4(*s) && !is_ip6(*s)) {
        return false;
    }
    const bool ip6 = is_ip6(*s);
    const bool udp = s->w[kSlotIpProto] == wire::kProtoUdp;
    const uint32_t l2_len = wire::kEthLen + (s->w[kSlotVlanTci] ? wire::kVlanLen : 0);
    const uint32_t quote =
        std::min(s->w[kSlotPktLen] - l2_len, ip6 ? edit::kQuote6 : edit::kQuote4);
    answer_header(s, reject, ip6 ? wire::kProtoIcmp6 : wire::kProtoIcmp, edit::kIcmpTtl);
    s->w[kSlotL4Src] = ip6 ? kUnreachable6 : kUnreachable4;
    s->w[kSlotL4Dst] = reject && udp ? (ip6 ? 4 : 3) : 1;
    set_length(s, (ip6 ? wire::kIp6Len : wire::kIp4MinLen) + wire::kIcmpLen + quote);
    return true;
}

/// RST and ABORT: ports the other way round.
bool to_end(State* s, bool reject, uint8_t proto, uint32_t l4_len) {
    if ((!is_ip4(*s) && !is_ip6(*s)) || s->w[kSlotIpProto] != proto) {
        return false;
    }
    const uint32_t sport = s->w[kSlotL4Src];
    const uint32_t dport = s->w[kSlotL4Dst];
    answer_header(s, reject, proto, edit::kResetTtl);
    s->w[kSlotVlanTci] = 0;
    s->w[kSlotL4Src] = dport;
    s->w[kSlotL4Dst] = sport;
    set_length(s, (is_ip6(*s) ? wire::kIp6Len : wire::kIp4MinLen) + l4_len);
    return true;
}

bool to_reset(State* s, bool reject) {
    if (reject && (s->w[kSlotTcpFlags] & kTcpRst)) {
        return false;
    }
    if (!to_end(s, reject, wire::kProtoTcp, wire::kTcpMinLen)) {
        return false;
    }
    s->w[kSlotTcpFlags] = kTcpRstAck;
    return true;
}

bool to_rejection(State* s) {
    const uint32_t proto = s->w[kSlotIpProto];
    const uint32_t type = s->w[kSlotL4Src];
    if (proto == wire::kProtoTcp) {
        return to_reset(s, true);
    }
    if (proto == wire::kProtoSctp) {
        return to_end(s, true, wire::kProtoSctp, wire::kSctpLen + 4);
    }
    if ((is_ip4(*s) && proto == wire::kProtoIcmp && type == kUnreachable4) ||
        (is_ip6(*s) && proto == wire::kProtoIcmp6 && type == kUnreachable6)) {
        return false;
    }
    return to_icmp(s, true);
}

bool change(Transform what, State* s) {
    switch (what) {
    case Transform::kArp: return to_arp(s);
    case Transform::kNdNs: return to_ns(s);
    case Transform::kNdNa:
    case Transform::kNdNaRouter: return to_na(s);
    case Transform::kIcmp4:
    case Transform::kIcmp4Error:
    case Transform::kIcmp6:
    case Transform::kIcmp6Error: return to_icmp(s, false);
    case Transform::kTcpReset: return to_reset(s, false);
    case Transform::kSctpAbort: return to_end(s, false, wire::kProtoSctp, wire::kSctpLen + 4);
    case Transform::kReject: return to_rejection(s);
    }
    return false;
}

/// The packet that an ICMP error quotes, as conntrack sees it; false when it is none to relate to.
bool quote_tuple(const State& s, const PacketFacts& old, CtTuple* t) {
    const uint32_t proto = s.w[kSlotIpProto];
    const bool ip6 = is_ip6(s);
    if (s.w[kSlotIpFrag] != 0) {
        return false;
    }
    t->proto = static_cast<uint8_t>(proto);
    t->is_v6 = ip6;
    if (ip6) {
        std::memcpy(t->src, s.w + kSlotIp6Src, sizeof t->src);
        std::memcpy(t->dst, s.w + kSlotIp6Dst, sizeof t->dst);
    } else {
        t->src[3] = s.w[kSlotIp4Src];
        t->dst[3] = s.w[kSlotIp4Dst];
    }
    const auto first = static_cast<uint16_t>(s.w[kSlotL4Src]);
    const auto second = static_cast<uint16_t>(s.w[kSlotL4Dst]);
    if (proto == wire::kProtoTcp || proto == wire::kProtoUdp) {
        t->src_port = first;
        t->dst_port = second;
        return first != 0 && second != 0;
    }
    if (proto == (ip6 ? wire::kProtoIcmp6 : wire::kProtoIcmp)) {
        t->icmp_type = static_cast<uint8_t>(first);
        t->icmp_code = static_cast<uint8_t>(second);
        t->src_port = t->dst_port = old.icmp_id;
        return old.is_valid && !old.has_inner && second == 0;
    }
    return true;
}

void end_facts(const State& before, const PacketFacts& old, PacketFacts* facts) {
    facts->is_valid = before.w[kSlotIpFrag] == 0;
    if (before.w[kSlotIpProto] == wire::kProtoTcp) {
        facts->is_valid &= before.w[kSlotL4Src] != 0 && before.w[kSlotL4Dst] != 0;
        facts->tcp_flags = kTcpRstAck;
        facts->tcp_ack = old.tcp_seq + 1;
    } else {
        facts->sctp_chunk = 6;
        facts->payload_len = 4;
        const bool initial = old.sctp_chunk == 1 && old.sctp_vtag == 0;
        facts->sctp_vtag = initial ? old.sctp_init_tag : old.sctp_vtag;
    }
}

}  // namespace

bool transform_state(Transform what, Frame* f) {
    if (!change(what, &f->s)) {
        return false;
    }
    std::memset(f->s.w + kSlotPktMark, 0, (kSlotEthSrc - kSlotPktMark) * sizeof f->s.w[0]);
    return true;
}

void transform_facts(Transform what, const State& before, const PacketFacts& old,
                     PacketFacts* facts) {
    *facts = PacketFacts{};
    facts->tcp_wscale = 0xff;
    switch (what) {
    case Transform::kArp:
    case Transform::kNdNs:
    case Transform::kNdNa:
    case Transform::kNdNaRouter: return;
    case Transform::kTcpReset:
    case Transform::kSctpAbort: end_facts(before, old, facts); return;
    case Transform::kReject:
        if (before.w[kSlotIpProto] == wire::kProtoTcp ||
            before.w[kSlotIpProto] == wire::kProtoSctp) {
            end_facts(before, old, facts);
            return;
        }
        break;
    case Transform::kIcmp4:
    case Transform::kIcmp4Error:
    case Transform::kIcmp6:
    case Transform::kIcmp6Error: break;
    }
    facts->has_inner = quote_tuple(before, old, &facts->inner);
    facts->is_valid = facts->has_inner;
}

}  // namespace sluice
