// SPDX-License-Identifier: Apache-2.0
// Southbound databases that real northds wrote, from tests/data/sb.
#pragma once

#include <string>
#include <vector>

#include "control/ovsdb/db_file.h"

namespace control_lab {

/// Paths of the packed samples; with SLUICE_SB_SAMPLES set, of those in that folder instead.
std::vector<std::string> sample_paths();
/// The unpacked bytes.
std::string unpack(const std::string& path);
sluice::ovsdb::DbFile load(const std::string& path);

}  // namespace control_lab
