// SPDX-License-Identifier: Apache-2.0
// A guest without a virtual machine: the other end of vhost-user, in the place of QEMU and its
// guest.
//
// What. VhostGuest shares a memfd with the port under test, negotiates features and runs split
// virtqueues on it, as virtio 1.1 and QEMU's description of vhost-user say. It costs a few hundred
// kilobytes, so that a test has hundreds of guests. It has nothing in common with DPDK.
// Design. Well-behaved by default; everything that a hostile guest may want to write is in reach:
// the whole shared memory, the rings and the socket.
// Threads. One per object.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sluice::test {

namespace vhost_user {
enum Request : uint32_t {
    kGetFeatures = 1,
    kSetFeatures = 2,
    kSetOwner = 3,
    kSetMemTable = 5,
    kSetVringNum = 8,
    kSetVringAddr = 9,
    kSetVringBase = 10,
    kGetVringBase = 11,
    kSetVringKick = 12,
    kSetVringCall = 13,
    kGetProtocolFeatures = 15,
    kSetProtocolFeatures = 16,
    kSetVringEnable = 18,
};
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kReply = 4;
}  // namespace vhost_user

/// Bits of virtio-net.
namespace virtio_net {
inline constexpr uint64_t kCsum = 1ull << 0;
inline constexpr uint64_t kGuestCsum = 1ull << 1;
inline constexpr uint64_t kGuestTso4 = 1ull << 7;
inline constexpr uint64_t kGuestTso6 = 1ull << 8;
inline constexpr uint64_t kHostTso4 = 1ull << 11;
inline constexpr uint64_t kHostTso6 = 1ull << 12;
inline constexpr uint64_t kMergeable = 1ull << 15;
inline constexpr uint64_t kIndirect = 1ull << 28;
inline constexpr uint64_t kProtocolFeatures = 1ull << 30;
inline constexpr uint64_t kVersion1 = 1ull << 32;
inline constexpr uint64_t kOffloads =
    kCsum | kGuestCsum | kGuestTso4 | kGuestTso6 | kHostTso4 | kHostTso6;
/// In front of every frame: struct virtio_net_hdr_mrg_rxbuf.
inline constexpr size_t kHeader = 12;
}  // namespace virtio_net

/// In guest memory, little endian as is the machine.
struct VringDesc {
    uint64_t address;
    uint32_t length;
    uint16_t flags;  ///< 1: next, 2: the device writes, 4: indirect
    uint16_t next;
};

struct VhostGuestOptions {
    std::string path;
    bool listens = false;    ///< the port is the client
    unsigned ring = 64;      ///< descriptors of each queue, a power of two
    unsigned buffer = 2048;  ///< bytes behind each
    uint64_t features = virtio_net::kMergeable | virtio_net::kIndirect | virtio_net::kVersion1;
    int patience_ms = 20'000;  ///< for the port to connect or answer
    size_t extra_memory = 0;   ///< behind the rings and buffers
};

class VhostGuest {
public:
    using Frame = std::vector<uint8_t>;
    static constexpr uint64_t kPhysical = 0x40000000;  ///< guest address of the shared memory

    /// Null when nobody answers or the port refuses.
    static std::unique_ptr<VhostGuest> connect(const VhostGuestOptions& options);
    ~VhostGuest();
    VhostGuest(const VhostGuest&) = delete;
    VhostGuest& operator=(const VhostGuest&) = delete;

    /// One frame with a virtio header in front; false when the ring is full.
    bool send(const Frame& frame, std::span<const uint8_t> header = {});
    /// The next frame with its virtio header, if there is one.
    std::optional<Frame> receive_raw();
    /// Without its header.
    std::optional<Frame> receive();
    uint64_t features() const { return features_; }

    // For those that mean harm.
    struct Ring {
        VringDesc* desc;
        uint16_t* avail;  ///< flags, index, ring
        uint8_t* used;    ///< flags, index (16 bits each), then pairs of 32 bits
        unsigned size;
        uint16_t next_avail = 0;
        uint16_t seen_used = 0;
        size_t buffers;  ///< offset of the first in the memory
        int kick = -1;
        int call = -1;
    };
    std::span<uint8_t> memory() { return memory_; }
    Ring& ring(unsigned i) { return rings_[i]; }  ///< 0: to the guest, 1: from it
    /// Offers these descriptors of the ring as they stand.
    void offer(unsigned ring, uint16_t head);
    /// Tells the port of all that was put into avail up to next_avail.
    void publish(unsigned ring);
    int socket() const { return socket_; }
    int memory_fd() const { return memory_fd_; }
    /// One message; false when the other side is gone.
    bool tell(uint32_t request, std::span<const uint8_t> payload, std::span<const int> fds = {},
              uint32_t flags = vhost_user::kVersion);
    bool tell_number(uint32_t request, uint64_t value);
    bool tell_ring(uint32_t request, uint32_t ring, uint32_t value);
    /// Asks and waits for the answer.
    std::optional<uint64_t> ask(uint32_t request);

private:
    VhostGuest() = default;
    bool open_socket(const VhostGuestOptions& options);
    bool make_memory(const VhostGuestOptions& options);
    bool negotiate();
    bool share_memory();
    bool start_ring(unsigned i);
    void stock();

    VhostGuestOptions options_;
    int socket_ = -1;
    int memory_fd_ = -1;
    std::span<uint8_t> memory_;
    uint64_t features_ = 0;
    std::array<Ring, 2> rings_{};
    bool is_long_out_ = false;  // a chain is, or was, under way
};

}  // namespace sluice::test
