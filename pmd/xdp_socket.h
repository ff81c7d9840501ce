// SPDX-License-Identifier: Apache-2.0
// XdpSocket: one AF_XDP socket, bound to one queue of a device, with its own packet memory.
//
// The kernel and we share a piece of memory in chunks (UMEM) and four rings of descriptors: the
// fill ring gives chunks for reception, the receive ring brings them back with frames, the transmit
// ring gives frames away, the completion ring says which chunks are free again. The first half of
// the chunks is for reception and circulates between the first two rings; the second half is for
// transmission, and what is free of it is on a stack. A frame larger than a chunk is several
// descriptors where the kernel (6.6 and later) can do that.
//
// Straight on the kernel's interface (linux/if_xdp.h): libxdp would add a dependency for 150 lines
// and wants to load a program of its own.
//
// Threads. open() on the control thread. Afterwards one worker calls receive() and refill();
// transmit is under `tx_lock` where several workers share the socket.
#pragma once

#include <linux/if_xdp.h>
#include <rte_spinlock.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/result.h"

namespace sluice::pmd {

/// Our side of a ring in shared memory. We are the producer or the consumer.
struct XdpRing {
    uint32_t* producer = nullptr;
    uint32_t* consumer = nullptr;
    uint32_t* flags = nullptr;
    void* entries = nullptr;
    uint32_t size = 0;
    uint32_t own = 0;  // our index, ahead of what the other side knows
    void* mapping = nullptr;
    size_t mapped_bytes = 0;

    uint64_t& address(uint32_t index) const {
        return static_cast<uint64_t*>(entries)[index & (size - 1)];
    }
    xdp_desc& descriptor(uint32_t index) const {
        return static_cast<xdp_desc*>(entries)[index & (size - 1)];
    }
    /// Consumer: how many entries wait. Producer: how many are free.
    uint32_t waiting() const { return __atomic_load_n(producer, __ATOMIC_ACQUIRE) - own; }
    uint32_t free() const { return size - (own - __atomic_load_n(consumer, __ATOMIC_ACQUIRE)); }
    void publish_produced() { __atomic_store_n(producer, own, __ATOMIC_RELEASE); }
    void publish_consumed() { __atomic_store_n(consumer, own, __ATOMIC_RELEASE); }
    bool needs_wakeup() const {
        return __atomic_load_n(flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
    }
};

struct XdpSocketSettings {
    int ifindex = 0;
    std::string device;  ///< for errors
    unsigned queue = 0;
    unsigned n_frames = 2048;    ///< in each direction; a power of two
    unsigned chunk_size = 2048;  ///< 2048 or 4096
    enum class Copy : uint8_t { kIfNeeded, kAlways, kNever } copy = Copy::kIfNeeded;
};

class XdpSocket {
public:
    static Result<std::unique_ptr<XdpSocket>> open(const XdpSocketSettings& settings);
    ~XdpSocket();
    XdpSocket(const XdpSocket&) = delete;
    XdpSocket& operator=(const XdpSocket&) = delete;

    int fd() const { return fd_; }
    unsigned queue() const { return queue_; }
    bool is_zero_copy() const { return is_zero_copy_; }
    /// Frames larger than a chunk pass.
    bool takes_pieces() const { return takes_pieces_; }
    unsigned chunk_size() const { return chunk_size_; }
    /// Largest frame to be sent.
    unsigned max_frame() const;
    /// Frames that the kernel lost for want of room.
    uint64_t kernel_drops() const;
    uint8_t* at(uint64_t address) const { return memory_ + address; }

    /// Gives all of the receive half to the kernel (once).
    void fill();

    XdpRing rx, tx, fill_ring, completion;
    std::vector<uint64_t> free_tx;  ///< chunks
    rte_spinlock_t tx_lock = RTE_SPINLOCK_INITIALIZER;

private:
    XdpSocket() = default;
    Result<void> set_up(const XdpSocketSettings& settings);
    bool map_rings();
    Result<void> bind_to_queue(const XdpSocketSettings& settings);

    int fd_ = -1;
    unsigned queue_ = 0;
    unsigned n_frames_ = 0;
    unsigned chunk_size_ = 0;
    bool is_zero_copy_ = false;
    bool takes_pieces_ = false;
    uint8_t* memory_ = nullptr;
    size_t memory_bytes_ = 0;
};

}  // namespace sluice::pmd
