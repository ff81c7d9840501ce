// SPDX-License-Identifier: Apache-2.0
// Remotes: where a server is, in the words of ovsdb(7).
//
//   unix:FILE   tcp:HOST[:PORT]   ssl:HOST[:PORT]        HOST: IPv4 or [IPv6], PORT 6640 if left
//   out
//
// Names are refused, not resolved: a resolver that blocks would stop the control thread, and
// OVN's own deployments give addresses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace sluice::ovsdb {

struct Remote {
    enum class Kind : uint8_t { kUnix, kTcp, kSsl };
    Kind kind = Kind::kUnix;
    std::string text;  ///< as given, for messages
    std::string host;  ///< address without brackets, or the socket's path
    uint16_t port = 0;

    bool operator==(const Remote& other) const { return text == other.text; }
};

inline constexpr uint16_t kDefaultPort = 6640;

Result<Remote> parse_remote(std::string_view text);
/// Separated by commas or spaces; at least one.
Result<std::vector<Remote>> parse_remotes(std::string_view text);

}  // namespace sluice::ovsdb
