// SPDX-License-Identifier: Apache-2.0
// Abstract execution of code on known bits, for optimize.cc.
#pragma once

#include "control/compile/optimize.h"

namespace sluice::compile {

struct TransferContext {
    PipelineSide side;
    bool port_security;
};

/// Runs instructions [begin, end) on `known`: jumps and outputs are added to `out`.
void transfer(const Code& code, size_t begin, size_t end, const TransferContext& context,
              Known known, Analysis* out);

}  // namespace sluice::compile
