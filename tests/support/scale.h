// SPDX-License-Identifier: Apache-2.0
// How long property tests go on.
#pragma once

#include <cstddef>
#include <cstdlib>

namespace sluice::testing {

/// Of `n` steps those that are wanted: SLUICE_PROPERTY_SCALE (percent) makes a sanitizer run
/// shorter, and a long run longer.
inline size_t scaled(size_t n) {
    const char* percent = std::getenv("SLUICE_PROPERTY_SCALE");
    return percent != nullptr ? n * std::strtoul(percent, nullptr, 10) / 100 : n;
}

}  // namespace sluice::testing
