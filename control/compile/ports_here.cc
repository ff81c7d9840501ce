// SPDX-License-Identifier: Apache-2.0
#include "control/compile/ports_here.h"

namespace sluice::compile {

bool is_port_here(const FieldRef& slice, PipelineSide side) {
    return slice == FieldRef{side == kIngress ? FieldId::kInport : FieldId::kOutport, 0, 32};
}

ValueSetPtr ports_here(const ValueSet& ports, PipelineSide side, const Names& names) {
    std::vector<ValueRange> left;
    bool changed = false;
    for (const ValueRange& r : ports.ranges()) {
        // Wide ranges come from negations; they always leave some port.
        constexpr U128 kMaxTried = 1024;
        if (r.hi - r.lo >= kMaxTried) {
            left.push_back(r);
            continue;
        }
        for (U128 key = r.lo; key <= r.hi; ++key) {
            const auto port = static_cast<uint32_t>(key);
            if (side == kIngress ? names.inport_possible(port) : names.outport_possible(port)) {
                left.push_back({key, key});
            } else {
                changed = true;
            }
        }
    }
    return changed ? std::make_shared<ValueSet>(std::move(left)) : nullptr;
}

ValueSetPtr PortsHere::limit(const FieldRef& slice, const ValueSetPtr& values) {
    if (!is_port_here(slice, side_)) {
        return values;
    }
    const auto at = known_.find(values.get());
    if (at != known_.end()) {
        return at->second.second;
    }
    ValueSetPtr left = ports_here(*values, side_, names_);
    if (left == nullptr) {
        left = values;
    }
    known_.emplace(values.get(), std::pair(values, left));
    return left;
}

}  // namespace sluice::compile
