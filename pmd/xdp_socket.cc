// SPDX-License-Identifier: Apache-2.0
#include "pmd/xdp_socket.h"

#include <fmt/format.h>
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "pmd/driver.h"

namespace sluice::pmd {
namespace {

constexpr uint16_t kUseSg = 1 << 4;  // XDP_USE_SG, which older kernel headers lack
constexpr unsigned kMaxPieces = 17;  // of one frame: what every kernel takes

bool map_ring(int fd, const xdp_ring_offset& offset, uint64_t where, uint32_t size,
              size_t entry_bytes, XdpRing* ring) {
    ring->mapped_bytes = offset.desc + size * entry_bytes;
    ring->mapping = mmap(nullptr, ring->mapped_bytes, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_POPULATE, fd, static_cast<off_t>(where));
    if (ring->mapping == MAP_FAILED) {
        ring->mapping = nullptr;
        return false;
    }
    auto* base = static_cast<uint8_t*>(ring->mapping);
    ring->producer = reinterpret_cast<uint32_t*>(base + offset.producer);
    ring->consumer = reinterpret_cast<uint32_t*>(base + offset.consumer);
    ring->flags = reinterpret_cast<uint32_t*>(base + offset.flags);
    ring->entries = base + offset.desc;
    ring->size = size;
    return true;
}

Error error_of(const XdpSocketSettings& settings, const char* what, int error) {
    if (error == EPERM || error == EACCES) {
        return Error{fmt::format(
            "{}: not permitted; run as root or with CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF", what)};
    }
    if (error == EAFNOSUPPORT) {
        return Error{"this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)"};
    }
    if (error == EBUSY) {
        return Error{fmt::format("queue {} of {} belongs to an AF_XDP socket of another program",
                                 settings.queue, settings.device)};
    }
    return Error{fmt::format("queue {} of {}: {}: {}", settings.queue, settings.device, what,
                             errno_text(error))};
}

/// The kernel takes a closed socket off its queue some time after close(): a port that is opened
/// anew would meet its own predecessor. Returns errno, 0 when bound.
int bind_patiently(int fd, const sockaddr_xdp& address) {
    constexpr unsigned kTries = 50;
    constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 10'000'000};
    for (unsigned i = 0;; ++i) {
        if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
            return 0;
        }
        const int error = errno;
        if (error != EBUSY || i == kTries) {
            return error;
        }
        nanosleep(&kPause, nullptr);
    }
}

}  // namespace

Result<std::unique_ptr<XdpSocket>> XdpSocket::open(const XdpSocketSettings& settings) {
    std::unique_ptr<XdpSocket> opened(new XdpSocket());
    const Result<void> done = opened->set_up(settings);
    if (!done) {
        return done.error();
    }
    return opened;
}

XdpSocket::~XdpSocket() {
    for (const XdpRing* ring : {&rx, &tx, &fill_ring, &completion}) {
        if (ring->mapping) {
            munmap(ring->mapping, ring->mapped_bytes);
        }
    }
    if (fd_ >= 0) {
        close(fd_);
    }
    if (memory_) {
        munmap(memory_, memory_bytes_);
    }
}

Result<void> XdpSocket::set_up(const XdpSocketSettings& settings) {
    queue_ = settings.queue;
    n_frames_ = settings.n_frames;
    chunk_size_ = settings.chunk_size;
    fd_ = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
        return error_of(settings, "opening an AF_XDP socket", errno);
    }
    memory_bytes_ = size_t{2} * n_frames_ * chunk_size_;
    void* memory = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
        return error_of(settings, "packet memory", errno);
    }
    memory_ = static_cast<uint8_t*>(memory);
    xdp_umem_reg umem{};
    umem.addr = reinterpret_cast<uint64_t>(memory_);
    umem.len = memory_bytes_;
    umem.chunk_size = chunk_size_;
    const auto set = [&](int option, const auto& value) {
        return setsockopt(fd_, SOL_XDP, option, &value, sizeof value) == 0;
    };
    if (!set(XDP_UMEM_REG, umem)) {
        return error_of(settings, "registering packet memory", errno);
    }
    if (!set(XDP_UMEM_FILL_RING, n_frames_) || !set(XDP_UMEM_COMPLETION_RING, n_frames_) ||
        !set(XDP_RX_RING, n_frames_) || !set(XDP_TX_RING, n_frames_) || !map_rings()) {
        return error_of(settings, "making its rings", errno);
    }
    for (unsigned i = n_frames_; i < 2 * n_frames_; ++i) {
        free_tx.push_back(uint64_t{i} * chunk_size_);
    }
    return bind_to_queue(settings);
}

bool XdpSocket::map_rings() {
    xdp_mmap_offsets offsets{};
    socklen_t length = sizeof offsets;
    return getsockopt(fd_, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) == 0 &&
           length == sizeof offsets &&
           map_ring(fd_, offsets.rx, XDP_PGOFF_RX_RING, n_frames_, sizeof(xdp_desc), &rx) &&
           map_ring(fd_, offsets.tx, XDP_PGOFF_TX_RING, n_frames_, sizeof(xdp_desc), &tx) &&
           map_ring(fd_, offsets.fr, XDP_UMEM_PGOFF_FILL_RING, n_frames_, sizeof(uint64_t),
                    &fill_ring) &&
           map_ring(fd_, offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, n_frames_, sizeof(uint64_t),
                    &completion);
}

Result<void> XdpSocket::bind_to_queue(const XdpSocketSettings& settings) {
    using Copy = XdpSocketSettings::Copy;
    sockaddr_xdp address{};
    address.sxdp_family = AF_XDP;
    address.sxdp_ifindex = static_cast<uint32_t>(settings.ifindex);
    address.sxdp_queue_id = settings.queue;
    std::vector<uint16_t> tries;
    if (settings.copy != Copy::kAlways) {
        tries.push_back(XDP_ZEROCOPY);
    }
    if (settings.copy != Copy::kNever) {
        tries.push_back(XDP_COPY);
    }
    int error = 0;
    for (const uint16_t copy : tries) {
        for (const uint16_t pieces : {kUseSg, uint16_t{0}}) {
            address.sxdp_flags = static_cast<uint16_t>(copy | pieces | XDP_USE_NEED_WAKEUP);
            error = bind_patiently(fd_, address);
            if (error == 0) {
                is_zero_copy_ = copy == XDP_ZEROCOPY;
                takes_pieces_ = pieces != 0;
                return {};
            }
            if (error == EBUSY || error == EPERM || error == ENODEV) {
                return error_of(settings, "binding", error);
            }
        }
    }
    return error_of(settings, settings.copy == Copy::kNever ? "binding without copies" : "binding",
                    error);
}

unsigned XdpSocket::max_frame() const {
    return takes_pieces_ ? std::min(chunk_size_ * kMaxPieces, 65535u) : chunk_size_;
}

uint64_t XdpSocket::kernel_drops() const {
    xdp_statistics statistics{};
    socklen_t length = sizeof statistics;
    if (getsockopt(fd_, SOL_XDP, XDP_STATISTICS, &statistics, &length) != 0) {
        return 0;
    }
    return statistics.rx_dropped + statistics.rx_ring_full;
}

void XdpSocket::fill() {
    for (unsigned i = 0; i < n_frames_; ++i) {
        fill_ring.address(fill_ring.own++) = uint64_t{i} * chunk_size_;
    }
    fill_ring.publish_produced();
}

}  // namespace sluice::pmd
