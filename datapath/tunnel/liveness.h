// SPDX-License-Identifier: Apache-2.0
// What the liveness of tunnels asks of a worker: the live member of a set, and BFD in and out.
//
// BFD of a tunnel is an ordinary packet in it with key 0 and without logical ports, as Open vSwitch
// sends it. Key 0 is no datapath's, so BFD of tenants (any other key) never comes this way.
#pragma once

#include <cstdint>

#include "datapath/stages.h"

namespace sluice {

/// The tunnel that `target` (an index, or TunnelSet::kTarget | number) leads to now; null: none.
const Tunnel* tunnel_of_target(const Pipeline& pipeline, uint32_t target);

/// Replaces TunnelSet::kTarget | number by the set's first live tunnel. False: there is none, and
/// the packet is dropped and counted.
bool choose_live(WorkerCtx& ctx, rte_mbuf* m, uint32_t* tunnel, uint64_t coordinates);

/// Where a tunnel packet came from; to be taken before its outer header goes.
struct OuterEnds {
    uint32_t source[4];  ///< host order, IPv4-mapped
    uint32_t target[4];
    TunnelType type;
    uint16_t port;  ///< PortId
};
OuterEnds outer_ends_of(const PacketKey& key, TunnelType type);

/// A packet with key 0, its outer header gone: hands it to the slow path if it is BFD. False: it is
/// not, and stays the caller's.
bool take_tunnel_bfd(WorkerCtx& ctx, rte_mbuf* m, const OuterEnds& ends);

/// Sends an inner frame with key 0. Takes the packet over.
void send_with_key_zero(WorkerCtx& ctx, rte_mbuf* m, uint32_t tunnel);

}  // namespace sluice
