// SPDX-License-Identifier: Apache-2.0
// Entry points: which logical port a frame from a physical port and tag comes in by.
//
// One physical port may serve many: a VIF with containers behind tags, or localnet ports of
// several switches, with and without tags (each gets the frame).
// The port of a VTEP gateway has an entry point, too: what the gateway sends is told by its VNI and
// the gateway's address.
// An entry point's id names its meaning (port, tag, datapath, inport, flags) for the life of the
// process, because the flow cache is keyed by it: EntryIds never gives one out twice.
// Threads: control builds; the parts are immutable afterwards.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "control/physical/underlay.h"
#include "control/physical/view.h"
#include "lib/program/shared_wire.h"

namespace sluice::physical {

class EntryIds {
public:
    uint32_t id(PortId port, uint16_t tag, const Uuid& datapath, uint32_t inport, uint32_t flags);

private:
    std::map<std::tuple<PortId, uint16_t, Uuid, uint32_t, uint32_t>, uint32_t> ids_;
};

struct EntriesPart {
    std::deque<EntryPoint> points;
    std::deque<SpecialEntry> special;
    std::deque<SharedWire> wires;
    std::deque<FlatMap<uint64_t, const EntryPoint*>> wire_macs;
    std::deque<std::vector<const EntryPoint*>> lists;
    std::deque<PortEntry> ports;
    std::deque<Underlay> underlays;
    std::vector<const PortEntry*> by_port;
    std::deque<std::vector<RampEntry>> ramp_lists;
    FlatMap<uint32_t, const std::vector<RampEntry>*> ramps;  ///< VTEP gateways, by VNI
};

/// `masks`: cache mask by datapath index; must outlive the part (the pipeline keeps both).
std::shared_ptr<const EntriesPart> build_entries(const View& view, const UnderlayModel& underlay,
                                                 const std::vector<const KeyMasks*>& masks,
                                                 EntryIds* ids);

/// Equal for workers; masks are compared by address.
bool equal(const EntriesPart& a, const EntriesPart& b);

}  // namespace sluice::physical
