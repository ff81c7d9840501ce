// SPDX-License-Identifier: Apache-2.0
#include "control/capture/session.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "control/capture/describe.h"
#include "control/capture/pcapng.h"
#include "lib/base/event_loop.h"

namespace sluice::capture {
namespace {

constexpr size_t kSendAt = 1u << 16;
constexpr int kIdleMs = 2;
constexpr unsigned kMostAtOnce = 4096;  ///< records, before the reader is looked at again
constexpr int64_t kLastWordsMs = 2000;  ///< for a reader that does not read, at the end

uint64_t realtime_ns() {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

pcapng::Way way_of(uint8_t direction) {
    switch (direction) {
    case kCaptureRx: return pcapng::Way::kInbound;
    case kCaptureTx: return pcapng::Way::kOutbound;
    default: return pcapng::Way::kUnknown;
    }
}

}  // namespace

Session::Session(SessionConfig config, SessionHooks hooks)
    : config_(std::move(config)), hooks_(std::move(hooks)) {
    thread_ = std::thread([this] { run(); });
}

Session::~Session() {
    abort_.store(true, std::memory_order_release);
    thread_.join();
    close(config_.fd);
}

SessionStats Session::stats() const {
    SessionStats s;
    s.written = written_.load(std::memory_order_relaxed);
    for (const auto& lane : config_.tap->lanes) {
        s.seen += lane->seen.get();
        s.sampled_out += lane->sampled_out.get();
        s.over_rate += lane->over_rate.get();
        s.ring_full += lane->ring_full.get();
    }
    return s;
}

void Session::run() {
    pthread_setname_np(pthread_self(), "sluice-capture");
    pcapng::append_section(&out_, config_.application, "");
    while (!abort_.load(std::memory_order_acquire)) {
        const bool last = finishing_.load(std::memory_order_acquire);
        names_ = hooks_.names();
        const bool found = drain();
        if (last && !found) {
            write_statistics();
            send();
            break;
        }
        send();
        if (!last) {
            look_for_end(found ? 0 : kIdleMs);
        }
    }
    shutdown(config_.fd, SHUT_RDWR);
    hooks_.has_ended();
}

/// What is in the rings, up to a point. False when that was nothing.
bool Session::drain() {
    for (unsigned n = 0; n < kMostAtOnce; ++n) {
        CaptureLane* oldest = nullptr;
        const CaptureRecord* first = nullptr;
        for (const auto& lane : config_.tap->lanes) {
            const CaptureRecord* record = lane->ring.front();
            if (record && (!first || record->tsc < first->tsc)) {
                oldest = lane.get();
                first = record;
            }
        }
        if (!first || abort_.load(std::memory_order_relaxed)) {
            return n != 0;
        }
        write_record(*first);
        oldest->ring.pop(*first);
        if (out_.size() >= kSendAt) {
            send();
        }
    }
    return true;
}

void Session::write_record(const CaptureRecord& record) {
    if (broken_ || (config_.count && written_.load(std::memory_order_relaxed) >= config_.count)) {
        ask_for_end();
        return;
    }
    Interface& interface = interface_of(record.port);
    const uint64_t lost_now = lost();
    const std::string comment = describe(record, *names_);
    pcapng::Packet packet;
    packet.interface = interface.number;
    packet.time_ns = time_of(record.tsc);
    packet.bytes = {reinterpret_cast<const uint8_t*>(&record + 1), record.cap_len};
    packet.orig_len = record.orig_len;
    packet.way = way_of(record.direction);
    packet.lost_before = lost_now - lost_told_;
    packet.comment = comment;
    pcapng::append_packet(&out_, packet);
    interface.lost += packet.lost_before;
    ++interface.packets;
    lost_told_ = lost_now;
    const uint64_t written = written_.load(std::memory_order_relaxed) + 1;
    written_.store(written, std::memory_order_relaxed);
    if (config_.count && written >= config_.count) {
        ask_for_end();
    }
}

Session::Interface& Session::interface_of(PortId port) {
    const auto known = names_->ports.find(port);
    const bool is_known = known != names_->ports.end();
    const std::string name = is_known ? known->second.name : port == kNoPort ? "sluice" : "gone";
    const auto [at, is_new] =
        interfaces_.try_emplace({port, name}, Interface{static_cast<uint32_t>(interfaces_.size())});
    if (is_new) {
        pcapng::append_interface(&out_, name,
                                 is_known ? known->second.description : "no port of its own",
                                 config_.snaplen, config_.filter);
    }
    return at->second;
}

void Session::write_statistics() {
    if (interfaces_.empty()) {
        interface_of(kNoPort);
    }
    const SessionStats s = stats();
    const std::string summary =
        fmt::format("seen={} written={} sampled_out={} over_rate={} ring_full={}", s.seen,
                    s.written, s.sampled_out, s.over_rate, s.ring_full);
    for (const auto& [key, interface] : interfaces_) {
        pcapng::append_statistics(&out_, interface.number, realtime_ns(), interface.packets,
                                  interface.lost, summary);
    }
}

void Session::ask_for_end() {
    if (!asked_) {
        asked_ = true;
        hooks_.wants_end();
    }
}

/// Waits so long at most; the reader may have gone.
void Session::look_for_end(int wait_ms) {
    if (asked_) {
        usleep(static_cast<useconds_t>(wait_ms) * 1000);
        return;
    }
    pollfd watched{config_.fd, POLLIN, 0};
    if (poll(&watched, 1, wait_ms) <= 0) {
        return;
    }
    char ignored[64];
    const ssize_t n = recv(config_.fd, ignored, sizeof ignored, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        ask_for_end();
    }
}

void Session::send() {
    size_t at = 0;
    const int64_t give_up = EventLoop::now_ms() + kLastWordsMs;
    while (!broken_ && at < out_.size() && !abort_.load(std::memory_order_relaxed)) {
        const ssize_t n =
            ::send(config_.fd, out_.data() + at, out_.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            at += static_cast<size_t>(n);
        } else if (errno == EAGAIN) {
            pollfd writable{config_.fd, POLLOUT, 0};
            poll(&writable, 1, 100);
            broken_ = finishing_.load(std::memory_order_relaxed) && EventLoop::now_ms() > give_up;
        } else if (errno != EINTR) {
            broken_ = true;
        }
    }
    out_.clear();
    if (broken_) {
        ask_for_end();
    }
}

uint64_t Session::lost() const {
    uint64_t sum = 0;
    for (const auto& lane : config_.tap->lanes) {
        sum += lane->ring_full.get() + lane->over_rate.get();
    }
    return sum;
}

uint64_t Session::time_of(uint64_t tsc) {
    const uint64_t now = rte_rdtsc();
    if (anchor_.tsc == 0 || now - anchor_.tsc > config_.tsc_hz) {
        anchor_ = {now, realtime_ns()};
    }
    const auto cycles = static_cast<double>(static_cast<int64_t>(tsc - anchor_.tsc));
    const auto ns = static_cast<int64_t>(cycles * 1e9 / static_cast<double>(config_.tsc_hz));
    return anchor_.ns + static_cast<uint64_t>(ns);
}

}  // namespace sluice::capture
