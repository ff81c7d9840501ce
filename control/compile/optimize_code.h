// SPDX-License-Identifier: Apache-2.0
// Abstract execution of code on known bits, for optimize.cc.
#pragma once

#include "control/compile/optimize.h"

namespace sluice::compile {

struct TransferContext {
    PipelineSide side;
    bool port_security;
};

/// What code may do to the ports that say where a packet is.
namespace port_write {
inline constexpr uint8_t kInport = 1;
inline constexpr uint8_t kOutport = 2;
inline constexpr uint8_t kToEgress = 4;  ///< goes on in egress without the output stage
}  // namespace port_write
uint8_t port_writes(const Code& code);

/// Runs instructions [begin, end) on *known: jumps and outputs are added to `out`. What is left in
/// *known means nothing.
void transfer(const Code& code, size_t begin, size_t end, const TransferContext& context,
              Known* known, Exits* out);

}  // namespace sluice::compile
