// SPDX-License-Identifier: Apache-2.0
#include "pmd/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <rte_cycles.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/check.h"

namespace sluice::pmd {
namespace {

constexpr uint64_t kIdleReadsPerSecond = 200'000;
constexpr unsigned kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
// TUN_F_USO4 and TUN_F_USO6, which older kernel headers lack.
constexpr unsigned kUdpOffloads = 0x20 | 0x40;

struct Fd {
    explicit Fd(int number) : fd(number) {}
    ~Fd() {
        if (fd >= 0) {
            close(fd);
        }
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    int fd;
};

std::string reason(int error, const std::string& iface) {
    switch (error) {
    case EPERM:
    case EACCES: return "not permitted; run as root or with CAP_NET_ADMIN";
    case EBUSY: return fmt::format("another program holds the tap '{}'", iface);
    case EINVAL:
        return fmt::format("'{}' exists and is no tap, or is no name for one: choose another name",
                           iface);
    case ENOENT:
    case ENODEV: return "there is no /dev/net/tun: load the tun module (modprobe tun)";
    default: return errno_text(error);
    }
}

}  // namespace

Result<std::unique_ptr<Device>> TapPort::open(const OpenContext& context) {
    const PortSpec& spec = context.spec;
    const std::string iface = spec.arg("iface").empty() ? spec.name : spec.arg("iface");
    std::unique_ptr<TapPort> port(new TapPort());
    Result<void> done = port->make_device(iface);
    if (done) {
        done = port->set_up(context, iface);
    }
    if (!done) {
        return done.error().with_context("port " + spec.name);
    }
    return std::unique_ptr<Device>(std::move(port));
}

Result<void> TapPort::make_device(const std::string& iface) {
    ifreq request{};
    if (iface.size() >= sizeof request.ifr_name) {
        return Error{fmt::format("'{}' is too long for a network device (at most {} characters)",
                                 iface, sizeof request.ifr_name - 1)};
    }
    std::ranges::copy(iface, request.ifr_name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    rx_.fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int header_bytes = sizeof(VnetHeader);
    if (rx_.fd < 0 || ioctl(rx_.fd, TUNSETIFF, &request) < 0 ||
        ioctl(rx_.fd, TUNSETVNETHDRSZ, &header_bytes) < 0) {
        return Error{"making the tap: " + reason(errno, iface)};
    }
    // Kernels before 6.2 do not cut UDP; then the host's stack does.
    if (ioctl(rx_.fd, TUNSETOFFLOAD, kOffloads | kUdpOffloads) < 0 &&
        ioctl(rx_.fd, TUNSETOFFLOAD, kOffloads) < 0) {
        return Error{"setting the tap's offloads: " + reason(errno, iface)};
    }
    return {};
}

Result<void> TapPort::set_up(const OpenContext& context, const std::string& iface) {
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const Result<Netdev> netdev = Netdev::by_name(socket_, iface);
    if (!netdev) {
        return netdev.error();
    }
    netdev_ = std::make_unique<Netdev>(*netdev);
    const Result<std::optional<Mac>> mac = mac_arg(context.spec, "mac");
    if (!mac) {
        return mac.error();
    }
    Result<void> done;
    if (*mac) {
        done = netdev_->set_mac(**mac);
    }
    if (done && context.mtu) {
        done = netdev_->set_mtu(context.mtu);
    }
    if (done && context.spec.arg("up") != "0") {
        done = netdev_->bring_up();
    }
    if (!done) {
        return done;
    }
    rx_.pool = context.pool;
    rx_.frame.keep_super_frames(context.super_frames);
    rx_.idle_cycles = rte_get_tsc_hz() / kIdleReadsPerSecond;
    rx_.bytes.resize(sizeof(VnetHeader) + kMaxGsoFrame);
    rx_queue_ = {.burst = tap_rx_burst, .ctx = &rx_, .wait_fd = rx_.fd};
    for (unsigned w = 0; w < context.n_workers; ++w) {
        auto& tx = tx_.emplace_back(std::make_unique<TapTx>());
        tx->fd = rx_.fd;
        tx_queues_.push_back({tap_tx_burst, tx.get()});
    }
    return {};
}

TapPort::~TapPort() {
    if (rx_.fd >= 0) {
        close(rx_.fd);
    }
    if (socket_ >= 0) {
        close(socket_);
    }
}

uint32_t TapPort::caps() const {
    return kPortTxUdpCksum | kPortTxTcpCksum | kPortTxTso | kPortTxMultiSeg | kPortRxCksum |
           kPortRxMultiSeg;
}

Result<Netdev> TapPort::netdev() const {
    ifreq request{};
    if (ioctl(rx_.fd, TUNGETIFF, &request) < 0) {
        return Error{"the tap is gone: " + errno_text(errno)};
    }
    const Result<std::string> name = netdev_->name();
    if (name && *name == request.ifr_name) {
        return *netdev_;
    }
    return follow(request.ifr_name);
}

/// Opens a socket in the namespace that the device was moved to.
Result<Netdev> TapPort::follow(const std::string& iface) const {
    const Fd there(ioctl(rx_.fd, TUNGETDEVNETNS));
    const Fd here(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (there.fd < 0 || here.fd < 0 || setns(there.fd, CLONE_NEWNET) < 0) {
        return Error{"cannot follow the tap to its network namespace: " + errno_text(errno)};
    }
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    SLUICE_CHECK(setns(here.fd, CLONE_NEWNET) == 0);
    Result<Netdev> netdev = Netdev::by_name(fd, iface);
    if (!netdev) {
        close(fd);
        return netdev;
    }
    close(socket_);
    socket_ = fd;
    *netdev_ = *netdev;
    return netdev;
}

Mac TapPort::mac() const {
    const Result<Netdev> device = netdev();
    const Result<Mac> mac = device ? device->mac() : Result<Mac>(device.error());
    return mac ? *mac : Mac{};
}

uint16_t TapPort::mtu() const {
    const Result<Netdev> device = netdev();
    const Result<uint16_t> mtu = device ? device->mtu() : Result<uint16_t>(device.error());
    return mtu ? *mtu : uint16_t{1500};
}

Result<void> TapPort::set_mtu(uint16_t mtu) {
    const Result<Netdev> device = netdev();
    return device ? device->set_mtu(mtu) : Result<void>(device.error());
}

bool TapPort::link_up() const {
    const Result<Netdev> device = netdev();
    return device && device->is_running();
}

PortStats TapPort::stats() const {
    PortStats stats;
    rx_.counters.add_rx_to(stats);
    for (const auto& tx : tx_) {
        tx->counters.add_tx_to(stats);
    }
    return stats;
}

}  // namespace sluice::pmd
