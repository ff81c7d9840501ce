// SPDX-License-Identifier: Apache-2.0
// Running a command from a test, and a folder to run it in.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "lib/base/check.h"

namespace sluice {

struct ShellResult {
    int status;       ///< exit status, or 128 + signal
    std::string out;  ///< stdout (add 2>&1 for stderr)
};

/// Runs `command` by /bin/sh to its end. OVS_RUNDIR and the like go in front of it.
inline ShellResult shell(const std::string& command) {
    FILE* pipe = popen(command.c_str(), "r");
    SLUICE_CHECK(pipe);
    ShellResult result{0, {}};
    char chunk[4096];
    while (const size_t n = fread(chunk, 1, sizeof chunk, pipe)) {
        result.out.append(chunk, n);
    }
    const int status = pclose(pipe);
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

/// A temporary folder, gone with the object.
class TempDir {
public:
    TempDir() {
        char name[] = "/tmp/sluice_test.XXXXXX";
        SLUICE_CHECK(mkdtemp(name));
        path_ = name;
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace sluice
