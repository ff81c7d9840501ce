// SPDX-License-Identifier: Apache-2.0
// Capture: what workers copy for `sluicectl capture`, and where to.
//
// What. Control publishes a CaptureSet while anybody captures and a null pointer otherwise, so a
// worker that captures nothing pays one test a burst (and one a dropped packet). A capture is a
// CaptureSpec, which says which packets, and a CaptureTap, which has a CaptureLane for every
// worker: a ring of bytes of fixed size, and counts. The worker writes records (CaptureRecord, then
// the first bytes of the frame), the capture's own thread reads them and gives them names.
// Bounds. A full ring, a rate per worker and a sample rate each leave packets out and count them;
// a worker never waits. The filter is a program of libpcap, which cannot loop, and is run in the
// worker: a copy of every packet that nobody asked for would cost more than the question. It is
// libpcap's own interpreter that runs it; rte_bpf would make machine code of it, but DPDK 22.11
// translates loads behind the IP header wrongly (udp[8], icmp[icmptype], geneve).
// Threads. CaptureSet: control makes it, workers read it, never written. CaptureLane: one worker
// writes, one other thread reads, except where a member says otherwise.
#pragma once

#include <atomic>
#include <bitset>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "lib/base/limits.h"
#include "lib/stats/counters.h"

struct bpf_insn;

namespace sluice {

/// Where on its way a packet was copied; bits.
enum CaptureDirection : uint8_t {
    kCaptureRx = 1,    ///< as a port received it
    kCaptureTx = 2,    ///< as it was handed to a port
    kCaptureDrop = 4,  ///< as it entered the logical network, when it or a copy of it was dropped
};
inline constexpr uint8_t kCaptureAll = kCaptureRx | kCaptureTx | kCaptureDrop;

/// In the ring, followed by cap_len bytes of the frame.
struct CaptureRecord {
    uint32_t size;  ///< of the record in the ring; kPad: go on at the start of the ring
    uint32_t cap_len;
    uint32_t orig_len;
    uint32_t flow;      ///< logical flow that dropped it; kNoFlow
    uint64_t tsc;       ///< of the worker's turn
    uint64_t entered;   ///< PacketKey::context, 0 unknown: where it entered
    uint32_t datapath;  ///< tunnel key; 0 unknown
    uint32_t inport;    ///< keys in `datapath`; 0 unknown
    uint32_t outport;
    uint16_t port;      ///< PortId; of drops the one that received it
    uint8_t direction;  ///< one CaptureDirection
    uint8_t reason;     ///< Drop
    static constexpr uint32_t kPad = 0xffffffffu;
};
static_assert(sizeof(CaptureRecord) == 48);

/// Bytes of a power of two, one writer, one reader; records never wrap.
class CaptureRing {
public:
    explicit CaptureRing(uint32_t bytes) : bytes_(bytes), data_(new uint8_t[bytes]()) {}

    /// Writer: room for a record of `size` bytes (a multiple of 8), or null when full.
    uint8_t* reserve(uint32_t size) {
        const uint64_t head = head_.load(std::memory_order_relaxed);
        const auto at = static_cast<uint32_t>(head & (bytes_ - 1));
        const uint32_t pad = bytes_ - at < size ? bytes_ - at : 0;
        if (head + pad + size - seen_tail_ > bytes_) {
            seen_tail_ = tail_.load(std::memory_order_acquire);
            if (head + pad + size - seen_tail_ > bytes_) {
                return nullptr;
            }
        }
        if (pad) {
            std::memcpy(&data_[at], &CaptureRecord::kPad, sizeof(uint32_t));
        }
        next_ = head + pad + size;
        return &data_[(head + pad) & (bytes_ - 1)];
    }
    /// Writer: what reserve() gave is filled.
    void commit() { head_.store(next_, std::memory_order_release); }

    /// Reader: the oldest record, or null.
    const CaptureRecord* front() {
        uint64_t tail = tail_.load(std::memory_order_relaxed);
        const uint64_t head = head_.load(std::memory_order_acquire);
        while (tail != head) {
            const uint8_t* p = &data_[tail & (bytes_ - 1)];
            uint32_t size;
            std::memcpy(&size, p, sizeof size);
            if (size != CaptureRecord::kPad) {
                return reinterpret_cast<const CaptureRecord*>(p);
            }
            tail += bytes_ - (tail & (bytes_ - 1));
            tail_.store(tail, std::memory_order_release);
        }
        return nullptr;
    }
    /// Reader: done with front().
    void pop(const CaptureRecord& record) {
        tail_.store(tail_.load(std::memory_order_relaxed) + record.size, std::memory_order_release);
    }
    uint32_t bytes() const { return bytes_; }

private:
    const uint32_t bytes_;
    const std::unique_ptr<uint8_t[]> data_;
    alignas(64) std::atomic<uint64_t> head_{0};  ///< writer
    uint64_t seen_tail_ = 0;                     ///< writer only
    uint64_t next_ = 0;                          ///< writer only
    alignas(64) std::atomic<uint64_t> tail_{0};  ///< reader
};

/// One worker's part of a capture.
struct alignas(64) CaptureLane {
    explicit CaptureLane(uint32_t ring_bytes) : ring(ring_bytes) {}
    CaptureRing ring;
    // Packets; the worker writes, any thread reads.
    Cell seen;         ///< of a port and direction asked for
    Cell copied;       ///< into the ring
    Cell sampled_out;  ///< matched, but not the n-th
    Cell over_rate;    ///< matched, but beyond the rate
    Cell ring_full;    ///< matched, but there was no room
    // The worker's own.
    uint32_t until_sample = 0;
    uint8_t head[2048] = {};  ///< of a packet in segments, for the filter
    uint64_t rate_clock = 0;  ///< TSC at which what was copied so far is within the rate
};

struct CaptureTap {
    std::vector<std::unique_ptr<CaptureLane>> lanes;  ///< by worker
};

/// A program of libpcap (classic BPF); null takes every packet.
using CaptureFilter = const bpf_insn*;

struct CaptureSpec {
    uint8_t directions = kCaptureAll;
    uint32_t snaplen = 65535;
    uint32_t sample = 1;             ///< every n-th
    uint64_t cycles_per_packet = 0;  ///< of a worker's rate; 0: no limit
    uint64_t burst_cycles = 0;       ///< how far ahead of the rate a burst may be
    bool any_port = true;
    std::bitset<limits::kMaxPorts> ports;  ///< PortIds, without any_port
    uint32_t datapath = 0;                 ///< tunnel key; 0: any
    std::vector<uint64_t> logical;         ///< datapath key << 32 | port key: in or out; empty: any
    CaptureFilter filter = nullptr;
};

/// All captures of the moment.
struct CaptureSet {
    struct Item {
        CaptureSpec spec;
        std::shared_ptr<CaptureTap> tap;
        std::shared_ptr<const void> keep;  ///< owner of the filter
    };
    std::vector<Item> items;
};

}  // namespace sluice
