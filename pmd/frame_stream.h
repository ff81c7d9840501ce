// SPDX-License-Identifier: Apache-2.0
// Frames over a unix stream socket, in the framing of Open vSwitch's netdev-dummy: two bytes of
// big-endian length, then the frame. This side connects, and goes on trying when there is nobody.
//
// Threads: receive and send may be called by different workers at once (a lock inside).
#pragma once

#include <rte_spinlock.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

struct rte_mbuf;

namespace sluice::pmd {

class FrameStream {
public:
    explicit FrameStream(std::string path);
    ~FrameStream();
    FrameStream(const FrameStream&) = delete;
    FrameStream& operator=(const FrameStream&) = delete;

    /// The next frame, copied to `frame` (at least 65535 bytes); 0 if there is none now.
    size_t receive(uint8_t* frame);
    /// How many of the first frames were written or queued. The others found nobody, or a peer that
    /// does not read.
    unsigned send(std::span<rte_mbuf* const> pkts);
    bool is_connected() const { return connected_.load(std::memory_order_relaxed); }

private:
    bool connect_now();
    void disconnect();
    void push_out();
    bool pull_in();

    const std::string path_;
    std::atomic<bool> connected_{false};  // written under lock_, read by control
    rte_spinlock_t lock_ = RTE_SPINLOCK_INITIALIZER;
    int fd_ = -1;             // under lock_, as all below
    uint64_t next_try_ = 0;   // in TSC cycles: when to connect again
    uint64_t next_read_ = 0;  // when to ask an idle socket again
    std::vector<uint8_t> in_;
    size_t in_begin_ = 0;
    size_t in_end_ = 0;
    std::vector<uint8_t> out_;
    size_t out_begin_ = 0;
    size_t out_end_ = 0;
};

}  // namespace sluice::pmd
