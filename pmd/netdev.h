// SPDX-License-Identifier: Apache-2.0
// Questions to the kernel about one of its network devices, by ioctl on any socket.
// Threads: control thread only.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/result.h"
#include "lib/net/addr.h"

namespace sluice::pmd {

/// A kernel network device named by its index, so that renaming it does no harm.
class Netdev {
public:
    /// `fd`: any open socket, not owned, in the namespace that the device is in.
    static Result<Netdev> by_name(int fd, const std::string& name);

    int index() const { return index_; }
    Result<std::string> name() const;
    Result<Mac> mac() const;
    Result<uint16_t> mtu() const;
    Result<void> set_mtu(uint16_t mtu) const;
    Result<void> set_mac(const Mac& mac) const;
    /// Sets IFF_UP.
    Result<void> bring_up() const;
    /// Up and with carrier.
    bool is_running() const;

private:
    Netdev(int fd, int index) : fd_(fd), index_(index) {}
    int fd_;
    int index_;
};

}  // namespace sluice::pmd
