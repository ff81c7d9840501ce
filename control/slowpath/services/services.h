// SPDX-License-Identifier: Apache-2.0
// Services: the handlers of punts that want an answer: DHCP, DHCPv6, DHCP relay, DNS, router
// advertisements.
//
// What. A worker that runs `R = put_dhcp_opts(...); next;` hands the packet to the slow path and
// forgets it. The handler asks the action's arguments (control/compile/punt_args.h), lets a pure
// function turn the request into the answer, writes R and sends the packet back to the worker,
// where it goes on in the next table. A packet that is not answered goes on unchanged with R = 0;
// none is ever swallowed.
//
// Design. What an action says is encoded for every packet anew: it costs a microsecond and there
// is no memory that could be out of date. DHCP option names and DNS records come from an immutable
// ServiceTables that control replaces.
//
// Threads. The handlers run on the slow-path thread. set_tables() may be called from any thread.
#pragma once

#include <atomic>
#include <memory>

#include "control/slowpath/services/packet.h"
#include "control/slowpath/services/tables.h"
#include "control/slowpath/slowpath.h"

namespace sluice {

class Services {
public:
    /// Registers the handlers; before SlowPath::start(). `slow_path` outlives this object, which
    /// in turn lives until the slow path has stopped.
    explicit Services(SlowPath* slow_path);
    ~Services();
    Services(const Services&) = delete;
    Services& operator=(const Services&) = delete;

    void set_tables(std::shared_ptr<const ServiceTables> tables);

private:
    void handle(const Punt& punt);
    services::Answer answer(const Punt& punt, const ServiceTables& tables) const;

    SlowPath* slow_path_;
    std::atomic<std::shared_ptr<const ServiceTables>> tables_;
};

}  // namespace sluice
