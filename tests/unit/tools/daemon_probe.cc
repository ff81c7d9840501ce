// SPDX-License-Identifier: Apache-2.0
// A daemon that does nothing but live as told: what daemon_test.cc starts.
//   daemon_probe [--detach] [--monitor] [--pidfile=F] [--overwrite-pidfile] [--no-chdir]
//                [--fail | --crash | --crash-once=FILE] [--log-file=F]
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "control/rpc/builtin.h"
#include "lib/base/log.h"
#include "tools/daemon/daemon.h"
#include "tools/daemon/paths.h"
#include "tools/daemon/signals.h"

SLUICE_LOG_MODULE(probe);

namespace {

const char* value_of(int argc, char** argv, const char* name) {
    for (int i = 1; i < argc; ++i) {
        const size_t n = std::strlen(name);
        if (!std::strncmp(argv[i], name, n) && (argv[i][n] == '\0' || argv[i][n] == '=')) {
            return argv[i][n] ? argv[i] + n + 1 : "";
        }
    }
    return nullptr;
}

int run(int argc, char** argv, sluice::Daemon& daemon) {
    using namespace sluice;
    const auto has = [&](const char* name) { return value_of(argc, argv, name) != nullptr; };
    if (has("--fail")) {
        fmt::print(stderr, "daemon_probe: no hugepages\n");
        return 3;
    }
    if (has("--crash")) {
        abort();
    }
    EventLoop loop;
    Signals signals(loop, {[&](int) { loop.stop(); }, [] { (void)log::reopen_file().ok(); }});
    auto server = rpc::Server::listen(loop, unixctl_path("", "probe"), "probe 1");
    if (!server) {
        fmt::print(stderr, "daemon_probe: {}\n", server.error().message);
        return 1;
    }
    rpc::BuiltinHooks hooks;
    hooks.exit = [&](bool, const rpc::Reply& reply) {
        reply.ok();
        loop.stop();
    };
    rpc::add_builtin_commands(**server, hooks);
    (*server)->add("crash", "", 0, 0, [](const rpc::Args&) -> Result<std::string> { abort(); });
    (*server)->add("cwd", "", 0, 0, [](const rpc::Args&) -> Result<std::string> {
        char path[4096];
        return std::string(getcwd(path, sizeof path) ? path : "?");
    });
    (*server)->add("note", "TEXT", 1, 1, [](const rpc::Args& args) -> Result<std::string> {
        LOG_INFO("{}", args[0]);
        return std::string();
    });
    daemon.complete();
    loop.run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace sluice;
    DaemonConfig config;
    config.program = "probe";
    config.detach = value_of(argc, argv, "--detach");
    config.monitor = value_of(argc, argv, "--monitor");
    config.no_chdir = value_of(argc, argv, "--no-chdir");
    config.overwrite_pidfile = value_of(argc, argv, "--overwrite-pidfile");
    config.restart_pause_s = 0;
    if (const char* file = value_of(argc, argv, "--pidfile")) {
        config.pidfile = file;
    }
    if (const char* file = value_of(argc, argv, "--log-file")) {
        if (const Result<void> opened = log::open_file(file); !opened) {
            fmt::print(stderr, "daemon_probe: {}\n", opened.error().message);
            return 1;
        }
    }
    Daemon daemon(config);
    if (const Result<void> started = daemon.start(); !started) {
        fmt::print(stderr, "daemon_probe: {}\n", started.error().message);
        return 1;
    }
    return run(argc, argv, daemon);
}
