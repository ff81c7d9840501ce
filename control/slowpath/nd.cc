// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "control/slowpath/host.h"
#include "control/slowpath/wire.h"

namespace sluice {
namespace {

using namespace wire;

constexpr uint8_t kSolicitation = 135;
constexpr uint8_t kAdvertisement = 136;
constexpr uint8_t kSourceLinkAddress = 1;
constexpr uint8_t kTargetLinkAddress = 2;
constexpr uint32_t kSolicited = 1u << 30;
constexpr uint32_t kOverride = 1u << 29;
constexpr size_t kNdLen = 24;
constexpr Ip6 kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

bool is_multicast(const Ip6& ip) {
    return ip.bytes[0] == 0xff;
}

bool on_link(const Ip6& ip, const Underlay& underlay) {
    if (ip.bytes[0] == 0xfe && (ip.bytes[1] & 0xc0) == 0x80) {
        return true;
    }
    for (const Underlay::Address6& ours : underlay.ip6) {
        unsigned bit = 0;
        while (bit < ours.length &&
               !((ip.bytes[bit / 8] ^ ours.ip.bytes[bit / 8]) & (0x80 >> bit % 8))) {
            ++bit;
        }
        if (bit == ours.length) {
            return true;
        }
    }
    return false;
}

Ip6 solicited_node(const Ip6& ip) {
    Ip6 group{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};
    std::memcpy(group.bytes.data() + 13, ip.bytes.data() + 13, 3);
    return group;
}

Mac group_mac(const Ip6& group) {
    Mac mac{{0x33, 0x33}};
    std::memcpy(mac.bytes.data() + 2, group.bytes.data() + 12, 4);
    return mac;
}

struct Options {
    bool valid = true;
    std::optional<Mac> link_address;
};

// The link-layer address option of `type`; all options must add up (RFC 4861, 7.1).
Options read_options(Bytes icmp, uint8_t type) {
    Options out;
    size_t at = kNdLen;
    while (at < icmp.size()) {
        const size_t length = at + 1 < icmp.size() ? icmp[at + 1] * 8u : 0;
        if (length == 0 || at + length > icmp.size()) {
            out.valid = false;
            return out;
        }
        if (icmp[at] == type && length == 8) {
            out.link_address = load_mac(icmp, at + 2);
        }
        at += length;
    }
    return out;
}

// A solicitation or advertisement with our link-layer address.
std::vector<uint8_t> nd(uint8_t type, const Mac& eth_dst, const Mac& us, const Ip6& src,
                        const Ip6& dst, uint32_t flags, const Ip6& target) {
    constexpr uint16_t kLength = kNdLen + 8;
    Writer w;
    w.ethernet(eth_dst, us, kEthIp6);
    w.u32(0x60000000).u16(kLength).u8(kIcmp6).u8(255).ip6(src).ip6(dst);
    const size_t at = w.size();
    w.u8(type).u8(0).u16(0).u32(flags).ip6(target);
    w.u8(type == kSolicitation ? kSourceLinkAddress : kTargetLinkAddress).u8(1).mac(us);
    w.patch16(at + 2, fold(add(w.view(at), pseudo6(src, dst, kLength, kIcmp6))));
    return w.take();
}

bool is_station(const std::optional<Mac>& mac) {
    return mac && !mac->is_zero() && !mac->is_multicast();
}

HostAnswer answer_solicitation(Bytes frame, Bytes icmp, const Underlay& underlay) {
    HostAnswer out;
    const Ip6 src = load_ip6(frame, kEthLen + 8);
    const Ip6 dst = load_ip6(frame, kEthLen + 24);
    const Ip6 target = load_ip6(icmp, 8);
    const Options options = read_options(icmp, kSourceLinkAddress);
    const bool probe = src == Ip6{};  // duplicate address detection
    out.kind = HostAnswer::Kind::kMalformed;
    if (!options.valid || is_multicast(src) ||
        (probe && (options.link_address || dst != solicited_node(target)))) {
        return out;
    }
    out.kind = HostAnswer::Kind::kSeen;
    const Mac us = Mac::from_u64(underlay.mac);
    const Mac eth_src = load_mac(frame, 6);
    if (eth_src == us || !is_ours(target, underlay)) {
        return out;
    }
    if (is_ours(src, underlay)) {
        out.conflict = true;
        return out;
    }
    if (!probe && is_station(options.link_address) && on_link(src, underlay)) {
        out.learned = Neighbor{true, {}, src, *options.link_address};
    }
    out.kind = HostAnswer::Kind::kNdReply;
    if (probe) {
        out.reply =
            nd(kAdvertisement, group_mac(kAllNodes), us, target, kAllNodes, kOverride, target);
    } else {
        const Mac to = is_station(options.link_address) ? *options.link_address : eth_src;
        out.reply = nd(kAdvertisement, to, us, target, src, kSolicited | kOverride, target);
    }
    return out;
}

HostAnswer answer_advertisement(Bytes frame, Bytes icmp, const Underlay& underlay) {
    HostAnswer out;
    const Ip6 dst = load_ip6(frame, kEthLen + 24);
    const Ip6 target = load_ip6(icmp, 8);
    const bool solicited = load32(icmp, 4) & kSolicited;
    const Options options = read_options(icmp, kTargetLinkAddress);
    out.kind = HostAnswer::Kind::kMalformed;
    if (!options.valid || (is_multicast(dst) && solicited)) {
        return out;
    }
    out.kind = HostAnswer::Kind::kSeen;
    const Mac us = Mac::from_u64(underlay.mac);
    const Mac eth_src = load_mac(frame, 6);
    if (eth_src == us) {
        return out;
    }
    // The answer to a unicast solicitation may leave the option out (RFC 4861, 4.4).
    const std::optional<Mac> mac =
        options.link_address || !solicited ? options.link_address : std::optional<Mac>(eth_src);
    if (is_ours(target, underlay)) {
        out.conflict = true;
    } else if (is_station(mac) && on_link(target, underlay)) {
        out.learned = Neighbor{true, {}, target, *mac};
    }
    return out;
}

}  // namespace

bool is_ours(const Ip6& ip, const Underlay& underlay) {
    for (const Underlay::Address6& ours : underlay.ip6) {
        if (ours.ip == ip) {
            return true;
        }
    }
    return false;
}

HostAnswer answer_nd(std::span<const uint8_t> frame, std::span<const uint8_t> icmp,
                     const Underlay& underlay) {
    if (icmp[0] != kSolicitation && icmp[0] != kAdvertisement) {
        return {};
    }
    const uint8_t hop_limit = frame[kEthLen + 7];
    if (hop_limit != 255 || icmp[1] != 0 || icmp.size() < kNdLen ||
        is_multicast(load_ip6(icmp, 8))) {
        HostAnswer out;
        out.kind = HostAnswer::Kind::kMalformed;
        return out;
    }
    return icmp[0] == kSolicitation ? answer_solicitation(frame, icmp, underlay)
                                    : answer_advertisement(frame, icmp, underlay);
}

std::vector<uint8_t> nd_solicitation(const Mac& src, const Ip6& src_ip, const Ip6& target) {
    const Ip6 group = solicited_node(target);
    return nd(kSolicitation, group_mac(group), src, src_ip, group, 0, target);
}

std::vector<uint8_t> nd_announcement(const Mac& src, const Ip6& ip) {
    return nd(kAdvertisement, group_mac(kAllNodes), src, ip, kAllNodes, kOverride, ip);
}

}  // namespace sluice
