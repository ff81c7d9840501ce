// SPDX-License-Identifier: Apache-2.0
// SharedWire: switches of one chassis that are bridged to the same physical port and tag.
//
// What arrives is copied to each of them. What one of them sends must reach the others as well, for
// a physical switch does not send a frame back where it came from: broadcasts go to the wire and to
// all of them, a frame for a port that one of them has here goes there alone. The incumbent has a
// bridge between them that learns addresses; here they are known from the database, and an address
// that it does not say is taken to be on the wire. All entry points of such a list have a
// SharedWire in the place of a SpecialEntry, kMark says so. Threads: control builds; immutable once
// published.
#pragma once

#include "lib/program/flat_map.h"
#include "lib/program/pipeline.h"
#include "lib/program/special_ports.h"

namespace sluice {

struct SharedWire : SpecialEntry {
    static constexpr uint8_t kMark = 0x80;  ///< in SpecialEntry::activation

    const FlatMap<uint64_t, const EntryPoint*>* macs = nullptr;  ///< of ports here
};

/// Null when an entry point has its wire for itself.
inline const SharedWire* shared_wire_of(const EntryPoint& entry) {
    return entry.special && (entry.special->activation & SharedWire::kMark)
               ? static_cast<const SharedWire*>(entry.special)
               : nullptr;
}

}  // namespace sluice
