// SPDX-License-Identifier: Apache-2.0
// What control tells the slow path about announcements: all of it, whenever it differs.
#pragma once

#include <vector>

#include "control/slowpath/announce/announcements.h"
#include "control/slowpath/announce/prefix_delegation.h"

namespace sluice::announce {

struct Config {
    std::vector<GarpConfig> garps;
    std::vector<RouterConfig> routers;
    std::vector<PrefixClientConfig> prefixes;
    int64_t garp_longest_s = 0;  ///< 0: fall silent after five
    bool operator==(const Config&) const = default;
};

}  // namespace sluice::announce
