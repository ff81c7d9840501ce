// SPDX-License-Identifier: Apache-2.0
// Tunnels and underlay ports as workers see them: prebuilt outer headers, our own addresses.
//
// The control thread resolves chassis, route and neighbour into one Tunnel per (remote chassis,
// encap); a worker copies its header in front of the packet and patches what differs per packet:
// outer lengths, source port, keys, ECN, checksum. Immutable once published.
//
// What stands behind the outer IP header, by type (all in `header`, variable fields zero):
//   Geneve  UDP 8, base header 8, OVN's option 8: VNI is the datapath, the option has the ports
//   VXLAN   UDP 8, VXLAN 8: VNI is outport << 12 | datapath, or the datapath alone for a VTEP
//   STT     TCP-like 20, frame header 18: the context ID has all three
#pragma once

#include <cstdint>
#include <vector>

#include "lib/net/addr.h"
#include "lib/program/liveness.h"

namespace sluice {

enum class TunnelType : uint8_t { kGeneve, kVxlan, kStt };

/// Which option carries OVN's ports in Geneve: 0x0102/0x80, or the older class 0xffff type 0.
enum class GeneveOption : uint8_t { kOvn, kLegacy };

/// One of several equal ways to a tunnel's other end.
struct TunnelHop {
    uint8_t macs[12];  ///< outer destination and source
    uint16_t port;     ///< PortId
    bool operator==(const TunnelHop&) const = default;
};

struct alignas(64) Tunnel {
    static constexpr unsigned kMaxHeader =
        96;  ///< Ethernet 14 + VLAN 4 + IPv6 40 + STT 38 is the longest

    uint8_t header[kMaxHeader];  ///< outer Ethernet to the inner frame; variable fields zero
    uint8_t header_len;
    uint8_t l3_ofs;  ///< of the outer IP header
    uint8_t l4_ofs;  ///< of the outer UDP (STT: TCP) header
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
    uint16_t mtu;            ///< of the underlay port: largest outer IP packet; 0: any
    uint32_t room;           ///< largest inner frame that it carries
    uint32_t id;             ///< index in Pipeline::tunnels, and for display
    uint16_t src_port_base;  ///< outer source port = base + hash % range
    uint16_t src_port_range;
    const TunnelLife* life = nullptr;  ///< null: live
    std::vector<TunnelHop> hops;       ///< two or more: chosen by the flow's hash
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
    uint16_t vxlan_port = 0;         ///< UDP; 0: not spoken, the host's own business
    uint16_t stt_port = 0;           ///< TCP; same
    bool accept_zero_csum6 = false;  ///< RFC 6935: UDP over IPv6 without checksum
    /// Port to the kernel, which is the host on this network: it gets what is no tunnel packet.
    uint16_t exception = 0xffff;
};

}  // namespace sluice
