// SPDX-License-Identifier: Apache-2.0
// Headers: a frame's header fields as Open vSwitch's flow_extract() would see them.
//
// What. One pass over the bytes gives the fields that the monitors of this folder act on and that
// ACL logs and IPFIX records report. Whatever is not there, or is cut off, reads as zero, in the
// same places as in Open vSwitch: the text of an ACL log must be the same for every frame.
//
// Offsets are from the start of the frame; `l4_len` ends where the IP datagram does, so padding is
// not part of it. Threads: a value; pure function.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/net/addr.h"

namespace sluice::watch {

struct Headers {
    static constexpr size_t kMaxVlans = 2;
    static constexpr size_t kMaxMpls = 3;

    Mac dst, src;
    uint16_t eth_type = 0;                  ///< innermost; 0x5ff for 802.3 frames without SNAP
    std::array<uint16_t, kMaxVlans> tci{};  ///< with bit 12 set: there is a tag
    std::array<uint32_t, kMaxMpls> mpls{};
    size_t n_mpls = 0;  ///< entries up to the bottom of the stack; kMaxMpls if it was not reached

    size_t l3 = 0;  ///< offset, 0: no valid IP header
    size_t l4 = 0;  ///< offset, 0: none
    size_t l4_len = 0;
    uint8_t proto = 0;  ///< after IPv6 extension headers; ARP: the operation
    uint8_t tos = 0;
    uint8_t ttl = 0;
    bool is_frag = false;
    bool is_later_frag = false;
    Ip4 ip4_src, ip4_dst;  ///< ARP: spa, tpa
    Ip6 ip6_src, ip6_dst;
    uint32_t ip6_label = 0;

    uint16_t l4_src = 0;  ///< ICMP, IGMP: type
    uint16_t l4_dst = 0;  ///< ICMP, IGMP: code
    uint16_t tcp_flags = 0;
    Mac arp_sha, arp_tha;
    Ip6 nd_target;
    Mac nd_sll, nd_tll;

    bool is_ip4() const { return eth_type == 0x0800; }
    bool is_ip6() const { return eth_type == 0x86dd; }
    bool is_ip() const { return is_ip4() || is_ip6(); }
    bool is_nd() const {
        return is_ip6() && proto == 58 && (l4_src == 135 || l4_src == 136) && l4_dst == 0;
    }
};

/// A frame of less than an Ethernet header has all zero fields.
Headers read_headers(std::span<const uint8_t> frame);

}  // namespace sluice::watch
