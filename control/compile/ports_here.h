// SPDX-License-Identifier: Apache-2.0
// PortsHere: what is left of a condition on the port that packets come by, or go to, on one
// chassis.
//
// Most flows that name ports are about ports of other chassis. In ingress a packet's inport is one
// that packets can enter by here; in egress its outport is one whose egress pipeline is run here.
// While nothing has changed the port on the way, the other ports need not be looked at.
#pragma once

#include <memory>
#include <unordered_map>
#include <utility>

#include "control/compile/compile.h"
#include "control/compile/ir.h"

namespace sluice::compile {

/// inport of ingress or outport of egress, whole.
bool is_port_here(const FieldRef& slice, PipelineSide side);
/// Members that a packet can have here, or null when all can.
ValueSetPtr ports_here(const ValueSet& ports, PipelineSide side, const Names& names);

/// The same with a memory, for flows that are about the same groups of ports.
class PortsHere {
public:
    PortsHere(const Names* names, PipelineSide side) : names_(*names), side_(side) {}

    PipelineSide side() const { return side_; }
    /// `values` itself if nothing goes, or the condition is about something else.
    ValueSetPtr limit(const FieldRef& slice, const ValueSetPtr& values);

private:
    const Names& names_;
    const PipelineSide side_;
    /// By the set before, which is kept so that its address stays its own.
    std::unordered_map<const ValueSet*, std::pair<ValueSetPtr, ValueSetPtr>> known_;
};

}  // namespace sluice::compile
