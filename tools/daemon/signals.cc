// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "lib/base/check.h"
#include "lib/base/log.h"

SLUICE_LOG_MODULE(signals);

namespace sluice {
namespace {

sigset_t watched() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
        sigaddset(&set, number);
    }
    return set;
}

}  // namespace

Signals::Signals(EventLoop& loop, SignalActions actions)
    : loop_(loop), actions_(std::move(actions)) {
    signal(SIGPIPE, SIG_IGN);
    const sigset_t set = watched();
    SLUICE_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
    fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    SLUICE_CHECK(fd_ >= 0 && loop_.add_fd(fd_, Io::kRead, [this](uint32_t) { read(); }).ok());
}

Signals::~Signals() {
    loop_.remove_fd(fd_);
    ::close(fd_);
}

void Signals::read() {
    signalfd_siginfo info{};
    while (::read(fd_, &info, sizeof info) == sizeof info) {
        const int number = static_cast<int>(info.ssi_signo);
        if (number == SIGHUP) {
            if (actions_.reopen) {
                actions_.reopen();
            }
        } else if (stopping_) {
            LOG_WARN("signal {} again: ending at once", number);
            signal(number, SIG_DFL);
            const sigset_t set = watched();
            pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
            raise(number);
        } else {
            stopping_ = true;
            LOG_INFO("signal {} from pid {}: stopping", number, info.ssi_pid);
            if (actions_.stop) {
                actions_.stop(number);
            }
        }
    }
}

}  // namespace sluice
