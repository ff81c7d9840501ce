// SPDX-License-Identifier: Apache-2.0
// Geneve header and options (RFC 8926), and what OVN puts there.
//
// Parsing trusts nothing: bounds come from Opt Len and the packet, never from option lengths, and
// nothing of the option area is used before the whole of it has been checked.
#pragma once

#include <cstdint>

#include "lib/stats/counters.h"

namespace sluice {

struct GeneveHeader {
    uint32_t length;  ///< base header and options
    uint32_t vni;
    uint32_t inport;
    uint32_t outport;
};

/// Reads the header at `data`, of which `len` bytes belong to the packet. Drop::k_none when it is
/// one that OVN sends, or with VNI 0 (the tunnel's own), else why not. `legacy`: the older option
/// form counts as OVN's too.
Drop parse_geneve(const uint8_t* data, uint32_t len, bool legacy, GeneveHeader* out);

/// RFC 6040 normal mode decapsulation. False: the packet must be dropped.
bool decapsulate_ecn(uint8_t outer, uint8_t inner, uint8_t* result);

}  // namespace sluice
