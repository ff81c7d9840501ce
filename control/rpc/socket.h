// SPDX-License-Identifier: Apache-2.0
// Unix stream sockets by path, however long the path is.
#pragma once

#include <string>

#include "lib/base/result.h"

namespace sluice::rpc {

/// Non-blocking, listening. A file left by a dead process is replaced, a live one is an error.
Result<int> listen_unix(const std::string& path);
/// Blocking, connected.
Result<int> connect_unix(const std::string& path);

}  // namespace sluice::rpc
