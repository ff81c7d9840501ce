// SPDX-License-Identifier: Apache-2.0
#include "tools/host/idle.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace sluice {
namespace {

bool add(int epoll, int fd, uint32_t trigger) {
    epoll_event event{};
    event.events = EPOLLIN | trigger;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

int64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

Idle::Idle(const IdleConfig& config, Mailbox* mailbox) : config_(config), mailbox_(mailbox) {
    prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);  // a nap is to be as short as asked
}

Idle::~Idle() {
    if (epoll_ >= 0) {
        close(epoll_);
    }
}

bool Idle::is_due(unsigned packets) {
    if (packets) {
        packets_ = std::min(packets_ + packets, kMostTurns);
        patience_ = std::min(kMostTurns, kLeastTurns + packets_ * kTurnsPerPacket);
        quiet_ = 0;
        slept_ns_ = 0;
        barren_ = 0;
        return false;
    }
    return ++quiet_ >= patience_ && config_.nap_us;
}

void Idle::follow(const PortTable* table, unsigned worker) {
    if (!table || table->version() == seen_version_) {
        return;
    }
    seen_version_ = table->version();
    barren_ = 0;
    if (epoll_ >= 0) {
        close(epoll_);
    }
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    // Without a way to be told, looking now and then is what is left.
    must_poll_ = epoll_ < 0 || !mailbox_ || !add(epoll_, mailbox_->worker_sleeper().fd(), EPOLLET);
    for (const RxQueue& queue : table->rx_queues(worker)) {
        must_poll_ |= queue.wait_fd < 0 || !add(epoll_, queue.wait_fd, 0);
    }
    is_shaped_ = !table->shaped().empty();
}

int64_t Idle::timeout_ns() const {
    if (!must_poll_ && barren_ < kBarrenWakes) {
        return is_shaped_ ? kShapedNs : slept_ns_ < kSettleNs ? kShortNs : kLongNs;
    }
    const int64_t longest = int64_t{config_.nap_us} * 1000;
    const int64_t nap = std::min(longest, kFirstNapNs + slept_ns_ / 1000);
    return is_shaped_ ? std::min(nap, kShapedNs) : nap;
}

void Idle::wait() {
    const int64_t begin = now_ns();
    const int64_t most = timeout_ns();
    const timespec timeout{most / 1'000'000'000, most % 1'000'000'000};
    epoll_event events[16];
    const bool is_lying = epoll_ < 0 || barren_ >= kBarrenWakes;
    const int n = is_lying ? -1 : epoll_pwait2(epoll_, events, 16, &timeout, nullptr);
    if (n < 0) {
        nanosleep(&timeout, nullptr);
    } else {
        barren_ = n ? barren_ + 1 : 0;
    }
    if (mailbox_) {
        mailbox_->worker_sleeper().end();
    }
    slept_ns_ += now_ns() - begin;
    packets_ = 0;
    patience_ = kLeastTurns;
    quiet_ = must_poll_ ? kLeastTurns - 1 : kLeastTurns - kTurnsPerWake;
}

}  // namespace sluice
