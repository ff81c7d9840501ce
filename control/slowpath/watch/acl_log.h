// SPDX-License-Identifier: Apache-2.0
// The line that `log(...)` writes, word for word as ovn-controller's, and its module in the log.
#pragma once

#include <span>
#include <string>

#include "control/compile/ast.h"

namespace sluice::watch {

std::string acl_log_line(const lang::Log& log, bool egress, std::span<const uint8_t> frame);
/// Writes it to the log, module acl_log, level info, whatever the severity: as ovn-controller does.
void write_acl_log(const lang::Log& log, bool egress, std::span<const uint8_t> frame);

}  // namespace sluice::watch
