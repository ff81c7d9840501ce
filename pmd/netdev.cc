// SPDX-License-Identifier: Apache-2.0
#include "pmd/netdev.h"

#include <fmt/format.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "pmd/driver.h"

namespace sluice::pmd {
namespace {

Error ioctl_error(const char* what, const std::string& name) {
    const int error = errno;
    if (error == ENODEV || error == ENXIO) {
        return Error{fmt::format(
            "there is no network device '{}' in this network namespace: create it first", name)};
    }
    if (error == EPERM || error == EACCES) {
        return Error{fmt::format("{} of '{}': not permitted; run as root or with CAP_NET_ADMIN",
                                 what, name)};
    }
    return Error{fmt::format("{} of '{}': {}", what, name, errno_text(error))};
}

Result<ifreq> request(int fd, int index, unsigned long what, const char* words) {
    ifreq r{};
    r.ifr_ifindex = index;
    if (ioctl(fd, SIOCGIFNAME, &r) < 0 || ioctl(fd, what, &r) < 0) {
        return ioctl_error(words, fmt::format("device {}", index));
    }
    return r;
}

}  // namespace

Result<Netdev> Netdev::by_name(int fd, const std::string& name) {
    ifreq r{};
    if (name.empty() || name.size() >= sizeof r.ifr_name) {
        return Error{fmt::format("'{}' cannot be the name of a network device (1 to {} characters)",
                                 name, sizeof r.ifr_name - 1)};
    }
    std::ranges::copy(name, r.ifr_name);
    if (ioctl(fd, SIOCGIFINDEX, &r) < 0) {
        return ioctl_error("index", name);
    }
    return Netdev(fd, r.ifr_ifindex);
}

Result<std::string> Netdev::name() const {
    const Result<ifreq> r = request(fd_, index_, SIOCGIFINDEX, "name");
    if (!r) {
        return r.error();
    }
    return std::string(r->ifr_name);
}

Result<Mac> Netdev::mac() const {
    const Result<ifreq> r = request(fd_, index_, SIOCGIFHWADDR, "address");
    if (!r) {
        return r.error();
    }
    Mac mac;
    std::memcpy(mac.bytes.data(), r->ifr_hwaddr.sa_data, mac.bytes.size());
    return mac;
}

Result<uint16_t> Netdev::mtu() const {
    const Result<ifreq> r = request(fd_, index_, SIOCGIFMTU, "MTU");
    if (!r) {
        return r.error();
    }
    return static_cast<uint16_t>(std::min(r->ifr_mtu, 65535));  // lo has 65536
}

Result<void> Netdev::set_mtu(uint16_t mtu) const {
    Result<ifreq> r = request(fd_, index_, SIOCGIFMTU, "MTU");
    if (!r) {
        return r.error();
    }
    r->ifr_mtu = mtu;
    if (ioctl(fd_, SIOCSIFMTU, &*r) < 0) {
        return ioctl_error(fmt::format("setting MTU {}", mtu).c_str(), r->ifr_name);
    }
    return {};
}

Result<void> Netdev::set_mac(const Mac& mac) const {
    Result<ifreq> r = request(fd_, index_, SIOCGIFHWADDR, "address");
    if (!r) {
        return r.error();
    }
    std::memcpy(r->ifr_hwaddr.sa_data, mac.bytes.data(), mac.bytes.size());
    if (ioctl(fd_, SIOCSIFHWADDR, &*r) < 0) {
        return ioctl_error("setting the address", r->ifr_name);
    }
    return {};
}

Result<void> Netdev::bring_up() const {
    Result<ifreq> r = request(fd_, index_, SIOCGIFFLAGS, "flags");
    if (!r) {
        return r.error();
    }
    if (!(r->ifr_flags & IFF_UP)) {
        r->ifr_flags |= IFF_UP;
        if (ioctl(fd_, SIOCSIFFLAGS, &*r) < 0) {
            return ioctl_error("bringing up", r->ifr_name);
        }
    }
    return {};
}

bool Netdev::is_running() const {
    const Result<ifreq> r = request(fd_, index_, SIOCGIFFLAGS, "flags");
    return r && (r->ifr_flags & IFF_UP) && (r->ifr_flags & IFF_RUNNING);
}

}  // namespace sluice::pmd
