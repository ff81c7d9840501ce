// SPDX-License-Identifier: Apache-2.0
// Byte edits: the only code of the data path that changes packets, checksums included.
//
// Every function needs the PacketKey to tell the truth about the frame's layout (kinds, l2_len,
// l3_len, l4_ofs) and keeps it true when the layout changes. Field values in the key are not
// updated: after the first edit the bytes are what counts. Checksums are updated incrementally, so
// a wrong one stays wrong by as much (end to end, as RFC 1624 wants). Later fragments have no L4
// header; UDP without checksum stays without.
#pragma once

#include <cstdint>

#include "datapath/program.h"
#include "lib/program/key.h"

struct rte_mbuf;

namespace sluice::edit {

/// Bytes that parse wants contiguous: Ethernet, tag, IP with options or extensions, TCP.
inline constexpr uint16_t kHeaderSpan = 256;

/// Moves bytes forward until the first segment holds `want` bytes or has no room.
void pull_up(rte_mbuf* m, uint16_t want);

/// Writes (old & ~mask) | value into a field of up to 48 bits. False when the frame has no such
/// field and it is not the kind of frame that may lack it.
bool set_field(rte_mbuf* m, PacketKey* key, Target target, uint64_t value, uint64_t mask);
/// Same for a 16-byte field; null mask: all of it.
bool set_field16(rte_mbuf* m, PacketKey* key, Target target, const uint8_t value[16],
                 const uint8_t* mask);
/// IPv4 or IPv6 traffic class byte, used by ECN too.
void set_tos(uint8_t* l3, bool ip6, uint8_t tos);

void pop_vlan(rte_mbuf* m, PacketKey* key);
/// False without headroom.
bool push_vlan(rte_mbuf* m, PacketKey* key, uint16_t tci);
/// Sets the VID of a tagged frame (keeping the priority), or pushes a tag.
bool set_vlan_vid(rte_mbuf* m, PacketKey* key, uint16_t tci);

/// Of an echo request or reply; other frames stay. True.
bool set_icmp_id(rte_mbuf* m, const PacketKey& key, uint16_t id);

/// What the packet that an ICMP error quotes is to say; IPv4 addresses in the last four bytes.
struct QuotedTuple {
    bool ip6;
    uint8_t src[16];
    uint8_t dst[16];
    uint16_t src_port;  ///< or the ICMP identifier
    uint16_t dst_port;
};
/// Translates the quoted packet: its checksums by what changed, as far as they are quoted; the
/// checksum of the error is made anew. False when nothing is quoted.
bool translate_quoted(rte_mbuf* m, const PacketKey& key, const QuotedTuple& to);

/// Replaces the frame by the one that `transform` makes of it and parses that. False when the
/// frame is not what the transform starts from.
bool transform(rte_mbuf* m, PacketKey* key, Transform transform);

}  // namespace sluice::edit
