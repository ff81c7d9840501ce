// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/pidfile.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

constexpr int kTries = 16;

bool same_file(int fd, const std::string& path) {
    struct stat by_fd {};
    struct stat by_path {};
    return fstat(fd, &by_fd) == 0 && stat(path.c_str(), &by_path) == 0 &&
           by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev;
}

bool lock(int fd) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return fcntl(fd, F_SETLK, &whole) == 0;
}

Error trouble(const std::string& path, const char* what) {
    return Error{fmt::format("{}: {}: {}", path, what, std::strerror(errno))};
}

}  // namespace

Result<void> Pidfile::make(const std::string& path, bool overwrite) {
    if (overwrite) {
        unlink(path.c_str());  // its holder, if any, keeps a file without a name
    }
    // Between open and lock the old holder may unlink the file: then take the new one.
    for (int tries = 0; tries < kTries; ++tries) {
        const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0) {
            return trouble(path, errno == ENOENT
                                     ? "cannot write pidfile (create its folder, or set OVS_RUNDIR)"
                                     : "cannot write pidfile");
        }
        if (!lock(fd)) {
            ::close(fd);
            return Error{fmt::format(
                "{}: already running as pid {}; stop it first, or use --overwrite-pidfile", path,
                running_pid(path))};
        }
        if (!same_file(fd, path)) {
            ::close(fd);
            continue;
        }
        const std::string text = fmt::format("{}\n", getpid());
        if (ftruncate(fd, 0) != 0 || write(fd, text.data(), text.size()) < 0) {
            const Error error = trouble(path, "cannot write pidfile");
            ::close(fd);
            return error;
        }
        path_ = path;
        fd_ = fd;
        owner_ = getpid();
        return {};
    }
    return Error{path + ": the pidfile keeps being replaced by another process"};
}

void Pidfile::remove() {
    if (fd_ < 0) {
        return;
    }
    if (owner_ == getpid() && same_file(fd_, path_)) {
        unlink(path_.c_str());
    }
    ::close(fd_);
    fd_ = -1;
}

pid_t running_pid(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    const bool asked = fcntl(fd, F_GETLK, &whole) == 0;
    ::close(fd);
    return asked && whole.l_type != F_UNLCK ? whole.l_pid : 0;
}

}  // namespace sluice
