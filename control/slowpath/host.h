// SPDX-License-Identifier: Apache-2.0
// What a host does with frames for itself on an underlay port: ARP, ND, ping. Pure functions.
//
// answer() takes one received frame and says what to send back, what it taught, and why not. The
// rules are those of RFC 826, 5227 (ARP), 4861 (ND), 792 and 4443 (echo); frames that break a MUST
// of theirs are malformed and leave no trace. Only neighbours that can be on the link are learnt:
// in a prefix of one of our addresses, or link-local.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/net/addr.h"
#include "lib/program/tunnel.h"

namespace sluice {

struct Neighbor {
    bool ip6 = false;
    Ip4 addr4;
    Ip6 addr6;
    Mac mac;
    bool operator==(const Neighbor&) const = default;
};

struct HostAnswer {
    enum class Kind : uint8_t {
        kNotOurs,    ///< nothing this host deals with
        kMalformed,  ///< breaks its protocol, or a bad checksum
        kSeen,       ///< dealt with, no reply
        kArpReply,
        kNdReply,
        kEchoReply,
    } kind = Kind::kNotOurs;
    std::vector<uint8_t> reply;
    std::optional<Neighbor> learned;
    bool conflict = false;  ///< another host has one of our addresses
};

HostAnswer answer(std::span<const uint8_t> frame, const Underlay& underlay);

/// The parts of answer(); `frame` has the EtherType in question.
HostAnswer answer_arp(std::span<const uint8_t> frame, const Underlay& underlay);
HostAnswer answer_ip4(std::span<const uint8_t> frame, const Underlay& underlay);
HostAnswer answer_ip6(std::span<const uint8_t> frame, const Underlay& underlay);
/// `icmp` is the ICMPv6 part of `frame`, its checksum verified.
HostAnswer answer_nd(std::span<const uint8_t> frame, std::span<const uint8_t> icmp,
                     const Underlay& underlay);

bool is_ours(const Ip4& ip, const Underlay& underlay);
bool is_ours(const Ip6& ip, const Underlay& underlay);

/// Solicitations and announcements.
std::vector<uint8_t> arp_request(const Mac& src, const Ip4& src_ip, const Ip4& target);
std::vector<uint8_t> arp_announcement(const Mac& src, const Ip4& ip);
std::vector<uint8_t> nd_solicitation(const Mac& src, const Ip6& src_ip, const Ip6& target);
std::vector<uint8_t> nd_announcement(const Mac& src, const Ip6& ip);

}  // namespace sluice
