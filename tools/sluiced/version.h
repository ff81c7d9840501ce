// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace sluice {

inline constexpr char kVersion[] = SLUICE_VERSION;  ///< from meson.build

}  // namespace sluice
