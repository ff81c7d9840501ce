// SPDX-License-Identifier: Apache-2.0
// The one typed view of an mbuf's private area, from receive to the slow path.
#pragma once

#include <rte_mbuf.h>

#include "lib/base/limits.h"
#include "lib/program/key.h"
#include "lib/stats/counters.h"

namespace sluice {

enum class PuntReason : uint8_t {
    kUnderlay,  ///< arrived on an underlay port and is not a tunnel packet: ARP, ND, ICMP ...
};

/// What the slow path needs beside the bytes. Written by the worker that punts, read by the slow
/// path; for injected packets written by the slow path, read by the worker.
struct PuntMeta {
    PuntReason reason;
    uint8_t side;       ///< PipelineSide where to resume an injected packet
    uint16_t port;      ///< PortId it came from, or for kToPort injection the one to go to
    uint32_t datapath;  ///< tunnel key
    uint32_t inport;    ///< port key
    uint32_t outport;   ///< port key
    uint32_t flags;     ///< State flags
    uint32_t flow;      ///< logical flow that punted, kNoFlow
};

/// How a worker treats a packet that the slow path injects.
enum class InjectKind : uint8_t {
    kToPort,    ///< transmit on `port` as it is
    kFromPort,  ///< as if received on `port` (tests, dummy ports)
    kIngress,   ///< run the ingress pipeline of (datapath, inport)
    kOutput,    ///< run the output stage with (datapath, inport, outport)
};

struct PacketMeta {
    PacketKey key;  ///< written by parse, read by the worker
    PuntMeta punt;
    InjectKind inject;
};
static_assert(sizeof(PacketMeta) <= limits::kMbufPrivSize);

inline PacketMeta& meta_of(rte_mbuf* m) {
    return *static_cast<PacketMeta*>(rte_mbuf_to_priv(m));
}

}  // namespace sluice
