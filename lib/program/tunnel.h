// SPDX-License-Identifier: Apache-2.0
// Tunnels and underlay ports as workers see them: prebuilt outer headers, our own addresses.
//
// The control thread resolves chassis, route and neighbour into one Tunnel per (remote chassis,
// encap); a worker copies its header in front of the packet and patches what differs per packet:
// outer lengths, source port, VNI, the OVN option, ECN, checksum. Immutable once published.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/net/addr.h"

namespace sluice {

enum class TunnelType : uint8_t { kGeneve, kVxlan, kStt };

/// Which option carries OVN's ports in Geneve: 0x0102/0x80, or the older class 0xffff type 0.
enum class GeneveOption : uint8_t { kOvn, kLegacy };

struct alignas(64) Tunnel {
    static constexpr unsigned kMaxHeader =
        96;  ///< Ethernet 14 + VLAN 4 + IPv6 40 + UDP 8 + Geneve 16 = 82

    uint8_t header[kMaxHeader];  ///< outer Ethernet to the end of the Geneve option; variable
                                 ///< fields zero
    uint8_t header_len;
    uint8_t l3_ofs;  ///< of the outer IP header
    uint8_t l4_ofs;  ///< of the outer UDP header
    TunnelType type;
    bool ip6;
    bool csum;         ///< the receiver wants outer UDP checksums (always sent over IPv6)
    bool tos_inherit;  ///< outer DSCP = inner DSCP
    bool ttl_inherit;
    uint8_t tos;  ///< outer DSCP << 2 when not inherited
    uint8_t ttl;
    bool df;
    enum class State : uint8_t { kReady, kNoRoute, kUnresolved } state;
    GeneveOption option;
    uint16_t port;           ///< PortId of the underlay port
    uint16_t mtu;            ///< of the underlay port: largest outer IP packet
    uint32_t id;             ///< index in Pipeline::tunnels, and for display
    uint16_t src_port_base;  ///< outer source port = base + hash % range
    uint16_t src_port_range;
};

/// Our side of an underlay network on one physical port.
struct Underlay {
    struct Address4 {
        uint32_t ip;  ///< host order
        uint8_t length;
    };
    struct Address6 {
        Ip6 ip;
        uint8_t length;
    };
    uint64_t mac;  ///< Mac::to_u64
    std::vector<Address4> ip4;
    std::vector<Address6> ip6;
    uint16_t geneve_port = 6081;
    bool accept_zero_csum6 = false;  ///< RFC 6935: UDP over IPv6 without checksum
};

}  // namespace sluice
