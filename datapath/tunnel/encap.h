// SPDX-License-Identifier: Apache-2.0
// Encapsulation: a packet and its logical coordinates into a Tunnel's outer header.
//
// The header is prebuilt (lib/program/tunnel.h); what differs per packet is patched: lengths, DSCP
// and ECN (RFC 6040 normal mode: the inner ECN is copied), TTL, source port, checksums, VNI, the
// OVN option. The source port is a function of the inner flow; a packet and its later fragments
// share it because fragments are hashed without ports.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

#include "datapath/stages.h"
#include "lib/program/key.h"
#include "lib/program/tunnel.h"

namespace sluice {

/// Traffic class and TTL of the inner packet as it is about to be sent, for the outer header.
struct InnerIp {
    bool ip = false;
    uint8_t tos = 0;
    uint8_t ttl = 0;

    InnerIp(const rte_mbuf* m, const PacketKey& key) {
        const uint8_t* l3 = rte_pktmbuf_mtod_offset(m, const uint8_t*, key.l2_len);
        if (key.kinds & kind::kIp4) {
            ip = true;
            tos = l3[1];
            ttl = l3[8];
        } else if (key.kinds & kind::kIp6) {
            ip = true;
            tos = static_cast<uint8_t>(l3[0] << 4 | l3[1] >> 4);
            ttl = l3[7];
        }
    }
};

/// The packet with `need` bytes of headroom: itself, or a copy. Null: dropped and counted.
rte_mbuf* with_headroom(WorkerCtx& ctx, rte_mbuf* m, uint16_t need);

/// The port to send by; of several next hops, one by the flow's hash, whose MACs go into `outer`.
inline uint16_t take_hop(const Tunnel& t, uint32_t hash, uint8_t* outer) {
    if (SLUICE_LIKELY(t.hops.empty())) {
        return t.port;
    }
    // Not the bits that choose the source port.
    const uint32_t other = hash * 0x9e3779b1u;
    const TunnelHop& hop = t.hops[uint64_t{other} * t.hops.size() >> 32];
    std::memcpy(outer, hop.macs, sizeof hop.macs);
    return hop.port;
}

/// `coordinates`: datapath key << 32 | inport << 16 | outport. Takes the packet over.
void send_by_tunnel(WorkerCtx& ctx, rte_mbuf* m, uint32_t tunnel, uint64_t coordinates);

}  // namespace sluice
