// SPDX-License-Identifier: Apache-2.0
// Actions to code: what a logical flow does, as instructions of lib/program/action.h.
//
// Fields become slots: wide ones are split, overlapping moves are ordered so that no bit is lost.
// Values go over the stack in words of 32 bits counted from the value's low end, whatever slots
// they came from, so that a pop fits a push of the same width. Actions that this build cannot
// execute end the path with a drop of their own name; none is skipped.
#pragma once

#include "control/compile/ast.h"
#include "control/compile/bind.h"
#include "control/compile/ir.h"
#include "lib/program/pipeline.h"

namespace sluice::compile {

/// `side` and `table` say where the flow is, for `next;`.
lang::Parsed<Code> lower_actions(const lang::ActionList& list, PipelineSide side, unsigned table,
                                 Binder* binder);

/// Code that drops with malformed_flow, for a flow whose actions cannot be used.
CodePtr malformed_code();

/// The spare slot of State; no field lives there.
inline constexpr unsigned kScratchSlot = kSlotCtTpDst + 1;
static_assert(kScratchSlot < kSlotUses);

}  // namespace sluice::compile
