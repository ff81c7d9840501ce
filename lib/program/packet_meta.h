// SPDX-License-Identifier: Apache-2.0
// The one typed view of an mbuf's private area, from receive to the slow path.
#pragma once

#include <rte_mbuf.h>

#include "lib/base/limits.h"
#include "lib/program/key.h"
#include "lib/program/punt.h"
#include "lib/stats/counters.h"

namespace sluice {

struct PacketMeta {
    PacketKey key;  ///< written by parse, read by the worker
    PuntMeta punt;
    InjectKind inject;
    uint32_t queue;  ///< of the output port, 0: none; set by set_queue()
};
static_assert(sizeof(PacketMeta) <= limits::kMbufPrivSize);

inline PacketMeta& meta_of(rte_mbuf* m) {
    return *static_cast<PacketMeta*>(rte_mbuf_to_priv(m));
}

}  // namespace sluice
