// SPDX-License-Identifier: Apache-2.0
// What conntrack and load-balancer instructions point at: made by the compiler, read by walks.
//
// Immutable once published; the compiled datapath that holds the instruction owns them. Addresses
// are host order; IPv4 in word 3, words 0..2 zero.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "lib/program/lb_lease.h"

namespace sluice {

/// Which zone a step works in. Decided at walk time: ports and datapaths carry zone numbers.
enum class CtZone : uint8_t {
    kPort,  ///< of a switch: ingress: the inport's; egress: the outport's, the inport's if it has
            ///< none (LogicalPort::ct_zone). Of a router: its DNAT zone
    kDnat,  ///< Datapath::dnat_zone
    kSnat,  ///< Datapath::snat_zone
    kPortSnat,  ///< as kPort, of a router its SNAT zone
    kCommon,    ///< Datapath::common_zone, of ct_dnat_in_czone and its like
};

enum class CtNat : uint8_t {
    kNone,
    kRestore,  ///< as the connection says: un-NAT, or the NAT decided when it was committed
    kSrc,
    kDst,
};

struct CtNatRange {
    CtNat kind = CtNat::kNone;
    bool is_v6 = false;
    uint32_t low[4] = {};   ///< first address
    uint32_t high[4] = {};  ///< last address
    uint16_t port_low = 0;  ///< 0: any port may be chosen, the packet's own first
    uint16_t port_high = 0;
};

/// Bits to write when committing: value under mask, most significant word of the label first.
struct CtMarks {
    uint32_t mark = 0;
    uint32_t mark_mask = 0;
    uint32_t label[4] = {};
    uint32_t label_mask[4] = {};
};

struct CtCommitArgs {
    CtNatRange nat;
    CtMarks marks;
};

/// ct_lb and its like: backends and what to note in the connection.
struct CtLbArgs {
    struct Backend {
        uint32_t address[4];
        uint16_t port;  ///< 0: keep the packet's
    };
    bool is_v6 = false;
    uint16_t hash_fields = 0;  ///< SelectHash bits; 0: the packet's flow hash
    CtMarks marks;             ///< natted, skip_snat, force_snat
    std::vector<Backend> backends;
};

/// Fields of hash_fields="..." (select, ct_lb).
namespace select_hash {
inline constexpr uint16_t kEthSrc = 1u << 0;
inline constexpr uint16_t kEthDst = 1u << 1;
inline constexpr uint16_t kIpProto = 1u << 2;
inline constexpr uint16_t kIpSrc = 1u << 3;  ///< ip_src, ipv6_src
inline constexpr uint16_t kIpDst = 1u << 4;
inline constexpr uint16_t kL4Src = 1u << 5;  ///< tcp_src, udp_src, sctp_src
inline constexpr uint16_t kL4Dst = 1u << 6;
}  // namespace select_hash

/// commit_lb_aff().
struct LbAffinityArgs {
    bool is_v6 = false;
    uint8_t proto = 0;  ///< 0: any
    uint16_t vip_port = 0;
    uint16_t backend_port = 0;
    uint16_t timeout_s = 0;
    uint32_t vip[4] = {};
    uint32_t backend[4] = {};
    std::shared_ptr<const LbLease> lease;  ///< what is remembered is good while this lives
};

}  // namespace sluice
