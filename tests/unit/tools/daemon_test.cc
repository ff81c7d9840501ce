// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include "tests/support/shell.h"
#include "tools/daemon/paths.h"

namespace sluice {
namespace {

/// A run directory with a probe in it; ends what it started.
class Lab {
public:
    ~Lab() {
        // The monitor (if any) first: it passes the signal on.
        for (const pid_t pid : started_) {
            if (pid > 1) {
                kill(pid, SIGKILL);
            }
        }
    }
    ShellResult probe(const std::string& words) const {
        const char* path = std::getenv("DAEMON_PROBE");
        REQUIRE(path);  // meson test sets it
        return shell("ulimit -c 0; cd " + dir_.path() + "; OVS_RUNDIR=" + dir_.path() + " " + path +
                     " " + words + " 2>&1");
    }
    ShellResult appctl(const std::string& words) const {
        return shell("OVS_RUNDIR=" + dir_.path() + " ovs-appctl -T 20 -t probe " + words + " 2>&1");
    }
    pid_t pid() {
        const pid_t pid = running_pid(pidfile());
        if (pid > 0) {
            started_.push_back(pid);
        }
        return pid;
    }
    pid_t parent_of(pid_t pid) {
        const pid_t parent =
            std::stoi("0" + shell("ps -o ppid= -p " + std::to_string(pid) + " | tr -d ' '").out);
        started_.insert(started_.begin(), parent);
        return parent;
    }
    bool eventually(const std::function<bool()>& condition) const {
        for (int i = 0; i < 2000; ++i) {
            if (condition()) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }
    std::string pidfile() const { return dir_.path() + "/probe.pid"; }
    const std::string& dir() const { return dir_.path(); }

private:
    TempDir dir_;
    std::vector<pid_t> started_;
};

bool alive(pid_t pid) {
    return kill(pid, 0) == 0;
}

TEST_CASE("--detach returns when the daemon serves, and ovs-appctl finds it") {
    Lab lab;
    const ShellResult out = lab.probe("--detach --pidfile --log-file=" + lab.dir() + "/log");
    CHECK(out.status == 0);
    CHECK(out.out.empty());
    const pid_t pid = lab.pid();
    REQUIRE(pid > 1);
    CHECK(shell("cat " + lab.pidfile()).out == std::to_string(pid) + "\n");
    CHECK(lab.appctl("version").out == "probe 1\n");
    CHECK(lab.appctl("cwd").out == "/\n");
    CHECK(shell("ls -l /proc/" + std::to_string(pid) + "/fd/2").out.find("/dev/null") !=
          std::string::npos);
    CHECK(lab.appctl("exit").status == 0);
    CHECK(lab.eventually([&] { return !alive(pid); }));
    CHECK_FALSE(std::filesystem::exists(lab.pidfile()));
    CHECK(shell("ls " + lab.dir()).out == "log\n");
}

TEST_CASE("--no-chdir stays") {
    Lab lab;
    REQUIRE(lab.probe("--detach --pidfile --no-chdir").status == 0);
    REQUIRE(lab.pid() > 1);
    CHECK(lab.appctl("cwd").out == lab.dir() + "\n");
}

TEST_CASE("a start that fails is seen by the caller of --detach") {
    for (const char* how : {"", "--detach", "--detach --monitor", "--monitor"}) {
        INFO(how);
        Lab lab;
        const ShellResult out = lab.probe(std::string(how) + " --pidfile --fail");
        CHECK(out.status == 3);
        CHECK(out.out == "daemon_probe: no hugepages\n");
        CHECK_FALSE(std::filesystem::exists(lab.pidfile()));
    }
    Lab lab;
    const ShellResult out = lab.probe("--detach --crash");
    CHECK(out.status == 1);
    CHECK(out.out.find("probe: start-up failed: killed by signal 6 (Aborted)") !=
          std::string::npos);
}

TEST_CASE("a second one is refused while the first lives") {
    Lab lab;
    REQUIRE(lab.probe("--detach --pidfile").status == 0);
    const pid_t pid = lab.pid();
    REQUIRE(pid > 1);
    for (const char* how : {"--detach --pidfile", "--pidfile"}) {
        const ShellResult second = lab.probe(how);
        CHECK(second.status == 1);
        CHECK(second.out == "daemon_probe: " + lab.pidfile() + ": already running as pid " +
                                std::to_string(pid) +
                                "; stop it first, or use --overwrite-pidfile\n");
    }
    CHECK(lab.pid() == pid);
    CHECK(lab.appctl("version").status == 0);
    REQUIRE(lab.probe("--detach --pidfile --overwrite-pidfile").status == 0);
    const pid_t other = lab.pid();
    CHECK(other != pid);
    CHECK(lab.appctl("exit").status == 0);
    // The first one must not remove what is not its own, nor trip over its absence.
    kill(pid, SIGTERM);
    CHECK(lab.eventually([&] { return !alive(pid); }));
}

TEST_CASE("a pidfile left by a dead process is taken over") {
    Lab lab;
    shell("echo 1 > " + lab.pidfile());
    REQUIRE(lab.probe("--detach --pidfile").status == 0);
    CHECK(lab.pid() > 1);
    CHECK(lab.appctl("version").status == 0);
}

TEST_CASE("SIGTERM ends it cleanly, SIGHUP reopens the log") {
    Lab lab;
    const std::string log = lab.dir() + "/log";
    REQUIRE(lab.probe("--detach --pidfile --log-file=" + log).status == 0);
    const pid_t pid = lab.pid();
    REQUIRE(pid > 1);
    REQUIRE(lab.appctl("note before").status == 0);
    std::filesystem::rename(log, log + ".1");
    kill(pid, SIGHUP);
    CHECK(lab.eventually([&] { return std::filesystem::exists(log); }));
    REQUIRE(lab.appctl("note after").status == 0);
    CHECK(shell("cat " + log).out.find("|probe|INFO|after") != std::string::npos);
    CHECK(shell("cat " + log + ".1").out.find("|probe|INFO|before") != std::string::npos);
    kill(pid, SIGTERM);
    CHECK(lab.eventually([&] { return !alive(pid); }));
    CHECK_FALSE(std::filesystem::exists(lab.pidfile()));
    CHECK(shell("ls " + lab.dir()).out == "log\nlog.1\n");
}

TEST_CASE("--monitor restarts after a crash, and only then") {
    Lab lab;
    const std::string log = lab.dir() + "/log";
    REQUIRE(lab.probe("--detach --monitor --pidfile --log-file=" + log).status == 0);
    pid_t pid = lab.pid();
    REQUIRE(pid > 1);
    const pid_t monitor = lab.parent_of(pid);
    REQUIRE(monitor > 1);
    for (int i = 0; i < 2; ++i) {
        lab.appctl("crash");
        const pid_t before = pid;
        CHECK(lab.eventually([&] {
            pid = lab.pid();
            return pid > 1 && pid != before && lab.appctl("version").status == 0;
        }));
    }
    CHECK(shell("cat " + log).out.find("died, killed by signal 6") != std::string::npos);
    CHECK(lab.appctl("exit").status == 0);
    CHECK(lab.eventually([&] { return !alive(pid) && !alive(monitor); }));
}

TEST_CASE("the monitor passes SIGTERM on and follows") {
    Lab lab;
    REQUIRE(lab.probe("--detach --monitor --pidfile").status == 0);
    const pid_t pid = lab.pid();
    REQUIRE(pid > 1);
    const pid_t monitor = lab.parent_of(pid);
    REQUIRE(monitor > 1);
    kill(monitor, SIGTERM);
    CHECK(lab.eventually([&] { return !alive(pid) && !alive(monitor); }));
    CHECK_FALSE(std::filesystem::exists(lab.pidfile()));
}

TEST_CASE("systemd is told") {
    const TempDir dir;
    const std::string path = dir.path() + "/notify";
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    notify_systemd("READY=1");
    unsetenv("NOTIFY_SOCKET");
    notify_systemd("STOPPING=1");
    char text[64] = {};
    CHECK(recv(fd, text, sizeof text, MSG_DONTWAIT) == 7);
    CHECK(std::string(text) == "READY=1");
    CHECK(recv(fd, text, sizeof text, MSG_DONTWAIT) < 0);
    close(fd);
}

TEST_CASE("names of files") {
    setenv("OVS_RUNDIR", "/run/x", 1);
    setenv("OVS_LOGDIR", "/log/x", 1);
    CHECK(in_dir(run_dir(), "", "a.pid") == "/run/x/a.pid");
    CHECK(in_dir(run_dir(), "b.pid", "a.pid") == "/run/x/b.pid");
    CHECK(in_dir(log_dir(), "/c.log", "a.log") == "/c.log");
    CHECK(unixctl_path("", "sluiced") == "/run/x/sluiced." + std::to_string(getpid()) + ".ctl");
    unsetenv("OVS_RUNDIR");
    unsetenv("OVS_LOGDIR");
    CHECK(run_dir() == "/var/run/openvswitch");
    CHECK(log_dir() == "/var/log/openvswitch");
}

}  // namespace
}  // namespace sluice
