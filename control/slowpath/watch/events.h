// SPDX-License-Identifier: Apache-2.0
// What trigger_event(), bind_vport() and sample() say about a packet. Pure functions.
#pragma once

#include <optional>

#include "control/compile/punt_args.h"
#include "control/slowpath/watch/watch.h"

namespace sluice::watch {

/// The event with its strings; nothing for options that are no strings.
std::optional<Event> event_of(const lang::TriggerEvent& action);
std::optional<VportClaim> claim_of(const compile::PuntArgs& args, const PuntMeta& meta);
/// `cookie`: the first 32 bits of the flow's UUID.
PacketSample sample_of(const lang::Sample& action, const PuntMeta& meta, uint32_t cookie);

}  // namespace sluice::watch
