// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/paths.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace sluice {
namespace {

std::string from_environment(const char* name, const char* otherwise) {
    const char* value = std::getenv(name);
    return value && *value ? value : otherwise;
}

}  // namespace

std::string run_dir() {
    return from_environment("OVS_RUNDIR", "/var/run/openvswitch");
}

std::string log_dir() {
    return from_environment("OVS_LOGDIR", "/var/log/openvswitch");
}

std::string in_dir(const std::string& dir, const std::string& file, const std::string& otherwise) {
    const std::string& name = file.empty() ? otherwise : file;
    // Absolute in the end: a daemon changes its directory.
    return std::filesystem::absolute(std::filesystem::path(dir) / name).string();
}

std::string unixctl_path(const std::string& option, const std::string& program) {
    return in_dir(run_dir(), option, program + "." + std::to_string(getpid()) + ".ctl");
}

}  // namespace sluice
