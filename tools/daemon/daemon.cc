// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "lib/base/log.h"
#include "tools/daemon/paths.h"

SLUICE_LOG_MODULE(daemon);

namespace sluice {
namespace {

Error system_error(const char* what) {
    return Error{fmt::format("{}: {}", what, std::strerror(errno))};
}

std::string describe(int status) {
    if (WIFSIGNALED(status)) {
        return fmt::format("killed by signal {} ({}){}", WTERMSIG(status),
                           strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
    }
    return fmt::format("exit status {}", WEXITSTATUS(status));
}

int wait_for(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

// Signals that mean a bug, not a wish.
bool is_crash(int status) {
    if (!WIFSIGNALED(status)) {
        return false;
    }
    switch (WTERMSIG(status)) {
    case SIGABRT:
    case SIGALRM:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGPIPE:
    case SIGSEGV:
    case SIGSYS:
    case SIGXCPU:
    case SIGXFSZ: return true;
    default: return false;
    }
}

// Dies as the child did, so that whoever waits for us sees the same.
[[noreturn]] void end_like(int status) {
    if (WIFSIGNALED(status)) {
        const rlimit none{};
        setrlimit(RLIMIT_CORE, &none);  // the child's core is the one that tells something
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
        _exit(1);
    }
    _exit(WEXITSTATUS(status));
}

// True when the child said that its start-up succeeded; false when it died first.
bool wait_ready(int fd) {
    char byte = 0;
    ssize_t n = 0;
    while ((n = read(fd, &byte, 1)) < 0 && errno == EINTR) {
    }
    return n == 1;
}

struct Fork {
    pid_t pid;     ///< 0 in the child
    int ready_fd;  ///< parent: read end; child: write end
};

Result<Fork> fork_with_pipe() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return system_error("pipe");
    }
    fflush(nullptr);
    const pid_t pid = fork();
    if (pid < 0) {
        return system_error("fork");
    }
    close(pid == 0 ? fds[0] : fds[1]);
    return Fork{pid, pid == 0 ? fds[1] : fds[0]};
}

// The monitor's: whom its signal handler passes signals to, and the last one that asked to stop.
volatile sig_atomic_t monitored_pid = 0;
volatile sig_atomic_t stop_asked = 0;

void pass_on(int signal_number) {
    if (signal_number != SIGHUP) {
        stop_asked = signal_number;
    }
    if (monitored_pid > 0) {
        kill(monitored_pid, signal_number);
    }
}

void set_handlers(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
        sigaction(number, &action, nullptr);
    }
}

void replace_stdio() {
    const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd >= 0) {
        for (int fd = 0; fd <= 2; ++fd) {
            dup2(null_fd, fd);
        }
        if (null_fd > 2) {
            close(null_fd);
        }
    }
}

}  // namespace

Daemon::Daemon(DaemonConfig config) : config_(std::move(config)) {}

Daemon::~Daemon() {
    for (const int fd : ready_fds_) {
        close(fd);
    }
}

Result<void> Daemon::start() {
    mkdir(run_dir().c_str(), 0755);  // what follows says why if that did not help
    std::string pidfile;
    if (config_.pidfile) {
        pidfile = in_dir(run_dir(), *config_.pidfile, config_.program + ".pid");
        // Ask before forking: the answer belongs on the caller's terminal.
        if (const pid_t pid = config_.overwrite_pidfile ? 0 : running_pid(pidfile); pid > 0) {
            return Error{fmt::format(
                "{}: already running as pid {}; stop it first, or use --overwrite-pidfile", pidfile,
                pid)};
        }
    }
    starting_ = true;
    if (config_.detach) {
        if (Result<void> detached = detach(); !detached) {
            return detached;
        }
    }
    if (config_.monitor) {
        if (Result<void> monitored = monitor(); !monitored) {
            return monitored;
        }
    }
    return pidfile.empty() ? Result<void>() : pidfile_.make(pidfile, config_.overwrite_pidfile);
}

Result<void> Daemon::detach() {
    const Result<Fork> forked = fork_with_pipe();
    if (!forked) {
        return forked.error();
    }
    const int ready_fd = forked.value().ready_fd;
    if (const pid_t pid = forked.value().pid; pid > 0) {
        if (wait_ready(ready_fd)) {
            _exit(0);
        }
        const int status = wait_for(pid);
        if (WIFSIGNALED(status)) {
            fmt::print(stderr, "{}: start-up failed: {}\n", config_.program, describe(status));
            fflush(stderr);
        }
        _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
    }
    setsid();
    ready_fds_.push_back(ready_fd);
    return {};
}

Result<void> Daemon::monitor() {
    timespec last_start{};
    set_handlers(pass_on);
    for (bool first = true;; first = false) {
        clock_gettime(CLOCK_MONOTONIC, &last_start);
        const Result<Fork> forked = fork_with_pipe();
        if (!forked) {
            return forked.error();
        }
        const pid_t pid = forked.value().pid;
        if (pid == 0) {
            monitored_pid = 0;
            set_handlers(SIG_DFL);
            // Only the first start is waited for by somebody.
            if (!first) {
                for (const int fd : ready_fds_) {
                    close(fd);
                }
                ready_fds_.clear();
            }
            ready_fds_.push_back(forked.value().ready_fd);
            return {};
        }
        monitored_pid = pid;
        if (stop_asked) {
            kill(pid, stop_asked);  // it came before we knew whom to pass it to
        }
        const bool ready = wait_ready(forked.value().ready_fd);
        close(forked.value().ready_fd);
        if (ready && first) {
            for (const int fd : ready_fds_) {
                close(fd);  // the daemon told the parent through its own copy
            }
            ready_fds_.clear();
            if (config_.detach) {
                replace_stdio();
            }
        }
        const int status = wait_for(pid);
        if ((first && !ready) || !is_crash(status) || stop_asked) {
            end_like(status);
        }
        LOG_ERR("{} pid {} died, {}; restarting", config_.program, pid, describe(status));
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        const auto age_s = now.tv_sec - last_start.tv_sec;
        if (age_s < static_cast<time_t>(config_.restart_pause_s)) {
            sleep(config_.restart_pause_s - static_cast<unsigned>(age_s));  // a signal ends it
        }
        if (stop_asked) {
            end_like(status);
        }
    }
}

void Daemon::complete() {
    if (config_.detach) {
        if (!config_.no_chdir && chdir("/") != 0) {
            LOG_WARN("chdir /: {}", std::strerror(errno));
        }
    }
    for (const int fd : ready_fds_) {
        (void)!write(fd, "", 1);
        close(fd);
    }
    ready_fds_.clear();
    starting_ = false;
    if (config_.detach) {
        replace_stdio();
    }
    notify_systemd(fmt::format("READY=1\nMAINPID={}", getpid()));
}

}  // namespace sluice
