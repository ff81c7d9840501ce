// SPDX-License-Identifier: Apache-2.0
// Every capacity of the program in one place, with asserts that relate them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::limits {

inline constexpr unsigned kMaxWorkers = 64;
inline constexpr unsigned kMaxPorts = 1024;  ///< physical ports of the process
inline constexpr unsigned kMaxTables = 64;   ///< logical tables of one pipeline (northd: 43 today)
inline constexpr unsigned kBurst = 32;
inline constexpr unsigned kMaxReentries =
    64;  ///< patch port crossings of one packet, then a named drop
inline constexpr unsigned kMaxWalkDepth =
    96;                                     ///< nested next/clone of one packet, then a named drop
inline constexpr unsigned kMaxStack = 64;   ///< 32-bit words pushed by push()
inline constexpr unsigned kMaxCrossed = 8;  ///< datapaths a cached program may cross
inline constexpr unsigned kMaxLenClasses =
    60;  ///< distinct check_pkt_larger() lengths the cache can tell apart
inline constexpr unsigned kPuntRing = 4096;     ///< packets waiting for the slow path, per worker
inline constexpr unsigned kMessageRing = 4096;  ///< learn messages waiting, per worker
inline constexpr unsigned kInjectRing = 4096;   ///< packets waiting for a worker
inline constexpr unsigned kMbufPrivSize = 256;  ///< lib/program/packet_meta.h asserts what fills it

static_assert((kPuntRing & (kPuntRing - 1)) == 0 && (kInjectRing & (kInjectRing - 1)) == 0);
static_assert(kMaxReentries < kMaxWalkDepth);

}  // namespace sluice::limits
