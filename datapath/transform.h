// SPDX-License-Identifier: Apache-2.0
// Transforms on bytes: what replaces the packet as a whole, made from the packet as it is now.
//
// One file a family: transform.cc ARP and ND, transform_answer.cc ICMP errors, resets and aborts.
// edit::transform() (edit.h) dispatches and reads the new frame afterwards. What the State becomes
// is in transform_state.cc; both follow ovn-controller, byte for byte: TTL 255 for ICMP and ND, 63
// for RST and ABORT, DF and no identification, no traffic class, the quoted packet cut so that the
// frame stays within 576 (IPv4) or 1280 bytes (IPv6). ARP and ICMP carry the packet's tag, as
// 802.1Q without DEI; ND, RST and ABORT have none.
// Internal to the byte side of transforms.
#pragma once

#include <cstdint>

#include "lib/program/key.h"

struct rte_mbuf;

namespace sluice::edit {

/// How much of a packet an ICMP error quotes at most: what an Ethernet frame of 576 or 1280 bytes
/// leaves.
inline constexpr uint32_t kQuote4 = 576 - 14 - 20 - 8;
inline constexpr uint32_t kQuote6 = 1280 - 14 - 40 - 8;
/// IP header fields of answers.
inline constexpr uint8_t kIcmpTtl = 255;
inline constexpr uint8_t kResetTtl = 63;

/// Makes the frame one segment of an Ethernet header, the tag if there is one and `keep_tag`, and
/// `payload` zero bytes, where the result points. MAC addresses stay as they are. Null without
/// room.
uint8_t* reshape(rte_mbuf* m, const PacketKey& key, bool keep_tag, uint16_t type, uint16_t payload);

// transform_answer.cc. `reject`: addresses swapped, the code by protocol, and no answer to errors.
// False when the packet is not one to answer.
bool to_icmp(rte_mbuf* m, const PacketKey& key, bool reject);
bool to_reset(rte_mbuf* m, const PacketKey& key, bool reject);
bool to_abort(rte_mbuf* m, const PacketKey& key, bool reject);
bool to_rejection(rte_mbuf* m, const PacketKey& key);

}  // namespace sluice::edit
