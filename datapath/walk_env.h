// SPDX-License-Identifier: Apache-2.0
// WalkEnv: what a walk may use besides the published pipeline.
//
// The pipeline is immutable; these live longer than one publish and change by packets: connections,
// affinities, the bytes of the packet that is walked (of which only PacketFacts are read), the
// time. Any pointer may be null (tests, tools): steps that need what is missing drop with
// Drop::k_no_conntrack.
// Threads. Each says for itself; `facts` belongs to the worker.
#pragma once

#include <cstdint>

#include "datapath/conntrack/conntrack.h"

struct rte_mbuf;

namespace sluice {

class LbAffinity;  // datapath/lb_affinity.h
class EcmpMemory;  // datapath/ecmp_memory.h
class MeterTable;  // datapath/meter.h
struct CtReplay;   // datapath/walk_ct.h
struct PacketKey;
struct PuntMeta;

struct WalkEnv {
    Conntrack* conntrack = nullptr;
    LbAffinity* affinity = nullptr;
    EcmpMemory* ecmp = nullptr;
    MeterTable* meters = nullptr;
    const rte_mbuf* packet = nullptr;    ///< as received
    const PuntMeta* resume = nullptr;    ///< WalkStart::Kind::kResume
    const PacketFacts* facts = nullptr;  ///< of the whole of a fragmented packet; else read then
    const PacketKey* whole = nullptr;    ///< then: the key of its first fragment
    CtReplay* replay = nullptr;          ///< then: what conntrack says to all its fragments
    uint64_t now_ms = 0;
    uint32_t random = 0;  ///< new for every packet, for sample()
};

}  // namespace sluice
