// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/host.h"
#include "control/slowpath/wire.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint8_t kHopLimit = 64;
constexpr uint8_t kEchoRequest4 = 8;
constexpr uint8_t kEchoRequest6 = 128;
constexpr uint8_t kEchoReply6 = 129;
constexpr size_t kEchoLen = 8;

HostAnswer only(HostAnswer::Kind kind) {
    HostAnswer out;
    out.kind = kind;
    return out;
}

// An address that may be answered: not multicast, broadcast, "this network" or loopback.
bool is_peer(const Ip4& ip) {
    return ip.value >> 24 != 0 && ip.value >> 24 != 127 && ip.value >> 28 < 0xe;
}

bool is_zero(const Ip6& ip) {
    return ip == Ip6{};
}

// The frame of `type` with the echo data of `icmp`; `pseudo` is the sum of the pseudo header.
void put_echo(Writer& w, uint8_t type, Bytes icmp, uint64_t pseudo) {
    const size_t at = w.size();
    w.u8(type).u8(0).u16(0).bytes(icmp.subspan(4));
    w.patch16(at + 2, fold(add(w.view(at), pseudo)));
}

}  // namespace

HostAnswer answer_ip4(std::span<const uint8_t> frame, const Underlay& underlay) {
    if (frame.size() < kEthLen + kIp4Len) {
        return only(HostAnswer::Kind::kMalformed);
    }
    const Bytes ip = frame.subspan(kEthLen);
    const size_t header = (ip[0] & 0xfu) * 4u;
    const size_t total = load16(ip, 2);
    if (ip[0] >> 4 != 4 || header < kIp4Len || total < header || total > ip.size() ||
        fold(add(ip.first(header))) != 0) {
        return only(HostAnswer::Kind::kMalformed);
    }
    const Ip4 src{load32(ip, 12)};
    const Ip4 dst{load32(ip, 16)};
    const bool fragment = (load16(ip, 6) & 0x3fff) != 0;
    if (ip[9] != kIcmp || fragment || !is_ours(dst, underlay) || !is_peer(src) ||
        is_ours(src, underlay)) {
        return {};
    }
    const Bytes icmp = ip.subspan(header, total - header);
    if (icmp.size() < kEchoLen || fold(add(icmp)) != 0) {
        return only(HostAnswer::Kind::kMalformed);
    }
    if (icmp[0] != kEchoRequest4 || icmp[1] != 0) {
        return {};
    }
    HostAnswer out = only(HostAnswer::Kind::kEchoReply);
    Writer w;
    w.ethernet(load_mac(frame, 6), Mac::from_u64(underlay.mac), kEthIp4);
    w.u8(0x45).u8(ip[1]).u16(static_cast<uint16_t>(kIp4Len + icmp.size()));
    w.u16(load16(ip, 4)).u16(0).u8(kHopLimit).u8(kIcmp).u16(0).u32(dst.value).u32(src.value);
    w.patch16(kEthLen + 10, fold(add(w.view(kEthLen))));
    put_echo(w, 0, icmp, 0);
    out.reply = w.take();
    return out;
}

HostAnswer answer_ip6(std::span<const uint8_t> frame, const Underlay& underlay) {
    if (frame.size() < kEthLen + kIp6Len) {
        return only(HostAnswer::Kind::kMalformed);
    }
    const Bytes ip = frame.subspan(kEthLen);
    const size_t length = load16(ip, 4);
    if (ip[0] >> 4 != 6 || length > ip.size() - kIp6Len) {
        return only(HostAnswer::Kind::kMalformed);
    }
    if (ip[6] != kIcmp6) {
        return {};
    }
    const Bytes icmp = ip.subspan(kIp6Len, length);
    const Ip6 src = load_ip6(ip, 8);
    const Ip6 dst = load_ip6(ip, 24);
    if (icmp.size() < kEchoLen || fold(add(icmp, pseudo6(src, dst, length, kIcmp6))) != 0) {
        return only(HostAnswer::Kind::kMalformed);
    }
    if (icmp[0] != kEchoRequest6) {
        return answer_nd(frame, icmp, underlay);
    }
    if (icmp[1] != 0 || !is_ours(dst, underlay) || is_zero(src) || src.bytes[0] == 0xff ||
        is_ours(src, underlay)) {
        return {};
    }
    HostAnswer out = only(HostAnswer::Kind::kEchoReply);
    Writer w;
    w.ethernet(load_mac(frame, 6), Mac::from_u64(underlay.mac), kEthIp6);
    w.u32(load32(ip, 0) & 0xfff00000).u16(static_cast<uint16_t>(length)).u8(kIcmp6).u8(kHopLimit);
    w.ip6(dst).ip6(src);
    put_echo(w, kEchoReply6, icmp, pseudo6(dst, src, length, kIcmp6));
    out.reply = w.take();
    return out;
}

HostAnswer answer(std::span<const uint8_t> frame, const Underlay& underlay) {
    if (frame.size() < kEthLen) {
        return only(HostAnswer::Kind::kMalformed);
    }
    const Mac dst = load_mac(frame, 0);
    if (dst != Mac::from_u64(underlay.mac) && !dst.is_multicast()) {
        return {};
    }
    switch (load16(frame, 12)) {
    case kEthArp: return answer_arp(frame, underlay);
    // A ping to everybody's MAC address is not answered (RFC 1122, 3.3.6).
    case kEthIp4: return dst.is_multicast() ? HostAnswer{} : answer_ip4(frame, underlay);
    case kEthIp6: return answer_ip6(frame, underlay);
    default: return {};
    }
}

}  // namespace sluice
