// SPDX-License-Identifier: Apache-2.0
// Copies for mirrors (lib/program/mirror_sink.h): out of a port, by GRE or by ERSPAN.
//
// A copy that cannot be sent is a drop of its own (mirror_unreachable, too_long); the packet that
// was copied goes its way.
#pragma once

#include <cstdint>

#include "datapath/stages.h"

namespace sluice {

/// `number`: in Pipeline::mirrors; `coordinates`: datapath key << 32 | inport << 16 | outport.
/// Takes the copy over.
void send_to_mirror(WorkerCtx& ctx, rte_mbuf* m, uint32_t number, uint64_t coordinates);

}  // namespace sluice
