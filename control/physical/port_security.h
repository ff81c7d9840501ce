// SPDX-License-Identifier: Apache-2.0
// Port_Binding.port_security as text, to what the datapath checks against.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/program/port_security.h"

namespace sluice::physical {

/// Null when there is nothing to check (no entry parses to a MAC; bad ones are told in `errors`).
/// "MAC[ IP[/len]]...", separated by spaces or commas.
std::unique_ptr<const PortSecurity> parse_port_security(const std::vector<std::string>& entries,
                                                        std::vector<std::string>* errors);

}  // namespace sluice::physical
