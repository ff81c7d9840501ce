// SPDX-License-Identifier: Apache-2.0
// Daemon: --detach, --monitor, --pidfile, as the daemons of Open vSwitch have them.
//
//   Daemon daemon(config);
//   if (auto ok = daemon.start(); !ok) ...   // forks: before EAL, threads and any socket
//   ... start up; on trouble print it on stderr and return non-zero: the parent does too ...
//   daemon.complete();                       // the parent exits 0, stdio goes to /dev/null
//   ... run ...                              // ~Daemon removes the pidfile
//
// --monitor leaves a second process between the parent and the daemon. It restarts the daemon when
// that dies of a signal that means a bug (SIGSEGV, SIGABRT ...), at most once in ten seconds, and
// passes SIGTERM, SIGINT and SIGHUP on to it. A daemon that exits by itself, with whatever status,
// is not restarted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "tools/daemon/pidfile.h"

namespace sluice {

struct DaemonConfig {
    std::string program;  ///< "sluiced"
    bool detach = false;
    bool monitor = false;
    bool no_chdir = false;
    bool overwrite_pidfile = false;
    std::optional<std::string> pidfile;  ///< "": RUNDIR/PROGRAM.pid; absent: none
    unsigned restart_pause_s = 10;       ///< least time between two starts under --monitor
};

class Daemon {
public:
    explicit Daemon(DaemonConfig config);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Returns only in the process that is to do the work (under --detach and --monitor a child of
    /// the caller), with the pidfile written. An Error here (say, already running) has been seen by
    /// nobody yet: print it and exit non-zero.
    Result<void> start();
    /// Start-up succeeded: tells the waiting parent and systemd (READY=1), and, detached, leaves
    /// terminal and directory.
    void complete();

    /// True from start() on if complete() has not been called.
    bool starting() const { return starting_; }

private:
    Result<void> detach();
    Result<void> monitor();

    DaemonConfig config_;
    Pidfile pidfile_;
    std::vector<int> ready_fds_;  ///< pipes to those who wait for complete()
    bool starting_ = false;
};

/// Tells systemd (NOTIFY_SOCKET); no effect without it. "READY=1", "STOPPING=1", "STATUS=...".
void notify_systemd(const std::string& state);

}  // namespace sluice
