// SPDX-License-Identifier: Apache-2.0
// The part of action lowering that moves bits: loads, moves, exchanges, push and pop.
#pragma once

#include <vector>

#include "control/compile/ir.h"

namespace sluice::compile {

/// Appends instructions for assignments between slices of State.
class DataLowering {
public:
    explicit DataLowering(std::vector<Instr>* out) : out_(*out) {}

    /// Bits of `value` under `mask`, both counted from the slice's low end.
    void load(const FieldRef& dst, U128 value, U128 mask);
    /// As one step, also when the two overlap.
    void move(const FieldRef& dst, const FieldRef& src);
    void exchange(const FieldRef& a, const FieldRef& b);
    void push(const FieldRef& field);
    void pop(const FieldRef& field);

private:
    void pieces(Op op, const FieldRef& dst, const FieldRef& src, bool from_low);
    void move_in(const FieldRef& dst, unsigned slot);
    void move_out(const FieldRef& src, unsigned slot);

    std::vector<Instr>& out_;
    std::vector<unsigned> widths_;  ///< of what push() left on the stack, as far as known
};

}  // namespace sluice::compile
