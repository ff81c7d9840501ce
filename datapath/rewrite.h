// SPDX-License-Identifier: Apache-2.0
// Rewrite: the sets of a routed or translated packet as one edit.
//
// What. Most programs that change a packet set MAC addresses and TTL, and with NAT one IPv4 address
// and port. Set one by one each finds its place and mends the checksums anew; here all places are
// known and each checksum is mended once. RFC 1624 section 3.
// Where it fits is decided per packet: false, and the program's words are run instead. Both give
// the same bytes (tests/property/cache_identity_test.cc).
// Threads: pure.
#pragma once

#include <cstdint>

#include "lib/program/key.h"

struct rte_mbuf;

namespace sluice {

struct Rewrite {
    static constexpr uint16_t kEthDst = 1u << 0;
    static constexpr uint16_t kEthSrc = 1u << 1;
    static constexpr uint16_t kTtl = 1u << 2;
    static constexpr uint16_t kSrc = 1u << 3;
    static constexpr uint16_t kDst = 1u << 4;
    static constexpr uint16_t kSrcPort = 1u << 5;
    static constexpr uint16_t kDstPort = 1u << 6;
    static constexpr uint16_t kTuple = kSrc | kDst | kSrcPort | kDstPort;

    uint16_t fields;
    uint8_t ttl;
    uint8_t macs[12];  ///< as in a frame: destination, source
    uint8_t pad;
    uint32_t src;  ///< addresses and ports in network order
    uint32_t dst;
    uint16_t src_port;
    uint16_t dst_port;
    uint32_t pad2;
};
static_assert(sizeof(Rewrite) == 32);

/// The sets in `words` up to the act that ends the section. Null: some other act is among them.
const uint64_t* collect_sets(const uint64_t* words, const uint64_t* end, Rewrite* out);
/// False: not a packet for it, nothing is changed.
bool apply_rewrite(rte_mbuf* m, const PacketKey& key, const Rewrite& rewrite);

}  // namespace sluice
