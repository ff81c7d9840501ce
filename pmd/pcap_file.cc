// SPDX-License-Identifier: Apache-2.0
#include "pmd/pcap_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rte_mbuf.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "pmd/driver.h"

namespace sluice::pmd {
namespace {

constexpr uint32_t kMagic = 0xa1b2c3d4;  // microseconds, our byte order (x86: little)
constexpr uint32_t kLinkEthernet = 1;
constexpr uint32_t kSnapLength = 262144;
constexpr size_t kBufferBytes = 1u << 20;

struct FileHeader {
    uint32_t magic = kMagic;
    uint16_t major = 2;
    uint16_t minor = 4;
    int32_t zone = 0;
    uint32_t figures = 0;
    uint32_t snap_length = kSnapLength;
    uint32_t link = kLinkEthernet;
};
struct RecordHeader {
    uint32_t seconds;
    uint32_t microseconds;
    uint32_t captured;
    uint32_t length;
};

}  // namespace

Result<std::unique_ptr<PcapFile>> PcapFile::open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        return Error{fmt::format("cannot write pcap file {}: {}", path, errno_text(errno))};
    }
    std::unique_ptr<PcapFile> file(new PcapFile(fd));
    FileHeader header;
    FileHeader found;
    struct stat status;
    if (fstat(fd, &status) == 0 && status.st_size == 0) {
        if (write(fd, &header, sizeof header) != static_cast<ssize_t>(sizeof header)) {
            return Error{fmt::format("cannot write pcap file {}: {}", path, errno_text(errno))};
        }
    } else if (pread(fd, &found, sizeof found, 0) != static_cast<ssize_t>(sizeof found) ||
               found.magic != kMagic || found.link != kLinkEthernet) {
        return Error{fmt::format(
            "{} exists and is not a little-endian Ethernet pcap with microseconds, so it cannot be "
            "continued: remove it or name another file",
            path)};
    }
    return file;
}

PcapFile::PcapFile(int fd) : fd_(fd), buffer_(kBufferBytes) {}

PcapFile::~PcapFile() {
    close(fd_);
}

void PcapFile::flush() {
    struct stat status;
    if (used_ == 0) {
        return;
    }
    const bool is_known = fstat(fd_, &status) == 0;
    if (write(fd_, buffer_.data(), used_) != static_cast<ssize_t>(used_)) {
        lost_.fetch_add(buffered_, std::memory_order_relaxed);
        if (is_known && ftruncate(fd_, status.st_size) < 0) {
            lost_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    used_ = 0;
    buffered_ = 0;
}

void PcapFile::append(std::span<rte_mbuf* const> pkts) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    rte_spinlock_lock(&lock_);
    for (const rte_mbuf* m : pkts) {
        const size_t need = sizeof(RecordHeader) + m->pkt_len;
        if (used_ + need > buffer_.size()) {
            flush();
        }
        if (need > buffer_.size()) {
            lost_.fetch_add(1, std::memory_order_relaxed);
            continue;
        }
        const RecordHeader record{static_cast<uint32_t>(now.tv_sec),
                                  static_cast<uint32_t>(now.tv_nsec / 1000), m->pkt_len,
                                  m->pkt_len};
        std::memcpy(&buffer_[used_], &record, sizeof record);
        used_ += sizeof record;
        for (const rte_mbuf* seg = m; seg; seg = seg->next) {
            std::memcpy(&buffer_[used_], rte_pktmbuf_mtod(seg, const uint8_t*), seg->data_len);
            used_ += seg->data_len;
        }
        ++buffered_;
    }
    flush();
    rte_spinlock_unlock(&lock_);
}

}  // namespace sluice::pmd
