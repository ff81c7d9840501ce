// SPDX-License-Identifier: Apache-2.0
// Lists of cores as options give them: "1,3-5".
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"

namespace sluice {

Result<std::vector<unsigned>> parse_cores(const std::string& text);

}  // namespace sluice
