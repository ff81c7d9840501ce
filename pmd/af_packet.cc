// SPDX-License-Identifier: Apache-2.0
#include "pmd/af_packet.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bit>
#include <cerrno>

namespace sluice::pmd {
namespace {

constexpr unsigned kRingBytes = 2u << 20;
constexpr unsigned kBlockBytes = 1u << 16;
constexpr unsigned kSlotOverhead = 128;  // tpacket2_hdr, sockaddr_ll, virtio_net_hdr, VLAN tags
constexpr int kSocketBuffer = 8 << 20;   // some hundred GSO frames in flight

Error socket_error(const PortSpec& spec, const char* what) {
    const int error = errno;
    if (error == EPERM || error == EACCES) {
        return Error{fmt::format(
            "port {}: {}: not permitted; run as root or with CAP_NET_RAW and CAP_NET_ADMIN",
            spec.name, what)};
    }
    return Error{fmt::format("port {}: {}: {}", spec.name, what, errno_text(error))};
}

template <typename T>
bool set_option(int fd, int level, int option, const T& value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/// Protocol 0: receives nothing until bound to one.
int packet_socket() {
    return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

bool bind_to(int fd, int index, uint16_t protocol) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    address.sll_ifindex = index;
    return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

Result<std::unique_ptr<Device>> AfPacketPort::open(const OpenContext& context) {
    const PortSpec& spec = context.spec;
    const std::string iface = spec.arg("iface").empty() ? spec.name : spec.arg("iface");
    std::unique_ptr<AfPacketPort> port(new AfPacketPort());
    port->tx_fd_ = packet_socket();
    if (port->tx_fd_ < 0) {
        return socket_error(spec, "opening a packet socket");
    }
    const Result<Netdev> netdev = Netdev::by_name(port->tx_fd_, iface);
    if (!netdev) {
        return netdev.error().with_context("port " + spec.name);
    }
    port->netdev_ = std::make_unique<Netdev>(*netdev);
    if (context.mtu) {
        const Result<void> set = port->netdev_->set_mtu(context.mtu);
        if (!set) {
            return set.error().with_context("port " + spec.name);
        }
    }
    const Result<void> up = port->netdev_->bring_up();
    if (!up) {
        return up.error().with_context("port " + spec.name);
    }
    // A slot takes a whole frame of the MTU if it is not absurd; larger ones pass by the queue.
    const unsigned fitting =
        std::bit_ceil(std::min<unsigned>(port->mtu(), 16000) + ETH_HLEN + kSlotOverhead);
    const Result<unsigned> frame_size =
        number_arg(spec, "frame_size", std::max(2048u, fitting), 256, kBlockBytes);
    if (!frame_size) {
        return frame_size.error();
    }
    if (!std::has_single_bit(*frame_size)) {
        return Error{fmt::format("port {}: frame_size must be a power of two", spec.name)};
    }
    const Result<unsigned> n_frames =
        number_arg(spec, "frames", kRingBytes / *frame_size, 16, 1u << 16);
    const Result<unsigned> n_queues = number_arg(spec, "queues", 1, 1, 64);
    if (!n_frames || !n_queues) {
        return n_frames ? n_queues.error() : n_frames.error();
    }
    Result<void> opened = port->open_tx(context);
    for (unsigned q = 0; q < *n_queues && opened; ++q) {
        opened = port->open_rx(context, *n_frames, *frame_size);
    }
    if (!opened) {
        return opened.error();
    }
    return std::unique_ptr<Device>(std::move(port));
}

Result<void> AfPacketPort::open_tx(const OpenContext& context) {
    const Result<bool> bypass = flag_arg(context.spec, "qdisc_bypass", false);
    if (!bypass) {
        return bypass.error();
    }
    const int one = 1;
    if (!set_option(tx_fd_, SOL_PACKET, PACKET_VNET_HDR, one) ||
        (*bypass && !set_option(tx_fd_, SOL_PACKET, PACKET_QDISC_BYPASS, one)) ||
        !set_option(tx_fd_, SOL_SOCKET, SO_SNDBUFFORCE, kSocketBuffer) ||
        !bind_to(tx_fd_, netdev_->index(), 0)) {
        return socket_error(context.spec, "preparing to send");
    }
    for (unsigned w = 0; w < context.n_workers; ++w) {
        auto& tx = tx_.emplace_back(std::make_unique<AfPacketTx>());
        tx->fd = tx_fd_;
        tx_queues_.push_back({af_packet_tx_burst, tx.get()});
    }
    return {};
}

Result<void> AfPacketPort::open_rx(const OpenContext& context, unsigned n_frames,
                                   unsigned frame_size) {
    auto& rx = rx_.emplace_back(std::make_unique<AfPacketRx>());
    rx->fd = packet_socket();
    const int one = 1;
    const int version = TPACKET_V2;
    const unsigned per_block = kBlockBytes / frame_size;
    tpacket_req request{};
    request.tp_block_size = kBlockBytes;
    request.tp_frame_size = frame_size;
    request.tp_block_nr = (n_frames + per_block - 1) / per_block;
    request.tp_frame_nr = request.tp_block_nr * per_block;
    if (rx->fd < 0 || !set_option(rx->fd, SOL_PACKET, PACKET_VERSION, version) ||
        !set_option(rx->fd, SOL_PACKET, PACKET_VNET_HDR, one) ||
        !set_option(rx->fd, SOL_PACKET, PACKET_COPY_THRESH, one) ||
        !set_option(rx->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, one) ||
        !set_option(rx->fd, SOL_PACKET, PACKET_RX_RING, request) ||
        !set_option(rx->fd, SOL_SOCKET, SO_RCVBUFFORCE, kSocketBuffer)) {
        return socket_error(context.spec, "preparing to receive");
    }
    rx->n_frames = request.tp_frame_nr;
    rx->frame_size = frame_size;
    rx->ring_bytes = size_t{request.tp_block_nr} * kBlockBytes;
    void* ring = mmap(nullptr, rx->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, rx->fd, 0);
    if (ring == MAP_FAILED) {
        return socket_error(context.spec, "mapping the receive ring");
    }
    rx->ring = static_cast<uint8_t*>(ring);
    rx->large.resize(sizeof(VnetHeader) + kMaxGsoFrame);
    rx->pool = context.pool;
    rx->frame.keep_super_frames(context.super_frames);
    const Result<bool> copies = flag_arg(context.spec, "copies", false);
    if (!copies) {
        return copies.error();
    }
    is_for_copies_ = *copies;
    set_listening(false, false);
    if (!bind_to(rx->fd, netdev_->index(), ETH_P_ALL) ||
        (!is_for_copies_ && !set_promiscuous(rx->fd, true))) {
        return socket_error(context.spec, "receiving");
    }
    rx_queues_.push_back({.burst = af_packet_rx_burst, .ctx = rx.get(), .wait_fd = rx->fd});
    const Result<unsigned> n_queues = number_arg(context.spec, "queues", 1, 1, 64);
    if (*n_queues == 1) {
        return {};
    }
    // The first socket has the kernel choose a group number; the others join that group.
    int fanout = PACKET_FANOUT_HASH << 16;
    fanout |= fanout_ < 0 ? PACKET_FANOUT_FLAG_UNIQUEID << 16 : fanout_;
    socklen_t length = sizeof fanout;
    if (!set_option(rx->fd, SOL_PACKET, PACKET_FANOUT, fanout) ||
        getsockopt(rx->fd, SOL_PACKET, PACKET_FANOUT, &fanout, &length) < 0) {
        return socket_error(context.spec, "spreading over several queues");
    }
    fanout_ = fanout & 0xffff;
    return {};
}

AfPacketPort::~AfPacketPort() {
    for (const auto& rx : rx_) {
        if (rx->ring) {
            munmap(rx->ring, rx->ring_bytes);
        }
        if (rx->fd >= 0) {
            close(rx->fd);
        }
    }
    if (tx_fd_ >= 0) {
        close(tx_fd_);
    }
}

uint32_t AfPacketPort::caps() const {
    return kPortTxUdpCksum | kPortTxTcpCksum | kPortTxTso | kPortTxMultiSeg | kPortRxCksum |
           kPortRxMultiSeg;
}

bool AfPacketPort::set_promiscuous(int fd, bool promiscuous) {
    packet_mreq membership{};
    membership.mr_ifindex = netdev_->index();
    membership.mr_type = PACKET_MR_PROMISC;
    return set_option(fd, SOL_PACKET, promiscuous ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP,
                      membership);
}

void AfPacketPort::set_listening(bool listens, bool promiscuous) {
    // Loads the first byte of the frame and lets it pass if it has the group bit; or nothing
    // passes.
    sock_filter groups[] = {{BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},
                            {BPF_JMP | BPF_JSET | BPF_K, 0, 1, 1},
                            {BPF_RET | BPF_K, 0, 0, 0xffffffff},
                            {BPF_RET | BPF_K, 0, 0, 0}};
    sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
    const sock_fprog filter = listens ? sock_fprog{4, groups} : sock_fprog{1, nothing};
    for (size_t i = 0; is_for_copies_ && i < rx_.size(); ++i) {
        (void)set_option(rx_[i]->fd, SOL_SOCKET, SO_ATTACH_FILTER, filter);
    }
    if (is_for_copies_ && promiscuous != is_promiscuous_) {
        is_promiscuous_ = promiscuous;
        (void)set_promiscuous(rx_[0]->fd, promiscuous);
    }
}

Mac AfPacketPort::mac() const {
    const Result<Mac> mac = netdev_->mac();
    return mac ? *mac : Mac{};
}

uint16_t AfPacketPort::mtu() const {
    const Result<uint16_t> mtu = netdev_->mtu();
    return mtu ? *mtu : 1500;
}

Result<void> AfPacketPort::set_mtu(uint16_t mtu) {
    return netdev_->set_mtu(mtu);
}

PortStats AfPacketPort::stats() const {
    PortStats stats;
    for (const auto& rx : rx_) {
        rx->counters.add_rx_to(stats);
        tpacket_stats kernel{};
        socklen_t length = sizeof kernel;
        if (getsockopt(rx->fd, SOL_PACKET, PACKET_STATISTICS, &kernel, &length) == 0) {
            kernel_drops_ += kernel.tp_drops;
        }
    }
    stats.rx_dropped += kernel_drops_;
    for (const auto& tx : tx_) {
        tx->counters.add_tx_to(stats);
    }
    return stats;
}

}  // namespace sluice::pmd
