// SPDX-License-Identifier: Apache-2.0
// Daemon: --detach, --monitor, --pidfile, as the daemons of Open vSwitch have them.
//
//   Daemon daemon(config);
//   if (auto ok = daemon.start(); !ok) ...   // forks: before EAL, threads and any socket
//   ... start up; on trouble print it on stderr and return non-zero: the parent does too ...
//   daemon.complete();                       // the parent exits 0, stdio goes to /dev/null
//   ... run ...                              // ~Daemon removes the pidfile
//
// The pidfile is locked with fcntl(F_SETLK) for the life of the process; ovs-appctl trusts a
// pidfile only while its lock is held. Nobody else in the process may open and close that file:
// that would release the lock (POSIX).
//
// --monitor leaves a second process between the parent and the daemon. It restarts the daemon when
// that dies of a signal that means a bug (SIGSEGV, SIGABRT ...), at most once in ten seconds, and
// passes SIGTERM, SIGINT and SIGHUP on to it. A daemon that exits by itself, with whatever status,
// is not restarted.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/result.h"

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
    bool starting() const { return ready_fd_ >= 0; }

private:
    Result<void> fork_and_wait();
    Result<void> run_monitor();
    Result<void> make_pidfile();

    DaemonConfig config_;
    std::string pidfile_;
    int pidfile_fd_ = -1;  ///< open (and locked) for the life of the process
    pid_t pidfile_owner_ = 0;
    int ready_fd_ = -1;  ///< pipe to the waiting parent
};

/// Tells systemd (NOTIFY_SOCKET); no effect without it. "READY=1", "STOPPING=1", "STATUS=...".
void notify_systemd(const std::string& state);

/// The process that holds `pidfile`'s lock; 0 if there is none or it is stale.
pid_t running_pid(const std::string& pidfile);

}  // namespace sluice
