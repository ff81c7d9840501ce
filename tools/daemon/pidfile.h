// SPDX-License-Identifier: Apache-2.0
// Pidfile: tells others who runs, and keeps a second one from running.
//
// The file holds the process id and is locked with fcntl(F_SETLK) for the life of the process.
// Readers (ovs-appctl among them) trust it only while that lock is held, so a crash leaves no lie.
// POSIX drops the lock when the process closes *any* descriptor of the file: open it nowhere else.
#pragma once

#include <sys/types.h>

#include <string>

#include "lib/base/result.h"

namespace sluice {

class Pidfile {
public:
    Pidfile() = default;
    ~Pidfile() { remove(); }
    Pidfile(const Pidfile&) = delete;
    Pidfile& operator=(const Pidfile&) = delete;

    /// Writes and locks it for this process. A live holder is an error unless `overwrite`.
    Result<void> make(const std::string& path, bool overwrite);
    /// Unlinks it, if this process (not a forked child of it) made it.
    void remove();

private:
    std::string path_;
    int fd_ = -1;
    pid_t owner_ = 0;
};

/// The process that holds the lock of `path`; 0 if there is none. Not for the holder itself.
pid_t running_pid(const std::string& path);

}  // namespace sluice
