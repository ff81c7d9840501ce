// SPDX-License-Identifier: Apache-2.0
#include "lib/program/port_security.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "datapath/walk.h"
#include "lib/net/wire.h"

namespace sluice {
namespace {

using Entry = PortSecurity::Entry;

bool is_ip4(const State& s) {
    return s.w[kSlotEthType] == wire::kTypeIp4;
}
bool is_ip6(const State& s) {
    return s.w[kSlotEthType] == wire::kTypeIp6;
}
bool is_arp(const State& s) {
    return s.w[kSlotEthType] == wire::kTypeArp;
}
bool is_advertisement(const State& s) {
    return is_ip6(s) && s.w[kSlotIpProto] == wire::kProtoIcmp6 && s.w[kSlotL4Src] == wire::kNdNa;
}

/// A written host part means that one address, none means the whole subnet.
bool covers4(const PortSecurity::Net4& net, uint32_t ip) {
    return net.ip & ~net.mask ? ip == net.ip : (ip & net.mask) == (net.ip & net.mask);
}

bool has4(const Entry& entry, uint32_t ip) {
    for (const PortSecurity::Net4& net : entry.ip4) {
        if (covers4(net, ip)) {
            return true;
        }
    }
    return false;
}

bool covers6(const PortSecurity::Net6& net, const uint32_t* slots) {
    for (unsigned i = 0; i < 4; ++i) {
        uint32_t ip;
        uint32_t mask;
        std::memcpy(&ip, net.ip.bytes.data() + 4 * i, 4);
        std::memcpy(&mask, net.mask.bytes.data() + 4 * i, 4);
        if ((slots[i] ^ ntohl(ip)) & ntohl(mask)) {
            return false;
        }
    }
    return true;
}

bool listed6(const Entry& entry, const uint32_t* slots) {
    for (const PortSecurity::Net6& net : entry.ip6) {
        if (covers6(net, slots)) {
            return true;
        }
    }
    return false;
}

/// The link-local address that EUI-64 makes of `mac`, or one of the entry's own.
bool has6(const Entry& entry, const uint32_t* slots) {
    const auto high = static_cast<uint32_t>(entry.mac >> 24) ^ 0x020000;
    if (slots[0] == 0xfe800000 && slots[1] == 0 && slots[2] == (high << 8 | 0xff) &&
        slots[3] == (0xfe000000u | static_cast<uint32_t>(entry.mac & 0xffffff))) {
        return true;
    }
    return listed6(entry, slots);
}

bool arp_ok(const Entry& entry, const State& s) {
    if (entry.ip4.empty() && !entry.ip6.empty()) {
        return false;
    }
    return s.mac(kSlotArpSha) == entry.mac && (entry.ip4.empty() || has4(entry, s.w[kSlotArpSpa]));
}

/// An advertisement must name an IPv6 address of the entry and its MAC, or none.
bool advertisement_ok(const Entry& entry, const State& s) {
    const uint64_t tll = s.mac(kSlotNdTll);
    return s.mac(kSlotEthSrc) == entry.mac && s.w[kSlotL4Dst] == 0 &&
           (tll == 0 || tll == entry.mac) && listed6(entry, s.w + kSlotNdTarget);
}

bool source4_ok(const Entry& entry, const State& s) {
    const bool dhcp = s.w[kSlotIp4Src] == 0 && s.w[kSlotIp4Dst] == 0xffffffff &&
                      s.w[kSlotIpProto] == wire::kProtoUdp && s.w[kSlotL4Src] == 68 &&
                      s.w[kSlotL4Dst] == 67;
    return !entry.ip4.empty() && (dhcp || has4(entry, s.w[kSlotIp4Src]));
}

bool source6_ok(const Entry& entry, const State& s) {
    if (entry.ip6.empty()) {
        return false;
    }
    const uint32_t* src = s.w + kSlotIp6Src;
    const bool unspecified = (src[0] | src[1] | src[2] | src[3]) == 0;
    const uint32_t type = s.w[kSlotL4Src];
    const bool joining = unspecified && s.w[kSlotIp6Dst] >> 16 == 0xff02 &&
                         s.w[kSlotIpProto] == wire::kProtoIcmp6 && s.w[kSlotL4Dst] == 0 &&
                         (type == 131 || type == 135 || type == 143);
    return joining || has6(entry, src);
}

bool in_ok(const Entry& entry, const State& s) {
    if (s.mac(kSlotEthSrc) != entry.mac) {
        return false;
    }
    if (is_arp(s)) {
        return arp_ok(entry, s);
    }
    if (!entry.has_ip()) {
        return true;
    }
    return is_ip4(s) ? source4_ok(entry, s) : is_ip6(s) && source6_ok(entry, s);
}

template <typename F>
bool any(const PortSecurity& security, F&& good) {
    return std::any_of(security.entries.begin(), security.entries.end(), good);
}

bool destination4_ok(const Entry& entry, uint32_t ip) {
    if (entry.ip4.empty()) {
        return false;
    }
    if (ip == 0xffffffff || ip >> 28 == 0xe || has4(entry, ip)) {
        return true;
    }
    for (const PortSecurity::Net4& net : entry.ip4) {
        if (net.mask != 0xffffffff && ip == (net.ip | ~net.mask)) {
            return true;
        }
    }
    return false;
}

bool out_ok(const Entry& entry, const State& s) {
    if (s.mac(kSlotEthDst) != entry.mac) {
        return false;
    }
    if (!entry.has_ip()) {
        return true;
    }
    if (is_ip4(s)) {
        return destination4_ok(entry, s.w[kSlotIp4Dst]);
    }
    if (is_ip6(s)) {
        return !entry.ip6.empty() &&
               (s.w[kSlotIp6Dst] >> 24 == 0xff || has6(entry, s.w + kSlotIp6Dst));
    }
    return true;
}

}  // namespace

// Solicitations pass whatever their option says, and advertisements are judged only with the hop
// limit that makes them valid: so does the reference hypervisor, which guests rely on.
bool violates_in(const PortSecurity& security, const State& s) {
    if (!any(security, [&](const Entry& e) { return in_ok(e, s); })) {
        return true;
    }
    return is_advertisement(s) && s.w[kSlotIpTtl] == 255 &&
           !any(security, [&](const Entry& e) { return advertisement_ok(e, s); });
}

bool violates_out(const PortSecurity& security, const State& s) {
    return !any(security, [&](const Entry& e) { return out_ok(e, s); });
}

}  // namespace sluice
