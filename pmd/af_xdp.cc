// SPDX-License-Identifier: Apache-2.0
#include "pmd/af_xdp.h"

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <map>
#include <string_view>

#include "lib/base/log.h"

SLUICE_LOG_MODULE(af_xdp);

namespace sluice::pmd {
namespace {

using Copy = XdpSocketSettings::Copy;

constexpr unsigned kHeadroom = 256;  // XDP's own, at the start of each chunk
constexpr unsigned kFrameOverhead = 14 + 8;

template <typename Command>
bool ask_ethtool(int fd, const std::string& iface, Command* command) {
    ifreq request{};
    iface.copy(request.ifr_name, sizeof request.ifr_name - 1);
    request.ifr_data = reinterpret_cast<char*>(command);
    return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

/// Receive queues that the device spreads frames over; 1 where it does not say.
unsigned queues_of(int fd, const std::string& iface) {
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    if (!ask_ethtool(fd, iface, &channels)) {
        return 1;
    }
    return std::max(1u, channels.combined_count + channels.rx_count);
}

bool is_veth(int fd, const std::string& iface) {
    ethtool_drvinfo info{};
    info.cmd = ETHTOOL_GDRVINFO;
    return ask_ethtool(fd, iface, &info) && std::string_view(info.driver) == "veth";
}

Result<unsigned> wanted_queues(const PortSpec& spec, unsigned there) {
    if (!spec.arg("queues").empty() && !spec.arg("n_rxq").empty()) {
        return Error{fmt::format("port {}: queues and n_rxq say the same: give one", spec.name)};
    }
    const std::string key = spec.arg("n_rxq").empty() ? "queues" : "n_rxq";
    Result<unsigned> n = number_arg(spec, key, there, 1, STEER_MAX_QUEUES);
    if (n && *n > there) {
        return Error{
            fmt::format("port {}: {}={}, but the device has {} receive queue{}: see "
                        "\"ethtool -l\"",
                        spec.name, key, *n, there, there == 1 ? "" : "s")};
    }
    return n;
}

}  // namespace

Result<std::unique_ptr<Device>> AfXdpPort::open(const OpenContext& context) {
    const PortSpec& spec = context.spec;
    const std::map<std::string, std::vector<Mode>> kModes = {
        {"", {{true, Copy::kIfNeeded}, {false, Copy::kAlways}}},
        {"best-effort", {{true, Copy::kIfNeeded}, {false, Copy::kAlways}}},
        {"native-with-zerocopy", {{true, Copy::kNever}}},
        {"native", {{true, Copy::kAlways}}},
        {"generic", {{false, Copy::kAlways}}}};
    const auto modes = kModes.find(spec.arg("xdp-mode"));
    if (modes == kModes.end()) {
        return Error{
            fmt::format("port {}: xdp-mode={} is none of best-effort, "
                        "native-with-zerocopy, native, generic",
                        spec.name, spec.arg("xdp-mode"))};
    }
    std::unique_ptr<AfXdpPort> port(new AfXdpPort());
    Result<void> done =
        port->find_device(context, spec.arg("iface").empty() ? spec.name : spec.arg("iface"));
    if (done) {
        done = XdpProgram::check_free(port->netdev_->index(), port->iface_);
    }
    if (done) {
        Result<std::unique_ptr<XdpProgram>> program = XdpProgram::load();
        if (program) {
            port->program_ = std::move(*program);
            done = port->open_queues(context, modes->second.front().copy);
        } else {
            done = program.error();
        }
    }
    done = done ? port->attach(modes->second) : done;
    done = done ? port->open_copies(context) : done;
    if (!done) {
        return done.error().with_context("port " + spec.name);
    }
    port->hand_out_queues(context);
    return std::unique_ptr<Device>(std::move(port));
}

AfXdpPort::~AfXdpPort() {
    program_.reset();  // first the program, then what it sends to
    for (const auto& rx : rx_) {
        rte_pktmbuf_free(rx->head);
    }
    if (control_fd_ >= 0) {
        close(control_fd_);
    }
}

Result<void> AfXdpPort::find_device(const OpenContext& context, const std::string& iface) {
    iface_ = iface;
    control_fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const Result<Netdev> netdev = Netdev::by_name(control_fd_, iface);
    if (!netdev) {
        return netdev.error();
    }
    netdev_ = std::make_unique<Netdev>(*netdev);
    if (context.mtu) {
        const Result<void> set = netdev_->set_mtu(context.mtu);
        if (!set) {
            return set.error();
        }
    }
    return netdev_->bring_up();
}

Result<void> AfXdpPort::open_queues(const OpenContext& context, Copy copy) {
    const unsigned there = queues_of(control_fd_, iface_);
    const Result<unsigned> n_queues = wanted_queues(context.spec, there);
    const Result<unsigned> n_frames = number_arg(context.spec, "frames", 2048, 64, 1u << 15);
    if (!n_queues || !n_frames) {
        return n_queues ? n_frames.error() : n_queues.error();
    }
    if (!std::has_single_bit(*n_frames)) {
        return Error{fmt::format("frames={} is not a power of two", *n_frames)};
    }
    XdpSocketSettings settings;
    settings.ifindex = netdev_->index();
    settings.device = iface_;
    settings.n_frames = *n_frames;
    settings.chunk_size = mtu() + kFrameOverhead + kHeadroom <= 2048 ? 2048 : 4096;
    settings.copy = copy;
    for (settings.queue = 0; settings.queue < *n_queues; ++settings.queue) {
        Result<std::unique_ptr<XdpSocket>> opened = XdpSocket::open(settings);
        if (!opened) {
            return opened.error();
        }
        (*opened)->fill();
        Result<void> set = program_->set_socket(settings.queue, (*opened)->fd());
        if (!set) {
            return set;
        }
        sockets_.push_back(std::move(*opened));
    }
    if (!sockets_[0]->takes_pieces() && mtu() + kFrameOverhead + kHeadroom > 4096) {
        LOG_WARN("{}: this kernel gives AF_XDP no frames above {} bytes: those of MTU {} are lost",
                 iface_, 4096 - kHeadroom, mtu());
    }
    for (unsigned queue = *n_queues; queue < there; ++queue) {
        LOG_WARN(
            "{}: receive queue {} is not bound: tunnel and localnet packets that the device "
            "puts there go to the kernel and are lost to us; leave n_rxq away or say "
            "\"ethtool -L {} combined {}\"",
            iface_, queue, iface_, *n_queues);
    }
    return {};
}

Result<void> AfXdpPort::attach(const std::vector<Mode>& modes) {
    Result<void> done;
    for (const Mode& mode : modes) {
        if (!done) {
            LOG_INFO("{}: {}; trying generic mode", iface_, done.error().message);
        }
        done = program_->attach(netdev_->index(), iface_, mode.native);
        if (done) {
            LOG_INFO("{}: steering in {} mode, {} receive queue{}{}", iface_,
                     mode.native ? "native" : "generic", sockets_.size(),
                     sockets_.size() == 1 ? "" : "s",
                     sockets_[0]->is_zero_copy() ? ", without copies by the kernel" : "");
            return done;
        }
    }
    return done;
}

/// Sees multicast for untagged localnet ports, once one is served.
Result<void> AfXdpPort::open_copies(const OpenContext& context) {
    PortSpec spec{context.spec.name, "af_packet", {{"iface", iface_}, {"copies", "1"}}};
    OpenContext copies{
        spec, context.id,          context.n_workers, context.pool, context.pool_data_room,
        0,    context.super_frames};
    Result<std::unique_ptr<Device>> opened = AfPacketPort::open(copies);
    if (!opened) {
        return opened.error();
    }
    copies_.reset(static_cast<AfPacketPort*>(opened->release()));
    return {};
}

void AfXdpPort::hand_out_queues(const OpenContext& context) {
    for (const auto& socket : sockets_) {
        auto& rx = rx_.emplace_back(std::make_unique<AfXdpRx>());
        rx->socket = socket.get();
        rx->pool = context.pool;
        rx->is_veth = is_veth(control_fd_, iface_);
        rx_queues_.push_back({.burst = af_xdp_rx_burst,
                              .ctx = rx.get(),
                              .port = context.id,
                              .queue = static_cast<uint16_t>(rx_queues_.size()),
                              .wait_fd = socket->fd()});
    }
    for (RxQueue queue : copies_->rx_queues()) {
        queue.queue = static_cast<uint16_t>(rx_queues_.size());
        rx_queues_.push_back(queue);
    }
    for (unsigned worker = 0; worker < context.n_workers; ++worker) {
        auto& tx = tx_.emplace_back(std::make_unique<AfXdpTx>());
        tx->socket = sockets_[worker % sockets_.size()].get();
        tx->is_shared = context.n_workers > sockets_.size();
        tx_queues_.push_back({af_xdp_tx_burst, tx.get()});
    }
}

Mac AfXdpPort::mac() const {
    const Result<Mac> mac = netdev_->mac();
    return mac ? *mac : Mac{};
}

uint16_t AfXdpPort::mtu() const {
    const Result<uint16_t> mtu = netdev_->mtu();
    return mtu ? *mtu : 1500;
}

Result<void> AfXdpPort::set_mtu(uint16_t mtu) {
    return netdev_->set_mtu(mtu);
}

/// Tags have to be in the bytes for the program to see them.
void AfXdpPort::prepare_for_tags() const {
    ethtool_value flags{};
    flags.cmd = ETHTOOL_GFLAGS;
    if (!ask_ethtool(control_fd_, iface_, &flags) || !(flags.data & ETH_FLAG_RXVLAN)) {
        return;
    }
    flags.cmd = ETHTOOL_SFLAGS;
    flags.data &= ~static_cast<uint32_t>(ETH_FLAG_RXVLAN);
    if (!ask_ethtool(control_fd_, iface_, &flags)) {
        LOG_WARN(
            "{}: the device takes VLAN tags out of frames and does not let that be turned off: "
            "localnet ports with a tag may receive nothing here",
            iface_);
    }
}

Result<void> AfXdpPort::steer(const Steering& steering) {
    if (!steering.vlans.empty() && program_->steering().vlans.empty()) {
        prepare_for_tags();
    }
    copies_->set_listening(steering.untagged, steering.untagged || !steering.vlans.empty());
    Result<void> done = program_->steer(steering, mac());
    if (program_->is_attached() || is_gone()) {
        return done;
    }
    LOG_WARN("{}: somebody took the steering program off; putting it back", iface_);
    return program_->attach(netdev_->index(), iface_, program_->is_native());
}

PortStats AfXdpPort::stats() const {
    PortStats stats = copies_->stats();
    for (const auto& rx : rx_) {
        rx->counters.add_rx_to(stats);
        stats.rx_dropped += rx->socket->kernel_drops();
    }
    for (const auto& tx : tx_) {
        tx->counters.add_tx_to(stats);
    }
    return stats;
}

std::vector<NamedCount> AfXdpPort::named_counts() const {
    std::vector<NamedCount> list;
    const XdpProgram::Counts counts = program_->counts();
    for (unsigned kind = 0; kind < STEER_KINDS; ++kind) {
        list.push_back({steer_kind_name(kind), counts[kind]});
    }
    return list;
}

}  // namespace sluice::pmd
