// SPDX-License-Identifier: Apache-2.0
#include "lib/base/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string>

#include "lib/base/check.h"

namespace sluice {

namespace {

constexpr uint64_t kWakeTag = UINT64_MAX;

uint64_t tag_of(int fd, uint32_t generation) {
    return (static_cast<uint64_t>(generation) << 32) | static_cast<uint32_t>(fd);
}

uint32_t to_epoll(uint32_t events) {
    return ((events & Io::kRead) ? EPOLLIN | EPOLLRDHUP : 0u) |
           ((events & Io::kWrite) ? static_cast<uint32_t>(EPOLLOUT) : 0u);
}

uint32_t from_epoll(uint32_t events) {
    uint32_t out = 0;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        out |= Io::kRead;
    }
    if (events & EPOLLOUT) {
        out |= Io::kWrite;
    }
    if (events & (EPOLLHUP | EPOLLERR)) {
        out |= Io::kError;
    }
    return out;
}

}  // namespace

EventLoop::EventLoop() {
    epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
    wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    SLUICE_CHECK(epoll_fd_ >= 0 && wake_fd_ >= 0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kWakeTag;
    SLUICE_CHECK(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) == 0);
}

EventLoop::~EventLoop() {
    close(wake_fd_);
    close(epoll_fd_);
}

int64_t EventLoop::now_ms() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

Result<void> EventLoop::add_fd(int fd, uint32_t events, IoCallback callback) {
    if (watches_.count(fd) != 0) {
        return Error{"descriptor " + std::to_string(fd) + " is watched already"};
    }
    const uint32_t generation = next_generation_++ & 0x7fffffff;
    epoll_event event{};
    event.events = to_epoll(events);
    event.data.u64 = tag_of(fd, generation);
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
        return Error{"cannot watch descriptor " + std::to_string(fd) + ": " + strerror(errno)};
    }
    watches_[fd] = Watch{generation, events, std::make_shared<IoCallback>(std::move(callback))};
    return {};
}

void EventLoop::modify_fd(int fd, uint32_t events) {
    const auto it = watches_.find(fd);
    if (it == watches_.end() || it->second.events == events) {
        return;
    }
    it->second.events = events;
    epoll_event event{};
    event.events = to_epoll(events);
    event.data.u64 = tag_of(fd, it->second.generation);
    SLUICE_CHECK(epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void EventLoop::remove_fd(int fd) {
    if (watches_.erase(fd) != 0) {
        epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
    }
}

EventLoop::TimerId EventLoop::insert_timer(int64_t deadline_ms, int64_t period_ms,
                                           std::shared_ptr<Callback> callback) {
    const TimerId id = next_timer_++;
    timers_[id] = Timer{deadline_ms, period_ms, std::move(callback)};
    by_deadline_[{deadline_ms, id}] = id;
    return id;
}

EventLoop::TimerId EventLoop::add_timer(int64_t delay_ms, Callback callback) {
    return insert_timer(now_ms() + std::max<int64_t>(delay_ms, 0), 0,
                        std::make_shared<Callback>(std::move(callback)));
}

EventLoop::TimerId EventLoop::add_periodic(int64_t period_ms, Callback callback) {
    const int64_t period = std::max<int64_t>(period_ms, 1);
    return insert_timer(now_ms() + period, period, std::make_shared<Callback>(std::move(callback)));
}

void EventLoop::cancel_timer(TimerId id) {
    const auto it = timers_.find(id);
    if (it != timers_.end()) {
        by_deadline_.erase({it->second.deadline_ms, id});
        timers_.erase(it);
    }
}

void EventLoop::wake() {
    const uint64_t one = 1;
    // A full counter (EAGAIN) means that a wake-up is pending anyway.
    [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

void EventLoop::post(Callback callback) {
    {
        const std::lock_guard lock(post_mutex_);
        posted_.push_back(std::move(callback));
    }
    wake();
}

void EventLoop::stop() {
    {
        const std::lock_guard lock(post_mutex_);
        stop_requested_ = true;
    }
    wake();
}

int EventLoop::wait_ms(int64_t timeout_ms) const {
    int64_t wait = timeout_ms < 0 ? -1 : timeout_ms;
    if (!by_deadline_.empty()) {
        const int64_t until = std::max<int64_t>(by_deadline_.begin()->first.first - now_ms(), 0);
        wait = wait < 0 ? until : std::min(wait, until);
    }
    return static_cast<int>(std::min<int64_t>(wait, INT_MAX));
}

bool EventLoop::run_timers() {
    const int64_t now = now_ms();
    const TimerId first_new = next_timer_;
    bool ran = false;
    auto it = by_deadline_.begin();
    while (it != by_deadline_.end() && it->first.first <= now) {
        const std::pair<int64_t, TimerId> key = it->first;
        const TimerId id = key.second;
        if (id >= first_new) {
            ++it;
            continue;
        }
        const auto timer = timers_.find(id);
        const std::shared_ptr<Callback> callback = timer->second.callback;
        by_deadline_.erase(it);
        if (timer->second.period_ms != 0) {
            const int64_t period = timer->second.period_ms;
            const int64_t missed = (now - timer->second.deadline_ms) / period;
            timer->second.deadline_ms += (missed + 1) * period;
            by_deadline_[{timer->second.deadline_ms, id}] = id;
        } else {
            timers_.erase(timer);
        }
        (*callback)();
        ran = true;
        it = by_deadline_.upper_bound(key);  // the callback may have cancelled any of them
    }
    return ran;
}

bool EventLoop::run_posted() {
    std::vector<Callback> batch;
    {
        const std::lock_guard lock(post_mutex_);
        batch.swap(posted_);
    }
    for (const Callback& callback : batch) {
        callback();
    }
    return !batch.empty();
}

bool EventLoop::run_once(int64_t timeout_ms) {
    std::array<epoll_event, 64> events;
    const int count =
        epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), wait_ms(timeout_ms));
    SLUICE_CHECK(count >= 0 || errno == EINTR);
    bool ran = run_timers();
    for (int i = 0; i < count; ++i) {
        if (events[static_cast<size_t>(i)].data.u64 == kWakeTag) {
            uint64_t value = 0;
            [[maybe_unused]] const ssize_t got = read(wake_fd_, &value, sizeof value);
        }
    }
    ran = run_posted() || ran;
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        if (event.data.u64 == kWakeTag) {
            continue;
        }
        const auto it = watches_.find(static_cast<int>(event.data.u64 & UINT32_MAX));
        if (it == watches_.end() || it->second.generation != event.data.u64 >> 32) {
            continue;
        }
        const std::shared_ptr<IoCallback> callback = it->second.callback;
        (*callback)(from_epoll(event.events));
        ran = true;
    }
    return ran;
}

void EventLoop::run() {
    for (;;) {
        {
            const std::lock_guard lock(post_mutex_);
            if (stop_requested_) {
                stop_requested_ = false;
                return;
            }
        }
        run_once(-1);
    }
}

}  // namespace sluice
