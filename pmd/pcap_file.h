// SPDX-License-Identifier: Apache-2.0
// Appends frames to a classic little-endian pcap file, visible to a reader after each burst.
//
// An existing capture is continued. Threads: open on control; append from any worker (a lock
// inside: this is for tests and captures, not for speed). A write that fails (disk full) is
// counted in lost() and leaves no half record behind.
#pragma once

#include <rte_spinlock.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/result.h"

struct rte_mbuf;

namespace sluice::pmd {

class PcapFile {
public:
    static Result<std::unique_ptr<PcapFile>> open(const std::string& path);
    ~PcapFile();
    PcapFile(const PcapFile&) = delete;
    PcapFile& operator=(const PcapFile&) = delete;

    void append(std::span<rte_mbuf* const> pkts);
    uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

private:
    explicit PcapFile(int fd);
    void flush();

    int fd_;
    rte_spinlock_t lock_ = RTE_SPINLOCK_INITIALIZER;
    std::vector<uint8_t> buffer_;  // under lock_, as all below
    size_t used_ = 0;
    uint64_t buffered_ = 0;          // packets in buffer_
    std::atomic<uint64_t> lost_{0};  // packets; written under lock_, read by control
};

}  // namespace sluice::pmd
