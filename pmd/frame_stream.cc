// SPDX-License-Identifier: Apache-2.0
#include "pmd/frame_stream.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice::pmd {
namespace {

constexpr size_t kPrefix = 2;
constexpr size_t kMaxFrame = 65535;
constexpr size_t kInBytes = 4 * (kPrefix + kMaxFrame);
constexpr size_t kOutBytes = 16 * (kPrefix + kMaxFrame);
constexpr uint64_t kTriesPerSecond = 20;
constexpr uint64_t kIdleReadsPerSecond = 100'000;  // spares a polling worker most system calls

class SpinGuard {
public:
    explicit SpinGuard(rte_spinlock_t& lock) : lock_(lock) { rte_spinlock_lock(&lock_); }
    ~SpinGuard() { rte_spinlock_unlock(&lock_); }

private:
    rte_spinlock_t& lock_;
};

}  // namespace

FrameStream::FrameStream(std::string path)
    : path_(std::move(path)), in_(kInBytes), out_(kOutBytes) {}

FrameStream::~FrameStream() {
    disconnect();
}

void FrameStream::disconnect() {
    if (fd_ >= 0) {
        close(fd_);
        fd_ = -1;
    }
    connected_.store(false, std::memory_order_relaxed);
    in_begin_ = in_end_ = out_begin_ = out_end_ = 0;
}

bool FrameStream::connect_now() {
    const uint64_t now = rte_rdtsc();
    if (fd_ >= 0) {
        return true;
    }
    if (now < next_try_) {
        return false;
    }
    next_try_ = now + rte_get_tsc_hz() / kTriesPerSecond;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        disconnect();
        return false;
    }
    connected_.store(true, std::memory_order_relaxed);
    return true;
}

void FrameStream::push_out() {
    while (fd_ >= 0 && out_begin_ < out_end_) {
        const ssize_t n =
            ::send(fd_, &out_[out_begin_], out_end_ - out_begin_, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            out_begin_ += static_cast<size_t>(n);
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        } else {
            disconnect();
        }
    }
    if (out_begin_ == out_end_) {
        out_begin_ = out_end_ = 0;
    }
}

/// Reads what there is behind what is left. False: nothing new.
bool FrameStream::pull_in() {
    const uint64_t now = rte_rdtsc();
    if (now < next_read_ || !connect_now()) {
        return false;
    }
    std::memmove(in_.data(), &in_[in_begin_], in_end_ - in_begin_);
    in_end_ -= in_begin_;
    in_begin_ = 0;
    const ssize_t n = recv(fd_, &in_[in_end_], in_.size() - in_end_, MSG_DONTWAIT);
    if (n > 0) {
        in_end_ += static_cast<size_t>(n);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        next_read_ = now + rte_get_tsc_hz() / kIdleReadsPerSecond;
    } else {
        disconnect();
    }
    return false;
}

size_t FrameStream::receive(uint8_t* frame) {
    const SpinGuard guard(lock_);
    push_out();
    for (;;) {
        const size_t have = in_end_ - in_begin_;
        if (have >= kPrefix) {
            const size_t length = size_t{in_[in_begin_]} << 8 | in_[in_begin_ + 1];
            if (have >= kPrefix + length) {
                std::memcpy(frame, &in_[in_begin_ + kPrefix], length);
                in_begin_ += kPrefix + length;
                if (length) {
                    return length;
                }
                continue;
            }
        }
        if (in_end_ == in_.size() && in_begin_ == 0) {
            disconnect();  // cannot be: a whole frame fits
        }
        if (!pull_in()) {
            return 0;
        }
    }
}

unsigned FrameStream::send(std::span<rte_mbuf* const> pkts) {
    const SpinGuard guard(lock_);
    if (!connect_now()) {
        return 0;
    }
    unsigned taken = 0;
    for (const rte_mbuf* m : pkts) {
        if (m->pkt_len > kMaxFrame) {
            break;
        }
        if (out_end_ + kPrefix + m->pkt_len > out_.size()) {
            push_out();
            if (out_begin_) {
                std::memmove(out_.data(), &out_[out_begin_], out_end_ - out_begin_);
                out_end_ -= out_begin_;
                out_begin_ = 0;
            }
            if (fd_ < 0 || out_end_ + kPrefix + m->pkt_len > out_.size()) {
                break;
            }
        }
        out_[out_end_++] = static_cast<uint8_t>(m->pkt_len >> 8);
        out_[out_end_++] = static_cast<uint8_t>(m->pkt_len);
        for (const rte_mbuf* seg = m; seg; seg = seg->next) {
            std::memcpy(&out_[out_end_], rte_pktmbuf_mtod(seg, const uint8_t*), seg->data_len);
            out_end_ += seg->data_len;
        }
        ++taken;
    }
    push_out();
    return taken;
}

}  // namespace sluice::pmd
