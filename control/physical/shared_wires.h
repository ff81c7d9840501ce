// SPDX-License-Identifier: Apache-2.0
// Entry points that share a physical port and tag (lib/program/shared_wire.h), and who is behind
// each.
//
// Behind an entry are the ports of its switch that are here: VIFs, containers, localports, routers
// (but for a gateway that is elsewhere), by the MACs that the database says.
// Threads: control; a pure function.
#pragma once

#include <span>

#include "control/physical/entries.h"
#include "control/physical/view.h"

namespace sluice::physical {

/// Gives each of the entry points of one list, two or more, its SharedWire.
void share_wire(const View& view, std::span<EntryPoint* const> list, EntriesPart* part);

/// Equal for workers.
bool equal(const SharedWire* a, const SharedWire* b);

}  // namespace sluice::physical
