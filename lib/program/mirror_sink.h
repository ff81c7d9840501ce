// SPDX-License-Identifier: Apache-2.0
// MirrorSink: where copies for one Mirror of the Southbound go, as workers see it.
//
// A mirror copies what its logical ports send, as it came in, or what they are sent, as it goes
// out; of one packet a mirror gets one copy, whichever of its ports it passes (as with a Mirror of
// Open vSwitch, which the reference makes of it). Copies go by GRE (RFC 2890: the key is the
// mirror's index), by ERSPAN type II (the index is the session and the index field), or out of a
// port of this chassis. The header is prebuilt like a Tunnel's; a worker patches lengths, ECN and
// the sequence number.
// Threads. Immutable once published; `sequence` is counted by all workers.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice {

/// Of one chassis: a logical port names its mirrors by the bits of a word.
inline constexpr unsigned kMaxMirrors = 64;

struct alignas(64) MirrorSink {
    enum class Type : uint8_t { kGre, kErspan, kLocal };
    static constexpr unsigned kMaxHeader = 80;     ///< Ethernet 14 + IPv6 40 + GRE 8 + ERSPAN 8
    static constexpr uint32_t kTarget = 1u << 31;  ///< Act::kEncap of a copy, not of a tunnel

    uint8_t header[kMaxHeader];  ///< outer Ethernet to the end of GRE or ERSPAN
    uint8_t header_len;          ///< 0: kLocal
    Type type;
    bool ip6;
    bool is_ready;                    ///< there are a route and a next hop's address, or the port
    uint16_t port;                    ///< PortId
    uint16_t mtu;                     ///< of the underlay port: largest outer IP packet
    std::atomic<uint32_t>* sequence;  ///< for ERSPAN's GRE headers; the Pipeline keeps it
};

}  // namespace sluice
