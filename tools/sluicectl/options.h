// SPDX-License-Identifier: Apache-2.0
// sluicectl's command line.
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.h"

namespace sluice {

struct CtlOptions {
    std::string target = "sluiced";  ///< socket path, or name of a pidfile
    std::string run_dir;             ///< where pidfile and socket are
    bool json = false;
    bool all = false;
    bool restart = false;
    std::string colour = "auto";
    unsigned timeout_s = 60;
    bool help = false;
    bool version = false;
    std::string command;
    std::vector<std::string> args;  ///< of capture and doctor: options too, not yet read
};

Result<CtlOptions> parse_ctl_options(int argc, char** argv);
std::string ctl_help();

}  // namespace sluice
