// SPDX-License-Identifier: Apache-2.0
// Encapsulation: a packet and its logical coordinates into a Tunnel's outer header.
//
// The header is prebuilt (lib/program/tunnel.h); what differs per packet is patched: lengths, DSCP
// and ECN (RFC 6040 normal mode: the inner ECN is copied), TTL, source port, checksums, VNI, the
// OVN option. The source port is a function of the inner flow; a packet and its later fragments
// share it because fragments are hashed without ports.
#pragma once

#include <cstdint>

#include "datapath/stages.h"

namespace sluice {

/// The packet with `need` bytes of headroom: itself, or a copy. Null: dropped and counted.
rte_mbuf* with_headroom(WorkerCtx& ctx, rte_mbuf* m, uint16_t need);

/// `coordinates`: datapath key << 32 | inport << 16 | outport. Takes the packet over.
void send_by_tunnel(WorkerCtx& ctx, rte_mbuf* m, uint32_t tunnel, uint64_t coordinates);

}  // namespace sluice
