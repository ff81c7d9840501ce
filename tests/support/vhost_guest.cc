// SPDX-License-Identifier: Apache-2.0
#include "tests/support/vhost_guest.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace sluice::test {
namespace {

constexpr uint16_t kNext = 1;
constexpr uint16_t kDeviceWrites = 2;

struct MessageHeader {
    uint32_t request;
    uint32_t flags;
    uint32_t size;
};

/// Fences as virtio asks for: the other side runs on another core.
void publish16(uint16_t* at, uint16_t value) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    *static_cast<volatile uint16_t*>(at) = value;
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

uint16_t read16(const uint8_t* at) {
    const uint16_t value = *reinterpret_cast<const volatile uint16_t*>(at);
    std::atomic_thread_fence(std::memory_order_acquire);
    return value;
}

size_t aligned(size_t n) {
    return (n + 63) & ~size_t{63};
}

template <typename T>
std::span<const uint8_t> bytes_of(const T& value) {
    return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

}  // namespace

std::unique_ptr<VhostGuest> VhostGuest::connect(const VhostGuestOptions& options) {
    std::unique_ptr<VhostGuest> guest(new VhostGuest());
    guest->options_ = options;
    const bool is_up = guest->open_socket(options) && guest->make_memory(options) &&
                       guest->negotiate() && guest->share_memory() && guest->start_ring(0) &&
                       guest->start_ring(1);
    return is_up ? std::move(guest) : nullptr;
}

VhostGuest::~VhostGuest() {
    for (const int fd :
         {socket_, memory_fd_, rings_[0].kick, rings_[0].call, rings_[1].kick, rings_[1].call}) {
        if (fd >= 0) {
            close(fd);
        }
    }
    if (!memory_.empty()) {
        munmap(memory_.data(), memory_.size());
    }
}

bool VhostGuest::open_socket(const VhostGuestOptions& options) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    options.path.copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* where = reinterpret_cast<const sockaddr*>(&address);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!options.listens) {
        socket_ = fd;
        return fd >= 0 && ::connect(fd, where, sizeof address) == 0;
    }
    unlink(options.path.c_str());
    pollfd poller{fd, POLLIN, 0};
    if (bind(fd, where, sizeof address) == 0 && listen(fd, 1) == 0 &&
        poll(&poller, 1, options.patience_ms) == 1) {
        socket_ = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
    }
    close(fd);
    return socket_ >= 0;
}

bool VhostGuest::make_memory(const VhostGuestOptions& options) {
    const size_t n = options.ring;
    const size_t table = aligned(16 * n);
    const size_t avail = aligned(6 + 2 * n);
    const size_t used = aligned(6 + 8 * n);
    const size_t one = table + avail + used + n * options.buffer;
    const size_t size = (2 * one + options.extra_memory + 4095) & ~size_t{4095};
    memory_fd_ = memfd_create("guest", MFD_CLOEXEC);
    if (memory_fd_ < 0 || ftruncate(memory_fd_, static_cast<off_t>(size)) != 0) {
        return false;
    }
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd_, 0);
    if (at == MAP_FAILED) {
        return false;
    }
    memory_ = {static_cast<uint8_t*>(at), size};
    for (unsigned i = 0; i < 2; ++i) {
        uint8_t* base = memory_.data() + i * one;
        Ring& ring = rings_[i];
        ring.desc = reinterpret_cast<VringDesc*>(base);
        ring.avail = reinterpret_cast<uint16_t*>(base + table);
        ring.used = base + table + avail;
        ring.size = options.ring;
        ring.buffers = i * one + table + avail + used;
        ring.kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        ring.call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (ring.kick < 0 || ring.call < 0) {
            return false;
        }
    }
    stock();
    return true;
}

/// All buffers of the first queue wait for frames.
void VhostGuest::stock() {
    Ring& ring = rings_[0];
    for (unsigned d = 0; d < ring.size; ++d) {
        ring.desc[d] = {kPhysical + ring.buffers + size_t{d} * options_.buffer, options_.buffer,
                        kDeviceWrites, 0};
        ring.avail[2 + d] = static_cast<uint16_t>(d);
    }
    ring.next_avail = static_cast<uint16_t>(ring.size);
    publish16(&ring.avail[1], ring.next_avail);
}

bool VhostGuest::negotiate() {
    using namespace vhost_user;
    const std::optional<uint64_t> offered = ask(kGetFeatures);
    if (!offered) {
        return false;
    }
    features_ = *offered & (options_.features | virtio_net::kProtocolFeatures);
    if (features_ & virtio_net::kProtocolFeatures) {
        if (!ask(kGetProtocolFeatures) || !tell_number(kSetProtocolFeatures, 0)) {
            return false;
        }
    }
    return tell(kSetOwner, {}) && tell_number(kSetFeatures, features_);
}

bool VhostGuest::share_memory() {
    struct {
        uint32_t n_regions = 1;
        uint32_t padding = 0;
        uint64_t guest_address = kPhysical;
        uint64_t size = 0;
        uint64_t our_address = 0;
        uint64_t offset = 0;
    } table;
    table.size = memory_.size();
    table.our_address = reinterpret_cast<uintptr_t>(memory_.data());
    return tell(vhost_user::kSetMemTable, bytes_of(table), std::span(&memory_fd_, 1));
}

bool VhostGuest::start_ring(unsigned i) {
    using namespace vhost_user;
    const Ring& ring = rings_[i];
    struct {
        uint32_t index;
        uint32_t flags = 0;
        uint64_t desc, used, avail;
        uint64_t log = 0;
    } where{};
    where.index = i;
    where.desc = reinterpret_cast<uintptr_t>(ring.desc);
    where.used = reinterpret_cast<uintptr_t>(ring.used);
    where.avail = reinterpret_cast<uintptr_t>(ring.avail);
    const uint64_t index = i;
    const bool told = tell_ring(kSetVringNum, i, ring.size) && tell_ring(kSetVringBase, i, 0) &&
                      tell(kSetVringAddr, bytes_of(where)) &&
                      tell(kSetVringCall, bytes_of(index), std::span(&ring.call, 1)) &&
                      tell(kSetVringKick, bytes_of(index), std::span(&ring.kick, 1));
    return told &&
           (!(features_ & virtio_net::kProtocolFeatures) || tell_ring(kSetVringEnable, i, 1));
}

bool VhostGuest::tell(uint32_t request, std::span<const uint8_t> payload, std::span<const int> fds,
                      uint32_t flags) {
    MessageHeader header{request, flags, static_cast<uint32_t>(payload.size())};
    iovec parts[2] = {{&header, sizeof header},
                      {const_cast<uint8_t*>(payload.data()), payload.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = payload.empty() ? 1 : 2;
    alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
    }
    const auto want = static_cast<ssize_t>(sizeof header + payload.size());
    return sendmsg(socket_, &message, MSG_NOSIGNAL) == want;
}

bool VhostGuest::tell_number(uint32_t request, uint64_t value) {
    return tell(request, bytes_of(value));
}

bool VhostGuest::tell_ring(uint32_t request, uint32_t ring, uint32_t value) {
    const uint32_t words[2] = {ring, value};
    return tell(request, bytes_of(words));
}

std::optional<uint64_t> VhostGuest::ask(uint32_t request) {
    pollfd poller{socket_, POLLIN, 0};
    struct {
        MessageHeader header;
        uint64_t value;
    } __attribute__((packed)) answer{};
    if (!tell(request, {}) || poll(&poller, 1, options_.patience_ms) != 1 ||
        recv(socket_, &answer, sizeof answer, MSG_WAITALL) != sizeof answer) {
        return std::nullopt;
    }
    return uint64_t{answer.value};
}

void VhostGuest::offer(unsigned i, uint16_t head) {
    Ring& ring = rings_[i];
    ring.avail[2 + ring.next_avail % ring.size] = head;
    publish16(&ring.avail[1], ++ring.next_avail);
}

void VhostGuest::publish(unsigned i) {
    publish16(&rings_[i].avail[1], rings_[i].next_avail);
}

bool VhostGuest::send(const Frame& frame, std::span<const uint8_t> header) {
    Ring& ring = rings_[1];
    // Chains are laid one after the other: a ring's worth of descriptors is in use at most.
    const size_t length = virtio_net::kHeader + frame.size();
    const size_t pieces = (length + options_.buffer - 1) / options_.buffer;
    if (is_long_out_ && read16(ring.used + 2) != ring.next_avail) {
        return false;  // its descriptors may be any
    }
    is_long_out_ = pieces > 1;
    if (read16(ring.used + 2) != ring.next_avail && pieces > 1) {
        return false;  // long ones go alone
    }
    if (pieces > ring.size ||
        static_cast<uint16_t>(ring.next_avail - read16(ring.used + 2)) >= ring.size) {
        return false;
    }
    std::vector<uint8_t> bytes(length);
    std::copy(header.begin(), header.end(), bytes.begin());
    std::copy(frame.begin(), frame.end(), bytes.begin() + virtio_net::kHeader);
    const unsigned first = pieces > 1 ? 0 : ring.next_avail % ring.size;
    for (size_t i = 0; i < pieces; ++i) {
        const size_t slot = first + i;
        const size_t at = i * options_.buffer;
        const size_t n = std::min<size_t>(options_.buffer, length - at);
        const size_t where = ring.buffers + slot * options_.buffer;
        std::memcpy(&memory_[where], &bytes[at], n);
        ring.desc[slot] = {kPhysical + where, static_cast<uint32_t>(n),
                           i + 1 < pieces ? kNext : uint16_t{0}, static_cast<uint16_t>(slot + 1)};
    }
    offer(1, static_cast<uint16_t>(first));
    return true;
}

std::optional<VhostGuest::Frame> VhostGuest::receive_raw() {
    Ring& ring = rings_[0];
    if (read16(ring.used + 2) == ring.seen_used) {
        return std::nullopt;
    }
    Frame frame;
    unsigned left = 1;
    for (bool is_first = true; left > 0; --left, is_first = false) {
        uint32_t element[2];
        std::memcpy(element, ring.used + 4 + 8 * (ring.seen_used++ % ring.size), sizeof element);
        const size_t at = ring.buffers + size_t{element[0]} * options_.buffer;
        frame.insert(frame.end(), &memory_[at],
                     &memory_[at] + std::min<size_t>(element[1], options_.buffer));
        if (is_first && frame.size() >= virtio_net::kHeader) {
            left = std::max<unsigned>(frame[10] | frame[11] << 8, 1);
        }
        offer(0, static_cast<uint16_t>(element[0]));
    }
    return frame;
}

std::optional<VhostGuest::Frame> VhostGuest::receive() {
    std::optional<Frame> raw = receive_raw();
    if (raw) {
        raw->erase(raw->begin(), raw->begin() + virtio_net::kHeader);
    }
    return raw;
}

}  // namespace sluice::test
