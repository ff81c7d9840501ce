// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::rpc {
namespace {

// A sockaddr_un has room for 107 bytes. A longer path is named through a descriptor of its folder.
class Address {
public:
    explicit Address(const std::string& path) {
        std::string name = path;
        if (name.size() >= sizeof address.sun_path) {
            const size_t slash = path.rfind('/');
            const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
            folder_fd = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
            if (folder_fd < 0) {
                return;
            }
            name = fmt::format("/proc/self/fd/{}/{}", folder_fd,
                               slash == std::string::npos ? path : path.substr(slash + 1));
            if (name.size() >= sizeof address.sun_path) {
                errno = ENAMETOOLONG;
                return;
            }
        }
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
        valid = true;
    }
    ~Address() {
        if (folder_fd >= 0) {
            ::close(folder_fd);
        }
    }
    Address(const Address&) = delete;
    Address& operator=(const Address&) = delete;

    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&address); }

    sockaddr_un address{};
    int folder_fd = -1;
    bool valid = false;
};

bool try_bind(int fd, const Address& address) {
    // On Linux the mode of the socket object becomes the mode of the file; umask applies.
    return fchmod(fd, 0770) == 0 && bind(fd, address.raw(), sizeof address.address) == 0;
}

bool answers(const Address& address) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool refused = connect(fd, address.raw(), sizeof address.address) != 0 &&
                         (errno == ECONNREFUSED || errno == ENOENT);
    ::close(fd);
    return !refused;
}

}  // namespace

Result<int> listen_unix(const std::string& path) {
    const auto fail = [&](int error) {
        return Error{fmt::format("cannot listen on {}: {}{}", path, std::strerror(error),
                                 error == ENOENT ? " (create its folder, or set OVS_RUNDIR)" : "")};
    };
    const Address address(path);
    if (!address.valid) {
        return fail(errno);
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(errno);
    }
    bool bound = try_bind(fd, address);
    if (!bound && errno == EADDRINUSE) {
        struct stat status {};
        if (stat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode)) {
            ::close(fd);
            return Error{fmt::format("cannot listen on {}: a file of that name is there", path)};
        }
        if (answers(address)) {
            ::close(fd);
            return Error{
                fmt::format("cannot listen on {}: another process answers there; stop it, or "
                            "choose another path (--unixctl)",
                            path)};
        }
        unlink(path.c_str());
        bound = try_bind(fd, address);
    }
    if (!bound || ::listen(fd, 64) != 0) {
        const int error = errno;
        ::close(fd);
        return fail(error);
    }
    return fd;
}

Result<int> connect_unix(const std::string& path) {
    const Address address(path);
    const int fd = address.valid ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0 || connect(fd, address.raw(), sizeof address.address) != 0) {
        const int error = errno;
        if (fd >= 0) {
            ::close(fd);
        }
        return Error{fmt::format("cannot connect to {}: {}", path, std::strerror(error))};
    }
    return fd;
}

}  // namespace sluice::rpc
