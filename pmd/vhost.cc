// SPDX-License-Identifier: Apache-2.0
#include "pmd/vhost.h"

#include <fmt/format.h>
#include <rte_log.h>
#include <rte_pause.h>
#include <rte_vhost.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "lib/base/log.h"

SLUICE_LOG_MODULE(vhost);

namespace sluice::pmd {
namespace {

// linux/virtio_net.h is no C++.
constexpr uint64_t kNetFeature(unsigned bit) {
    return uint64_t{1} << bit;
}
constexpr uint64_t kUfoAndEcn =
    kNetFeature(9) | kNetFeature(10) | kNetFeature(13) | kNetFeature(14);
/// A socket of ours and one of the guest's, its memory (QEMU shares it in eight regions at most).
constexpr unsigned kFilesOfGuest = 10;
constexpr unsigned kFilesOfPair = 4;                ///< kick and call of two rings
constexpr uint64_t kPackedRings = kNetFeature(34);  ///< one way less into the library
constexpr uint64_t kTso = kNetFeature(7) | kNetFeature(8) | kNetFeature(11) | kNetFeature(12);

/// Ports by the path of their socket, which is all that the library knows of them. The lock is
/// held while a port is told something, so that it cannot be closed meanwhile.
struct Registry {
    std::mutex lock;
    std::map<std::string, VhostPort*, std::less<>> ports;
};

Registry& registry() {
    static Registry one;
    return one;
}

template <typename Tell>
int tell(int vid, Tell&& what) {
    std::array<char, 256> path{};
    if (rte_vhost_get_ifname(vid, path.data(), path.size()) != 0) {
        return -1;
    }
    const std::lock_guard guard(registry().lock);
    const auto it = registry().ports.find(std::string_view(path.data()));
    if (it == registry().ports.end()) {
        return -1;
    }
    what(*it->second);
    return 0;
}

int on_new_device(int vid) {
    return tell(vid, [vid](VhostPort& port) { port.connect(vid); });
}

void on_destroy_device(int vid) {
    tell(vid, [](VhostPort& port) { port.disconnect(); });
}

int on_ring(int vid, uint16_t virtqueue, int is_enabled) {
    return tell(vid, [=](VhostPort& port) { port.set_ring(vid, virtqueue, is_enabled != 0); });
}

/// What QEMU says of a network device: vhost-user's requests 1 to 22 (features, memory, rings, log,
/// MTU, IOTLB), 36 to 38 (memory slots), 39 and 40 (status). The library handles more, some by
/// taking as much memory as the message says (inflight buffers), and nobody needs them here.
constexpr uint64_t kKnownRequests = ((uint64_t{1} << 23) - 2) | uint64_t{0x1f} << 36;

rte_vhost_msg_result before_message(int, void* message) {
    uint32_t request = 0;
    std::memcpy(&request, message, sizeof request);
    return request < 64 && (kKnownRequests >> request & 1) ? RTE_VHOST_MSG_RESULT_NOT_HANDLED
                                                           : RTE_VHOST_MSG_RESULT_ERR;
}

int on_connection(int vid) {
    static const rte_vhost_user_extern_ops ops{before_message, nullptr};
    return rte_vhost_extern_callback_register(vid, &ops, nullptr);
}

const rte_vhost_device_ops kOps = [] {
    rte_vhost_device_ops ops{};
    ops.new_connection = on_connection;
    ops.new_device = on_new_device;
    ops.destroy_device = on_destroy_device;
    ops.vring_state_changed = on_ring;
    return ops;
}();

/// Removes the socket of a process that is gone.
Result<void> clear_path(const PortSpec& spec, const std::string& path) {
    struct stat what {};
    if (lstat(path.c_str(), &what) != 0) {
        return {};
    }
    if (!S_ISSOCK(what.st_mode)) {
        return Error{
            fmt::format("port {}: path={}: there is something that is no socket", spec.name, path)};
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool is_served =
        fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (is_served || error != ECONNREFUSED) {
        return Error{
            fmt::format("port {}: path={}: another process serves this socket", spec.name, path)};
    }
    unlink(path.c_str());
    return {};
}

Result<bool> client_arg(const PortSpec& spec) {
    const std::string& mode = spec.arg("mode");
    if (mode.empty() || mode == "client" || mode == "server") {
        return mode != "server";
    }
    return Error{fmt::format("port {}: mode={} is neither client nor server", spec.name, mode)};
}

/// Waits until nobody is inside who may have seen what was there before.
template <typename Queues>
void wait_for(const Queues& queues) {
    for (const auto& queue : queues) {
        while (queue->busy.load(std::memory_order_seq_cst) != 0) {
            rte_pause();
        }
    }
}

}  // namespace

const char* vhost_fault_text(VhostFault fault) {
    switch (fault) {
    case VhostFault::kNone: return "";
    case VhostFault::kUnreadable:
        return "guest given up until it starts anew: ring_unreadable (it offers descriptors that "
               "form a loop or lie outside of its memory)";
    case VhostFault::kIndex:
        return "guest given up until it starts anew: ring_index (it offers more descriptors than "
               "its ring has)";
    }
    return "";
}

Result<std::unique_ptr<Device>> VhostPort::open(const OpenContext& context) {
    const PortSpec& spec = context.spec;
    std::unique_ptr<VhostPort> port(new VhostPort());
    port->path_ = spec.arg("path");
    if (port->path_.empty() || port->path_.size() >= sizeof(sockaddr_un::sun_path)) {
        return Error{fmt::format("port {}: driver vhost needs path=SOCKET of at most {} characters",
                                 spec.name, sizeof(sockaddr_un::sun_path) - 1)};
    }
    const Result<bool> is_client = client_arg(spec);
    const Result<unsigned> n_queues = number_arg(spec, "queues", 1, 1, kMaxVhostPairs);
    const Result<std::optional<Mac>> mac = mac_arg(spec, "mac");
    const Result<bool> tso = flag_arg(spec, "tso", true);
    const Result<bool> iommu = flag_arg(spec, "iommu", false);
    if (!is_client || !n_queues || !mac || !tso || !iommu) {
        return !is_client  ? is_client.error()
               : !n_queues ? n_queues.error()
               : !mac      ? mac.error()
               : !tso      ? tso.error()
                           : iommu.error();
    }
    Result<OpenFiles> files = OpenFiles::book(kFilesOfGuest + kFilesOfPair * *n_queues);
    if (!files) {
        return files.error().with_context("port " + spec.name);
    }
    port->files_ = std::move(*files);
    port->mac_ = mac->value_or(Mac{});
    port->mtu_ = context.mtu ? context.mtu : uint16_t{1500};
    port->link_.is_plain = !*tso;
    port->make_queues(context, *n_queues);
    const Result<void> started = port->start(spec, *is_client, *iommu);
    if (!started) {
        return started.error();
    }
    return std::unique_ptr<Device>(std::move(port));
}

void VhostPort::make_queues(const OpenContext& context, unsigned n_queues) {
    for (unsigned q = 0; q < n_queues; ++q) {
        auto& rx = rx_.emplace_back(std::make_unique<VhostRx>());
        rx->link = &link_;
        for (unsigned pair = q; pair < kMaxVhostPairs; pair += n_queues) {
            rx->pairs |= uint64_t{1} << pair;
        }
        rx->pool = context.pool;
        rx->keeps_super = context.super_frames;
        rx->bytes = std::make_unique_for_overwrite<uint8_t[]>(kMaxGsoFrame);
        rx_queues_.push_back({vhost_rx_burst, rx.get()});
    }
    for (unsigned w = 0; w < context.n_workers; ++w) {
        auto& tx = tx_.emplace_back(std::make_unique<VhostTx>());
        tx->link = &link_;
        tx->worker = w;
        tx->pool = context.pool;
        tx->bytes = std::make_unique_for_overwrite<uint8_t[]>(kMaxGsoFrame);
        tx_queues_.push_back({vhost_tx_burst, tx.get()});
    }
}

Result<void> VhostPort::start(const PortSpec& spec, bool is_client, bool has_iommu) {
    {
        const std::lock_guard guard(registry().lock);
        if (!registry().ports.emplace(path_, this).second) {
            path_.clear();
            return Error{
                fmt::format("port {}: another port has path={}", spec.name, spec.arg("path"))};
        }
    }
    if (!is_client) {
        const Result<void> clear = clear_path(spec, path_);
        if (!clear) {
            return clear.error();
        }
    }
    // It tells every message of the protocol otherwise.
    rte_log_set_level_pattern("lib.vhost.*", RTE_LOG_WARNING);
    const uint64_t flags = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS |
                           (is_client ? RTE_VHOST_USER_CLIENT : 0) |
                           (has_iommu ? RTE_VHOST_USER_IOMMU_SUPPORT : 0);
    const char* path = path_.c_str();
    if (rte_vhost_driver_register(path, flags) != 0) {
        return Error{
            fmt::format("port {}: cannot use path={}: {}", spec.name, path_, errno_text(errno))};
    }
    is_registered_ = true;
    const uint64_t unwanted = kUfoAndEcn | kPackedRings | (link_.is_plain ? kTso : 0);
    if (rte_vhost_driver_disable_features(path, unwanted) != 0 ||
        rte_vhost_driver_callback_register(path, &kOps) != 0 || rte_vhost_driver_start(path) != 0) {
        return Error{fmt::format("port {}: vhost-user cannot start on path={}: {}", spec.name,
                                 path_, errno_text(errno))};
    }
    return {};
}

VhostPort::~VhostPort() {
    if (is_registered_) {
        rte_vhost_driver_unregister(path_.c_str());  // ends a connection, by disconnect()
    }
    if (!path_.empty()) {
        const std::lock_guard guard(registry().lock);
        registry().ports.erase(path_);
    }
    for (const auto& rx : rx_) {
        rte_pktmbuf_free_bulk(&rx->waiting[rx->first_waiting],
                              static_cast<unsigned>(rx->n_waiting - rx->first_waiting));
    }
}

void VhostPort::connect(int vid) {
    uint64_t features = 0;
    rte_vhost_get_negotiated_features(vid, &features);
    link_.features.store(features, std::memory_order_relaxed);
    const unsigned n_pairs = rte_vhost_get_vring_num(vid) / 2u;
    for (unsigned pair = 0; pair < n_pairs; ++pair) {
        rte_vhost_enable_guest_notification(vid, static_cast<uint16_t>(2 * pair + 1), 0);
    }
    for (unsigned queue = 0; queue < 2 * std::min(n_pairs, kMaxVhostPairs); ++queue) {
        learn_size(vid, static_cast<uint16_t>(queue));
    }
    link_.fault.store(VhostFault::kNone, std::memory_order_relaxed);
    link_.connections.fetch_add(1, std::memory_order_relaxed);
    link_.vid.store(vid, std::memory_order_seq_cst);
    LOG_INFO("{}: a guest is connected, {} queue pairs, features {:#x}", path_, n_pairs, features);
}

void VhostPort::disconnect() {
    link_.vid.store(-1, std::memory_order_seq_cst);
    wait_for(rx_);
    wait_for(tx_);
    link_.to_guest.store(0, std::memory_order_relaxed);
    link_.from_guest.store(0, std::memory_order_relaxed);
    const VhostFault fault = link_.fault.exchange(VhostFault::kNone, std::memory_order_relaxed);
    if (fault != VhostFault::kNone) {
        LOG_WARN("{}: {}", path_, vhost_fault_text(fault));
    }
    LOG_INFO("{}: the guest is gone", path_);
}

/// Before anybody may use the ring.
void VhostPort::learn_size(int vid, uint16_t virtqueue) {
    rte_vhost_vring ring{};
    const bool is_there = rte_vhost_get_vhost_vring(vid, virtqueue, &ring) == 0;
    link_.size[virtqueue].store(is_there ? ring.size : 0, std::memory_order_relaxed);
}

void VhostPort::set_ring(int vid, uint16_t virtqueue, bool is_enabled) {
    const unsigned pair = virtqueue / 2u;
    if (pair >= kMaxVhostPairs) {
        return;
    }
    learn_size(vid, virtqueue);
    std::atomic<uint64_t>& bits = virtqueue % 2 == 0 ? link_.to_guest : link_.from_guest;
    const uint64_t bit = uint64_t{1} << pair;
    const uint64_t now = bits.load(std::memory_order_relaxed);
    bits.store(is_enabled ? now | bit : now & ~bit, std::memory_order_release);
}

uint32_t VhostPort::caps() const {
    return kPortTxUdpCksum | kPortTxTcpCksum | (link_.is_plain ? 0u : kPortTxTso) |
           kPortTxMultiSeg | kPortRxCksum | kPortRxMultiSeg;
}

Result<void> VhostPort::set_mtu(uint16_t mtu) {
    mtu_ = mtu;
    return {};
}

bool VhostPort::link_up() const {
    return link_.vid.load(std::memory_order_relaxed) >= 0;
}

PortStats VhostPort::stats() const {
    PortStats stats;
    const auto add = [&stats](PortWork work, const std::atomic<uint64_t>& count) {
        stats.work[static_cast<size_t>(work)] += count.load(std::memory_order_relaxed);
    };
    for (const auto& rx : rx_) {
        rx->counters.add_rx_to(stats);
        add(PortWork::k_rx_soft_checksum, rx->soft_checksum);
        add(PortWork::k_rx_soft_cut, rx->soft_cut);
    }
    for (const auto& tx : tx_) {
        tx->counters.add_tx_to(stats);
        add(PortWork::k_tx_soft_checksum, tx->soft_checksum);
        add(PortWork::k_tx_soft_cut, tx->soft_cut);
    }
    add(PortWork::k_guest_faults, link_.faults);
    return stats;
}

std::string VhostPort::trouble() const {
    return vhost_fault_text(link_.fault.load(std::memory_order_relaxed));
}

}  // namespace sluice::pmd
