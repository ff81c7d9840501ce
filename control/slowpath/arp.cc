// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/host.h"
#include "control/slowpath/wire.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint16_t kRequest = 1;
constexpr uint16_t kReply = 2;

bool on_link(const Ip4& ip, const Underlay& underlay) {
    for (const Underlay::Address4& ours : underlay.ip4) {
        const uint32_t mask = ours.length == 0 ? 0 : ~uint32_t{0} << (32 - ours.length);
        if ((ip.value & mask) == (ours.ip & mask)) {
            return true;
        }
    }
    return false;
}

std::vector<uint8_t> arp(uint16_t op, const Mac& eth_dst, const Mac& sha, const Ip4& spa,
                         const Mac& tha, const Ip4& tpa) {
    Writer w;
    w.ethernet(eth_dst, sha, kEthArp);
    w.u16(1).u16(kEthIp4).u8(6).u8(4).u16(op);
    w.mac(sha).u32(spa.value).mac(tha).u32(tpa.value);
    return w.take();
}

}  // namespace

bool is_ours(const Ip4& ip, const Underlay& underlay) {
    for (const Underlay::Address4& ours : underlay.ip4) {
        if (ours.ip == ip.value) {
            return true;
        }
    }
    return false;
}

HostAnswer answer_arp(std::span<const uint8_t> frame, const Underlay& underlay) {
    HostAnswer out;
    out.kind = HostAnswer::Kind::kMalformed;
    if (frame.size() < kEthLen + kArpLen) {
        return out;
    }
    const Bytes body = frame.subspan(kEthLen);
    const uint16_t op = load16(body, 6);
    if (load16(body, 0) != 1 || load16(body, 2) != kEthIp4 || body[4] != 6 || body[5] != 4 ||
        (op != kRequest && op != kReply)) {
        return out;
    }
    const Mac us = Mac::from_u64(underlay.mac);
    const Mac sha = load_mac(body, 8);
    const Ip4 spa{load32(body, 14)};
    const Ip4 tpa{load32(body, 24)};
    if (sha.is_zero() || sha.is_multicast()) {
        return out;
    }
    out.kind = HostAnswer::Kind::kSeen;
    if (sha == us) {
        return out;  // our own, come back
    }
    if (is_ours(spa, underlay)) {
        out.conflict = true;
        return out;
    }
    const bool for_us = is_ours(tpa, underlay);
    const bool announced = spa == tpa;
    if (spa.value != 0 && (for_us || announced) && on_link(spa, underlay)) {
        out.learned = Neighbor{false, spa, {}, sha};
    }
    if (op == kRequest && for_us) {
        out.kind = HostAnswer::Kind::kArpReply;
        out.reply = arp(kReply, sha, us, tpa, sha, spa);
    }
    return out;
}

std::vector<uint8_t> arp_request(const Mac& src, const Ip4& src_ip, const Ip4& target) {
    return arp(kRequest, kBroadcast, src, src_ip, Mac{}, target);
}

std::vector<uint8_t> arp_announcement(const Mac& src, const Ip4& ip) {
    return arp(kRequest, kBroadcast, src, ip, Mac{}, ip);  // RFC 5227, 3
}

}  // namespace sluice
