// SPDX-License-Identifier: Apache-2.0
// What the answering services share: where headers lie in a frame, and an answer in its place.
//
// All services keep the request's Ethernet and IP headers (the logical flow that asked turns
// addresses round) and replace what follows; finish_*() brings lengths and checksums in order.
// Frames come from workers, so nothing about them is believed that was not looked at here.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "control/slowpath/wire.h"

namespace sluice::services {

using wire::Bytes;

inline constexpr size_t kUdpLen = 8;
inline constexpr uint8_t kUdp = 17;

inline void put16(uint8_t* p, uint32_t v) {
    p[0] = static_cast<uint8_t>(v >> 8);
    p[1] = static_cast<uint8_t>(v);
}
inline void put32(uint8_t* p, uint32_t v) {
    put16(p, v >> 16);
    put16(p + 2, v);
}

/// Why a request came back as it was.
enum class Refusal : uint8_t {
    kNone,         ///< answered
    kNotForUs,     ///< well formed, and nothing that this service answers
    kMalformed,    ///< breaks its protocol
    kBadArgument,  ///< the logical flow says something that cannot be encoded
};

struct Answer {
    Refusal refusal = Refusal::kNone;
    std::vector<uint8_t> frame;  ///< empty unless answered
    const char* what = "";       ///< for the log: the kind of answer, or what was wrong

    static Answer refused(Refusal why, const char* what) { return {why, {}, what}; }
};

/// Offsets of the headers of an IP packet. The packet ends at `end`, the frame may be padded.
struct Layers {
    size_t network = 0;
    size_t transport = 0;
    size_t end = 0;
    bool ip6 = false;
    uint8_t protocol = 0;
};
/// Nothing if the frame is not IP, is damaged, or is a fragment without a transport header.
std::optional<Layers> find_layers(Bytes frame);

/// find_layers(), and there is a UDP header.
std::optional<Layers> find_udp(Bytes frame);
inline Bytes udp_payload(Bytes frame, const Layers& at) {
    return frame.first(at.end).subspan(at.transport + kUdpLen);
}

/// The request's headers up to and with `length` bytes from the transport header on.
wire::Writer start_answer(Bytes request, const Layers& at, size_t length);

/// Writes the lengths (`udp_length` is UDP header and payload) and checksums; UDP over IPv4 goes
/// without one.
void finish_udp(std::vector<uint8_t>* frame, const Layers& at, size_t udp_length);
/// Writes the IPv6 length and the checksum of an ICMPv6 message.
void finish_icmp6(std::vector<uint8_t>* frame, const Layers& at);

}  // namespace sluice::services
