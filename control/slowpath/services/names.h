// SPDX-License-Identifier: Apache-2.0
// Domain names as labels on the wire (RFC 1035, 3.1), for DNS, DHCP and router advertisements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::services {

/// Labels with their lengths and the root at the end. A dot at the end changes nothing. Nothing if
/// a label or the name is too long.
std::optional<std::vector<uint8_t>> encode_name(std::string_view name);

/// Pieces of `text` between separators; empty pieces are left out.
std::vector<std::string> split(std::string_view text, char separator);

}  // namespace sluice::services
