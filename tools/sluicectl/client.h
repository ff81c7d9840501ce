// SPDX-License-Identifier: Apache-2.0
// The other end of the command socket: finds a daemon, asks it one thing.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"

namespace sluice {

/// Socket of `target`: itself if it has a '/', else by RUN_DIR/TARGET.pid, else (a daemon without
/// pidfile) the only live RUN_DIR/TARGET.*.ctl.
Result<std::string> find_socket(const std::string& target, const std::string& run_dir);

struct CtlAnswer {
    bool ok;  ///< false: the daemon answered with an error
    std::string text;
};

/// One exchange; `timeout_s` 0 waits for ever.
Result<CtlAnswer> call(const std::string& socket, const std::string& method,
                       const std::vector<std::string>& args, unsigned timeout_s);

}  // namespace sluice
