// SPDX-License-Identifier: Apache-2.0
// App: sluiced put together. Reads top to bottom: loop, host, control, slow path, command socket.
//
// Threads: all of it on the main (control) thread; worker threads and the slow-path thread are
// started and joined here.
#pragma once

#include <memory>
#include <vector>

#include "control/capture/captures.h"
#include "control/control_plane.h"
#include "control/rpc/bond_commands.h"
#include "control/rpc/builtin.h"
#include "control/rpc/conntrack_report.h"
#include "control/rpc/reports.h"
#include "control/rpc/server.h"
#include "control/slowpath/announce/announce.h"
#include "control/slowpath/services/services.h"
#include "control/slowpath/slowpath.h"
#include "control/slowpath/watch/watch.h"
#include "lib/base/event_loop.h"
#include "tools/host/host.h"
#include "tools/sluiced/options.h"

namespace sluice {

class App {
public:
    App(EventLoop& loop, const Options& options);
    ~App();
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    /// Everything up and running, or an Error to print.
    Result<void> start();
    /// Leaves the Southbound database (or with `restart` stays in it), then stops the loop.
    void exit(bool restart, const rpc::Reply& reply);
    void exit(bool restart);

    Host& host() { return *host_; }
    ControlPlane& control() { return *control_; }
    SlowPath& slow_path() { return *slow_path_; }
    EventLoop& loop() { return loop_; }
    const Options& options() const { return options_; }
    int64_t started_ms() const { return started_ms_; }

    /// Calls `done` once every worker has been through its loop a few times from now: packets that
    /// were in its ports' queues have been processed.
    void after_workers_turned(std::function<void()> done);

private:
    Result<void> make_control();
    void make_slow_path();
    Result<void> make_server();

    EventLoop& loop_;
    const Options& options_;
    int64_t started_ms_;
    bool exiting_ = false;
    std::unique_ptr<Host> host_;
    std::unique_ptr<ControlPlane> control_;
    std::unique_ptr<SlowPath> slow_path_;
    std::unique_ptr<Services> services_;
    std::unique_ptr<announce::Announce> announce_;
    std::unique_ptr<watch::Watch> watch_;
    std::unique_ptr<rpc::Server> server_;
    std::unique_ptr<capture::Captures> captures_;
    EventLoop::TimerId reclaim_timer_ = 0;
};

/// Commands of sluiced beside the built-in ones and the reports: sync, netdev-dummy/*, tnl/neigh/*,
/// ovs/route/*. With Open vSwitch's names and meanings where it has them.
void add_commands(rpc::Server& server, App& app);

/// Where the reports of control/rpc/reports.h come from.
rpc::ReportSources report_sources(App& app);
rpc::ConntrackSources conntrack_sources(App& app);
std::vector<rpc::NamedBond> bonds(App& app);
capture::Hooks capture_hooks(App& app);

}  // namespace sluice
