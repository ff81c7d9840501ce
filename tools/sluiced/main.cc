// SPDX-License-Identifier: Apache-2.0
// sluiced: the composition root. Options, daemon, EAL, everything else, then the loop.
#include <fmt/format.h>
#include <sys/resource.h>

#include "lib/base/log.h"
#include "tools/daemon/daemon.h"
#include "tools/daemon/paths.h"
#include "tools/daemon/signals.h"
#include "tools/doctor/host_checks.h"
#include "tools/host/eal.h"
#include "tools/sluiced/app.h"
#include "tools/sluiced/options.h"
#include "tools/sluiced/version.h"

SLUICE_LOG_MODULE(main);

namespace sluice {
namespace {

Result<void> start_logging(const Options& options) {
    for (const std::string& spec : options.verbose) {
        if (Result<void> set = log::set(spec); !set) {
            return set.error().with_context("--verbose");
        }
    }
    if (options.log_file) {
        return log::open_file(in_dir(log_dir(), *options.log_file, "sluiced.log"));
    }
    return {};
}

DaemonConfig daemon_config(const Options& options) {
    DaemonConfig config;
    config.program = "sluiced";
    config.detach = options.detach;
    config.monitor = options.monitor;
    config.no_chdir = options.no_chdir;
    config.overwrite_pidfile = options.overwrite_pidfile;
    config.pidfile = options.pidfile;
    return config;
}

Result<void> run(const Options& options) {
    if (Result<void> ok = start_logging(options); !ok) {
        return ok;
    }
    Daemon daemon(daemon_config(options));
    if (Result<void> ok = daemon.start(); !ok) {
        return ok;
    }
    EventLoop loop;
    App* running = nullptr;
    Signals signals(loop, SignalActions{[&](int) {
                                            if (running) {
                                                running->exit(/*restart=*/false);
                                            }
                                        },
                                        [] {
                                            if (Result<void> ok = log::reopen_file(); !ok) {
                                                LOG_WARN("{}", ok.error().message);
                                            }
                                        }});
    EalConfig eal;
    eal.program = "sluiced";
    eal.memory_mb = options.memory_mb;
    eal.huge = options.huge;
    eal.extra = options.eal;
    if (Result<void> ok = start_eal(eal); !ok) {
        return ok;
    }
    {
        App app(loop, options);
        if (Result<void> ok = app.start(); !ok) {
            return ok;
        }
        running = &app;
        daemon.complete();
        loop.run();
        running = nullptr;
    }
    LOG_INFO("exiting");
    stop_eal();
    return {};
}

/// --check: as sluicectl doctor --host, with the options that sluiced would run with.
int check_machine(const Options& options) {
    doctor::HostView view;
    view.run_dir = run_dir();
    view.cores = options.cores;
    view.wants_huge = options.huge;
    for (const PortOption& port : options.ports) {
        if (port.spec.driver == "pci") {
            const std::string& devargs = port.spec.arg("devargs");
            view.pci_devices.push_back(devargs.substr(0, devargs.find(',')));
        }
    }
    rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        view.own_memlock_kb = static_cast<long>(limit.rlim_cur / 1024);
    }
    doctor::Diagnosis diagnosis;
    doctor::check_host(view, &diagnosis);
    doctor::sort_findings(&diagnosis);
    fmt::print("{}", doctor::to_text(diagnosis, false));
    return doctor::exit_status_of(diagnosis);
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
    const sluice::Result<sluice::Options> options = sluice::parse_options(argc, argv);
    if (!options) {
        fmt::print(stderr, "sluiced: {}\n", options.error().message);
        return 1;
    }
    if (options->help) {
        fmt::print("{}", options->help_text);
        return 0;
    }
    if (options->version) {
        fmt::print("sluiced {}\n", sluice::kVersion);
        return 0;
    }
    if (options->check) {
        return sluice::check_machine(*options);
    }
    const sluice::Result<void> result = sluice::run(*options);
    if (!result) {
        LOG_INFO("cannot run: {}", result.error().message);  // stderr has it below
        fmt::print(stderr, "sluiced: {}\n", result.error().message);
        return 1;
    }
    return 0;
}
