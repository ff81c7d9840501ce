// SPDX-License-Identifier: Apache-2.0
// Copies of packets for captures (lib/program/capture.h): called only while WorkerCtx::capture is
// set.
//
// Threads. The worker's own. Nothing here waits, allocates or keeps a packet.
#pragma once

#include <cstdint>

#include "lib/program/capture.h"
#include "lib/program/ports.h"
#include "lib/stats/counters.h"

struct rte_mbuf;

namespace sluice {

struct WorkerCtx;

/// A burst that `port` received (kCaptureRx) or is about to be given (kCaptureTx).
void capture_burst(WorkerCtx& ctx, rte_mbuf* const* pkts, unsigned n, PortId port,
                   CaptureDirection direction);
/// A packet that is dropped; datapath and inport are keys, 0 unknown.
void capture_drop(WorkerCtx& ctx, rte_mbuf* m, Drop reason, uint32_t flow, uint32_t datapath,
                  uint32_t inport);

}  // namespace sluice
