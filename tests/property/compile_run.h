// SPDX-License-Identifier: Apache-2.0
// Runs compiled tables as a walk does, but gives the oracle's events.
#pragma once

#include <vector>

#include "control/compile/compile.h"
#include "tests/support/oracle.h"

namespace sluice::testing {

std::vector<oracle::Event> run_compiled(const compile::Compiled& compiled, unsigned side,
                                        unsigned table, const State& state);

}  // namespace sluice::testing
