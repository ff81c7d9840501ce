// SPDX-License-Identifier: Apache-2.0
// Facts of an L4 payload that lies in pieces: one piece for a packet, several for reassembled ones.
//
// What makes a packet trackable is what Open vSwitch's userspace conntrack asks: complete headers,
// right checksums (the device's word is taken when it has one), no port 0, of ICMP only echo,
// timestamp and information, and errors that quote a packet sent by the one they go to.
// Threads: none of their own.
#pragma once

#include "datapath/conntrack/conntrack.h"
#include "lib/program/key.h"

struct rte_mbuf;

namespace sluice {

struct L4Piece {
    const rte_mbuf* m;
    uint32_t offset;  ///< of its L4 bytes in the frame
    uint32_t size;    ///< even, but for the last piece
};

/// What the device says of a checksum.
enum class ChecksumWord : uint8_t { kUnknown, kGood, kBad };
ChecksumWord l4_checksum_word(const rte_mbuf* m);

/// False when the IPv4 header's checksum is wrong. True for IPv6.
bool l3_checksum_right(const rte_mbuf* m, const PacketKey& key);

/// `key` is the parse of the first piece's packet.
void read_facts(const PacketKey& key, const L4Piece* pieces, unsigned count, ChecksumWord word,
                PacketFacts* facts);

}  // namespace sluice
