// SPDX-License-Identifier: Apache-2.0
// VXLAN header (RFC 7348), and what OVN puts into its 24 bits.
//
// Between chassis the VNI is split: bits 11..0 the datapath, bits 22..12 the egress port, bit 23
// set for a multicast group, of whose key 11 bits are left. There is no ingress port. Towards a
// VTEP gateway the VNI is the datapath alone. The two look alike on the wire; who sent a packet
// tells them apart (Pipeline::ramps).
// Sending is strict (all that RFC 7348 reserves is zero, as Open vSwitch demands), receiving
// liberal: only the I bit matters.
#pragma once

#include <cstdint>

#include "lib/stats/counters.h"

namespace sluice {

inline constexpr unsigned kVxlanLen = 8;

/// Reads the header at `data`, of which `len` bytes belong to the packet.
Drop parse_vxlan(const uint8_t* data, uint32_t len, uint32_t* vni);

/// What a VNI between chassis stands for.
struct VxlanCoordinates {
    uint32_t datapath;
    uint32_t outport;
};
VxlanCoordinates split_vni(uint32_t vni);

/// `coordinates`: datapath key << 32 | inport << 16 | outport; outport 0 for a VTEP gateway.
uint32_t make_vni(uint64_t coordinates);

}  // namespace sluice
