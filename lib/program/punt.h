// SPDX-License-Identifier: Apache-2.0
// What a worker and the slow path tell each other about a packet, beside its bytes.
//
// It travels in the mbuf's private area (packet_meta.h). A punt carries all logical words of the
// State, so that an answer can go on in the pipeline exactly where the packet left it.
#pragma once

#include <cstdint>

#include "lib/program/state.h"

namespace sluice {

/// Why a packet goes to the slow path; each has one handler (control/slowpath).
enum class PuntReason : uint8_t {
    kUnderlay,       ///< arrived on an underlay port and is not a tunnel packet: ARP, ND, ICMP ...
    kDhcp4,          ///< put_dhcp_opts
    kDhcp6,          ///< put_dhcpv6_opts
    kNdRa,           ///< put_nd_ra_opts
    kDns,            ///< dns_lookup
    kDhcpRelayReq,   ///< dhcp_relay_req_chk
    kDhcpRelayResp,  ///< dhcp_relay_resp_chk
    kDhcp6Reply,     ///< handle_dhcpv6_reply
    kIgmp,           ///< igmp
    kBfd,            ///< handle_bfd_msg
    kSvcCheck,       ///< handle_svc_check
    kBindVport,      ///< bind_vport
    kEvent,          ///< trigger_event
    kLog,            ///< log
    kSample,         ///< sample
    kBuffer,         ///< arp{}, nd_ns{}: waits for an address
    kMacCacheUse,    ///< mac_cache_use
    kTunnelBfd,      ///< BFD of a tunnel: the inner frame, TunnelBfdWords say whose
    kActivation,     ///< a VM that moved here announces itself
    kCount
};

/// The logical words of a State: everything before the header fields.
inline constexpr unsigned kLogicalSlots = kSlotEthSrc;

/// Logical words of a kTunnelBfd punt: the outer addresses (IPv4-mapped, host order) and the
/// TunnelType.
struct TunnelBfdWords {
    static constexpr unsigned kSource = kSlotXxreg0;  ///< four words
    static constexpr unsigned kTarget = kSlotXxreg1;  ///< same
    static constexpr unsigned kType = kSlotInport;
};

/// What the slow path needs beside the bytes. Written by the worker that punts, read by the slow
/// path; for injected packets written by the slow path, read by the worker.
struct PuntMeta {
    PuntReason reason;
    uint8_t side;         ///< PipelineSide where an answer goes on (kResume)
    uint8_t table;        ///< and its table
    uint8_t result_slot;  ///< State slot and bit of the answer, for the handler to write
    uint8_t result_bit;
    uint16_t port;  ///< PortId it came from, or for kToPort injection the one to go to
    uint32_t flow;  ///< logical flow that punted, kNoFlow
    uint32_t args;  ///< id of the action's PuntArgs (control/compile/punt_args.h)
    uint32_t logical[kLogicalSlots];  ///< State: datapath key, inport, outport, flags, regs, ct_*
    uint16_t ct_zone;  ///< where ct_state in `logical` is from, if the packet is tracked

    uint32_t datapath() const { return logical[kSlotDatapath]; }  ///< tunnel key
    uint32_t inport() const { return logical[kSlotInport]; }      ///< port key
    uint32_t outport() const { return logical[kSlotOutport]; }    ///< port key
    uint32_t flags() const { return logical[kSlotFlags]; }        ///< State flags
    void set_result(bool value) {
        const uint32_t bit = 1u << result_bit;
        logical[result_slot] = value ? logical[result_slot] | bit : logical[result_slot] & ~bit;
    }
};

/// How a worker treats a packet that the slow path injects.
enum class InjectKind : uint8_t {
    kToPort,       ///< transmit on `port` as it is
    kFromPort,     ///< as if received on `port` (tests, dummy ports)
    kIngress,      ///< run the ingress pipeline of (datapath, inport)
    kOutput,       ///< run the output stage with (datapath, inport, outport)
    kOutputLocal,  ///< same, but only what the output stage delivers on this chassis
    kEgress,  ///< run the egress pipeline of local outport: no remote copies, no loopback check
    kResume,  ///< go on in (side, table) with all logical words: the answer to a punt
    kTunnel,  ///< encapsulate for tunnel `outport` with key 0 and no logical ports
};

}  // namespace sluice
