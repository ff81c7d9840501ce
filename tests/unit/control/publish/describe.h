// SPDX-License-Identifier: Apache-2.0
// A pipeline as text that depends on what it does alone: datapaths by key, tunnels by name, flows
// by UUID, never on indices or ids that history gives.
#pragma once

#include <functional>
#include <string>

#include "lib/program/pipeline.h"

namespace control_lab {

struct DescribeOptions {
    std::function<std::string(uint32_t)> tunnel_name;
    /// With the hash over table contents, which has flow ids in it.
    bool with_hashes = false;
};
std::string describe(const sluice::Pipeline& pipeline, const DescribeOptions& options);

/// The first lines in which two texts differ.
std::string difference(const std::string& a, const std::string& b);

}  // namespace control_lab
