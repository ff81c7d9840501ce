// SPDX-License-Identifier: Apache-2.0
// Frames at entry points that are not like the others (lib/program/special_ports.h), and what an
// underlay port has for the host itself.
//
// A frame with another chassis' MAC gets its router's back before anything looks at it: the cache
// and the walk never see which chassis it came from. A port that waits for its activation lets
// only the frames through that activate it, and tells the slow path, which tells the database.
// The host is the slow path, or the kernel where it has a port of its own: then the slow path gets
// a copy of ARP and ND alone, from which it learns, and leaves answering to the kernel.
// Threads: worker.
#pragma once

#include "lib/program/pipeline.h"
#include "lib/program/ports.h"

struct rte_mbuf;

namespace sluice {

struct WorkerCtx;

/// False when the packet was dropped.
bool admit(WorkerCtx& ctx, rte_mbuf* m, const EntryPoint& entry, const Datapath& datapath);

/// Takes a packet that arrived on an underlay port and is no tunnel's.
void to_host(WorkerCtx& ctx, rte_mbuf* m, const Underlay& underlay, PortId port);

}  // namespace sluice
